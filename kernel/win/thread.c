// thread.c - the window thread: lives on input events and the turn of the minute.
// SPDX-License-Identifier: MIT
#include "wi.h"

enum { BatchSize = 32 };
static constexpr uint64_t minute = 60'000'000'000;

static void Convert(const IoInputEvent *event, WiInput *input)
{
    *input = (WiInput){
        .Kind = event->Kind == InputKey             ? WiInputKey
                : event->Kind == InputMouseRelative ? WiInputRelative
                                                    : WiInputAbsolute,
        .Pressed = event->Pressed,
        .Code = event->Code,
        .X = event->X,
        .Y = event->Y,
        .Wheel = event->Wheel,
        .Buttons = event->Buttons,
        .Time = event->Time,
    };
}

// Waits for input until the clock has to change, and takes what there is.
static size_t ReadBatch(IoInputEvent batch[BatchSize])
{
    size_t count = 0;
    uint64_t timeout = minute - KeQuerySystemTime() % minute + 1'000'000;
    while (count < BatchSize &&
           IoReadInput(&batch[count], count == 0 ? timeout : 0) == StatusSuccess)
        count++;
    return count;
}

static void WindowThread(void *context)
{
    static IoInputEvent batch[BatchSize];
    uint16_t leds = 0;
    KeSetPriority(KeGetCurrentThread(), KePrioritySystem);
    for (;;) {
        size_t count = ReadBatch(batch);
        KeAcquireMutex(&WiMutex);
        WiDeskSetTime(&WiDesktop, KeQuerySystemTime());
        for (size_t i = 0; i < count; i++) {
            WiInput input;
            Convert(&batch[i], &input);
            WiDeskInput(&WiDesktop, &input);
        }
        uint16_t locks = WiDesktop.Modifiers & (ModifierCapsLock | ModifierNumLock);
        WiPresent();
        KeReleaseMutex(&WiMutex);
        if (locks != leds)
            IoSetKeyboardLeds(locks);
        leds = locks;
    }
}

Status WiStartThread(void)
{
    return PsCreateSystemThread("window", KePriorityNormal, WindowThread, nullptr);
}
