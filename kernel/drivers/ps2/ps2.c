// ps2.c - the i8042 keyboard controller with a keyboard and a mouse (IBM PS/2 Hardware Interface
// Technical Reference, "Keyboard/Auxiliary Device Controller").
//
// Set-up is polled with both ports' interrupts off; each wait is bounded, so a machine without the
// controller costs a fraction of a second. Afterwards the interrupt handlers of IRQ 1 and 12 empty
// the output buffer together and report events. The only command sent later sets the keyboard's
// lights: its bytes go out one at a time, each after the keyboard has acknowledged the one before.
//
// The controller's translation to scan code set 1 is left as the firmware set it up; the keyboard
// itself is told to use set 2.
// SPDX-License-Identifier: MIT
#include "../drivers.h"

#include "decode.h"
#include "input/input.h"

#define DATA_PORT          0x60
#define STATUS_PORT        0x64
#define COMMAND_PORT       0x64
#define STATUS_OUTPUT_FULL 0x01
#define STATUS_INPUT_FULL  0x02
#define STATUS_FROM_MOUSE  0x20

#define READ_CONFIGURATION         0x20
#define WRITE_CONFIGURATION        0x60
#define DISABLE_MOUSE_PORT         0xA7
#define ENABLE_MOUSE_PORT          0xA8
#define SELF_TEST                  0xAA
#define SELF_TEST_PASSED           0x55
#define DISABLE_KEYBOARD_PORT      0xAD
#define ENABLE_KEYBOARD_PORT       0xAE
#define WRITE_TO_MOUSE             0xD4
#define CONFIGURATION_INTERRUPTS   0x03
#define CONFIGURATION_KEYBOARD_OFF 0x10
#define CONFIGURATION_MOUSE_OFF    0x20
#define CONFIGURATION_TRANSLATE    0x40

#define SET_LIGHTS     0xED
#define SET_SCAN_CODES 0xF0
#define GET_ID         0xF2
#define SET_RATE       0xF3
#define ENABLE         0xF4
#define DISABLE        0xF5
#define SET_DEFAULTS   0xF6
#define SET_RESOLUTION 0xE8
#define ACKNOWLEDGE    0xFA
#define RESEND         0xFE

#define MILLISECOND        1000000ull
#define CONTROLLER_TIMEOUT (100 * MILLISECOND)
#define SELF_TEST_TIMEOUT  (500 * MILLISECOND)
#define DEVICE_TIMEOUT     (200 * MILLISECOND)
#define LIGHTS_TIMEOUT     (500 * MILLISECOND)
#define MAXIMUM_TRIES      3
#define DRAIN_LIMIT        64 // bytes taken in one go

static struct {
    KSpinLock Lock; // guards everything below, and the ports
    bool HasKeyboard, HasMouse;
    InputKeyDecoder Keys;
    Ps2MouseDecoder Mouse;
    uint8_t Lights[2];  // command and argument under way
    uint8_t LightsSent; // bytes sent of them; 0: none under way
    uint8_t LightsTries;
    bool LightsChanged; // another setting waits
    uint8_t LightsWanted;
    uint64_t LightsTime;
} Ps2 = {.Lock = KE_SPIN_LOCK_INIT(LockRankInterrupt, "i8042")};

// ---- polled access, for set-up

static bool WaitStatus(uint8_t mask, uint8_t value, uint64_t timeout)
{
    uint64_t start = KeQueryTime();
    for (uint32_t i = 0; (HalReadPort8(STATUS_PORT) & mask) != value; i++) {
        if (KeQueryTime() - start > timeout)
            return false;
        if (i < 100)
            HalStallNanoseconds(10000);
        else if (KeDelay(KernelWait, MILLISECOND) != StatusSuccess)
            return false;
    }
    return true;
}

static bool Send(uint16_t port, uint8_t byte)
{
    if (!WaitStatus(STATUS_INPUT_FULL, 0, CONTROLLER_TIMEOUT))
        return false;
    HalWritePort8(port, byte);
    return true;
}

static bool Receive(uint8_t *byte, uint64_t timeout)
{
    if (!WaitStatus(STATUS_OUTPUT_FULL, STATUS_OUTPUT_FULL, timeout))
        return false;
    *byte = HalReadPort8(DATA_PORT);
    return true;
}

static void Drain(void)
{
    for (int i = 0; i < DRAIN_LIMIT && (HalReadPort8(STATUS_PORT) & STATUS_OUTPUT_FULL); i++) {
        HalReadPort8(DATA_PORT);
        HalStallNanoseconds(10000);
    }
}

// Sends a byte to a device and waits for its acknowledgement.
static bool Command(bool mouse, uint8_t byte)
{
    for (int try = 0; try < MAXIMUM_TRIES; try++) {
        uint8_t answer;
        if ((mouse && !Send(COMMAND_PORT, WRITE_TO_MOUSE)) || !Send(DATA_PORT, byte))
            return false;
        do {
            if (!Receive(&answer, DEVICE_TIMEOUT))
                return false;
            if (answer == ACKNOWLEDGE)
                return true;
        } while (answer != RESEND && answer != 0xFC && ++try < MAXIMUM_TRIES);
    }
    return false;
}

static bool Command2(bool mouse, uint8_t byte, uint8_t argument)
{
    return Command(mouse, byte) && Command(mouse, argument);
}

// ---- events

static void ReportKey(uint16_t code, bool pressed)
{
    IoInputEvent event = {
        .Kind = InputKey, .Pressed = pressed, .Code = code, .Time = KeQueryTime()};
    IoReportInput(&event);
}

// The next byte of the lights command. Lock held; the controller takes a byte at any time but must
// have taken the last one, which the keyboard's answer to it proves.
static void SendLights(void)
{
    if (!Ps2.LightsSent) {
        if (!Ps2.LightsChanged)
            return;
        Ps2.LightsChanged = false;
        Ps2.Lights[0] = SET_LIGHTS;
        Ps2.Lights[1] = Ps2.LightsWanted;
        Ps2.LightsTries = 0;
    }
    if (HalReadPort8(STATUS_PORT) & STATUS_INPUT_FULL) {
        Ps2.LightsSent = 0;
        return;
    }
    HalWritePort8(DATA_PORT, Ps2.Lights[Ps2.LightsSent++]);
    Ps2.LightsTime = KeQueryTime();
}

// True when the byte was an answer to the lights command.
static bool TakeAnswer(uint8_t byte)
{
    if (!Ps2.LightsSent || (byte != ACKNOWLEDGE && byte != RESEND))
        return false;
    if (KeQueryTime() - Ps2.LightsTime > LIGHTS_TIMEOUT) {
        Ps2.LightsSent = 0;
        return false;
    }
    if (byte == RESEND) {
        Ps2.LightsSent = ++Ps2.LightsTries < MAXIMUM_TRIES ? (uint8_t)(Ps2.LightsSent - 1) : 0;
        if (!Ps2.LightsSent)
            Ps2.LightsChanged = Ps2.LightsTries < MAXIMUM_TRIES;
    } else if (Ps2.LightsSent == sizeof(Ps2.Lights)) {
        Ps2.LightsSent = 0;
    }
    SendLights();
    return true;
}

static void TakeByte(uint8_t status, uint8_t byte)
{
    if (status & STATUS_FROM_MOUSE) {
        Ps2MouseEvent mouse;
        uint64_t now = KeQueryTime();
        if (!Ps2.HasMouse || !Ps2DecodeMouse(&Ps2.Mouse, byte, now, &mouse))
            return;
        IoInputEvent event = {.Kind = InputMouseRelative,
                              .X = mouse.X,
                              .Y = mouse.Y,
                              .Wheel = mouse.Wheel,
                              .Buttons = mouse.Buttons,
                              .Time = now};
        IoReportInput(&event);
    } else if (Ps2.HasKeyboard && !TakeAnswer(byte)) {
        uint16_t code;
        bool pressed;
        if (InputDecodeKey(&Ps2.Keys, byte, &code, &pressed))
            ReportKey(code, pressed);
    }
}

static void HandleInterrupt(void *context)
{
    KIrql old = KeAcquireSpinLockRaiseToHigh(&Ps2.Lock);
    for (int i = 0; i < DRAIN_LIMIT; i++) {
        uint8_t status = HalReadPort8(STATUS_PORT);
        if (!(status & STATUS_OUTPUT_FULL))
            break;
        TakeByte(status, HalReadPort8(DATA_PORT));
    }
    KeReleaseSpinLock(&Ps2.Lock, old);
}

static void SetLights(uint32_t modifiers)
{
    KIrql old = KeAcquireSpinLockRaiseToHigh(&Ps2.Lock);
    Ps2.LightsWanted =
        (modifiers & ModifierNumLock ? 2 : 0) | (modifiers & ModifierCapsLock ? 4 : 0);
    Ps2.LightsChanged = true;
    if (Ps2.LightsSent && KeQueryTime() - Ps2.LightsTime > LIGHTS_TIMEOUT)
        Ps2.LightsSent = 0; // the keyboard never answered
    if (!Ps2.LightsSent)
        SendLights();
    KeReleaseSpinLock(&Ps2.Lock, old);
}

// ---- set-up

static bool ReadConfiguration(uint8_t *configuration)
{
    return Send(COMMAND_PORT, READ_CONFIGURATION) && Receive(configuration, CONTROLLER_TIMEOUT);
}

static bool WriteConfiguration(uint8_t configuration)
{
    return Send(COMMAND_PORT, WRITE_CONFIGURATION) && Send(DATA_PORT, configuration);
}

static Status StartController(uint8_t *configuration)
{
    if (HalReadPort8(STATUS_PORT) == 0xFF)
        return StatusNotSupported;
    if (!Send(COMMAND_PORT, DISABLE_KEYBOARD_PORT) || !Send(COMMAND_PORT, DISABLE_MOUSE_PORT))
        return StatusNotSupported;
    Drain();
    if (!ReadConfiguration(configuration))
        return StatusNotSupported;
    *configuration &= (uint8_t)~CONFIGURATION_INTERRUPTS;
    if (!WriteConfiguration(*configuration))
        return StatusDeviceNotReady;
    uint8_t answer;
    if (!Send(COMMAND_PORT, SELF_TEST) || !Receive(&answer, SELF_TEST_TIMEOUT) ||
        answer != SELF_TEST_PASSED)
        KeLog(LogWarning, "ps2: the controller's self test did not pass");
    return WriteConfiguration(*configuration) ? StatusSuccess
                                              : StatusDeviceNotReady; // the test may reset it
}

static bool StartKeyboard(uint8_t configuration)
{
    if (!Send(COMMAND_PORT, ENABLE_KEYBOARD_PORT) || !Command(false, DISABLE))
        return false;
    Command2(false, SET_SCAN_CODES, 2); // one that knows only set 2 may refuse
    Command2(false, SET_LIGHTS, 0);
    Ps2.Keys.Set2 = !(configuration & CONFIGURATION_TRANSLATE);
    return true;
}

// The sequences of sample rates by which a mouse shows its wheel and its fourth and fifth button.
static uint8_t IdentifyMouse(void)
{
    static const uint8_t wheel[] = {200, 100, 80}, buttons[] = {200, 200, 80};
    uint8_t id = 0;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            if (!Command2(true, SET_RATE, round ? buttons[i] : wheel[i]))
                return 0;
        }
        uint8_t answer;
        if (!Command(true, GET_ID) || !Receive(&answer, DEVICE_TIMEOUT))
            return id;
        if (answer != (round ? 4 : 3))
            return id;
        id = answer;
    }
    return id;
}

static bool StartMouse(void)
{
    if (!Send(COMMAND_PORT, ENABLE_MOUSE_PORT) || !Command(true, DISABLE) ||
        !Command(true, SET_DEFAULTS))
        return false;
    Ps2.Mouse.Id = IdentifyMouse();
    Command2(true, SET_RATE, 100);     // packets a second
    Command2(true, SET_RESOLUTION, 3); // 8 counts per millimetre
    return true;
}

static Status Connect(uint8_t configuration)
{
    Status status = StatusSuccess;
    if (Ps2.HasKeyboard) {
        status = HalConnectIsaInterrupt(1, HandleInterrupt, nullptr);
        configuration = (configuration | 1) & (uint8_t)~CONFIGURATION_KEYBOARD_OFF;
    }
    if (Ps2.HasMouse && status == StatusSuccess) {
        status = HalConnectIsaInterrupt(12, HandleInterrupt, nullptr);
        configuration = (configuration | 2) & (uint8_t)~CONFIGURATION_MOUSE_OFF;
    }
    if (status != StatusSuccess)
        return status;
    if (Ps2.HasMouse && !Command(true, ENABLE))
        Ps2.HasMouse = false;
    if (Ps2.HasKeyboard && !Command(false, ENABLE))
        Ps2.HasKeyboard = false;
    // Edge-triggered interrupts: a byte that is there already would keep new ones from being
    // noticed.
    if (!WriteConfiguration(configuration))
        return StatusDeviceNotReady;
    HandleInterrupt(nullptr);
    return StatusSuccess;
}

static Status Probe(IoDevice *device)
{
    uint8_t configuration;
    Status status = StartController(&configuration);
    if (status != StatusSuccess)
        return status;
    Ps2.HasKeyboard = StartKeyboard(configuration);
    if (!Ps2.HasKeyboard)
        Send(COMMAND_PORT, DISABLE_KEYBOARD_PORT);
    Drain();
    Ps2.HasMouse = StartMouse();
    if (!Ps2.HasMouse)
        Send(COMMAND_PORT, DISABLE_MOUSE_PORT);
    Drain();
    if (!Ps2.HasKeyboard && !Ps2.HasMouse)
        return StatusNotSupported;
    status = Connect(configuration);
    if (status != StatusSuccess)
        return status;
    if (Ps2.HasKeyboard)
        IoRegisterKeyboardLeds(SetLights);
    KeLog(LogInfo, "ps2: keyboard %s, mouse %s",
          Ps2.HasKeyboard ? Ps2.Keys.Set2 ? "set 2" : "set 1" : "none",
          !Ps2.HasMouse       ? "none"
          : Ps2.Mouse.Id == 4 ? "5 buttons"
          : Ps2.Mouse.Id == 3 ? "wheel"
                              : "plain");
    return StatusSuccess;
}

const IoDriver Ps2Driver = {.Name = "ps2", .Bus = IoBusIsa, .Probe = Probe};
