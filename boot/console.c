// console.c - what the loader says: every line on COM1, and what a person must know on the screen
// too.
// SPDX-License-Identifier: MIT
#include "boot.h"

enum {
    Com1 = 0x3F8,
    ComDivisorHigh = Com1 + 1, // while the divisor latch is open
    ComInterruptEnable = Com1 + 1,
    ComFifoControl = Com1 + 2,
    ComLineControl = Com1 + 3,
    ComModemControl = Com1 + 4,
    ComLineStatus = Com1 + 5,
    ComScratch = Com1 + 7,
    ComLine8N1 = 0x03,
    ComDivisorLatch = 0x80,
    ComTransmitterEmpty = 0x20,
    // A character takes 87 us at 115200 baud and a port read about 1 us.
    ComTransmitSpins = 1000,
    LineLength = 240,
};

static bool serialPresent;
static bool screenUsable;

void BootInitializeConsole(void)
{
    screenUsable = BootSystem->ConOut != nullptr;
    CpuOut8(ComScratch, 0x5A);
    bool first = CpuIn8(ComScratch) == 0x5A;
    CpuOut8(ComScratch, 0xA5);
    serialPresent = first && CpuIn8(ComScratch) == 0xA5;
    if (!serialPresent)
        return;
    CpuOut8(ComInterruptEnable, 0);
    CpuOut8(ComLineControl, ComLine8N1 | ComDivisorLatch);
    CpuOut8(Com1, 1); // 115200 baud
    CpuOut8(ComDivisorHigh, 0);
    CpuOut8(ComLineControl, ComLine8N1);
    CpuOut8(ComFifoControl, 0x07);
    CpuOut8(ComModemControl, 0x03);
}

void BootForgetFirmwareConsole(void)
{
    screenUsable = false;
}

static void WriteSerial(const char *text)
{
    if (!serialPresent)
        return;
    for (; *text != 0; text++) {
        for (int spin = 0;
             spin < ComTransmitSpins && !(CpuIn8(ComLineStatus) & ComTransmitterEmpty); spin++)
            ;
        CpuOut8(Com1, (uint8_t)*text);
    }
}

static void WriteScreen(const char *text)
{
    if (!screenUsable)
        return;
    CHAR16 wide[LineLength + 1];
    size_t length = 0;
    for (; *text != 0 && length < LineLength; text++)
        wide[length++] = (uint8_t)*text < 0x80 ? (CHAR16)*text : '?';
    wide[length] = 0;
    BootSystem->ConOut->OutputString(BootSystem->ConOut, wide);
}

void BootLog(const char *format, ...)
{
    char line[LineLength];
    va_list arguments;
    va_start(arguments, format);
    RtlFormatV(line, sizeof line, format, arguments);
    va_end(arguments);
    WriteSerial("loader: ");
    WriteSerial(line);
    WriteSerial("\r\n");
}

// The firmware may show its console on COM1 as well, so each side gets the line in one piece.
static void Say(const char *prefix, const char *format, va_list arguments)
{
    char line[LineLength];
    RtlFormatV(line, sizeof line, format, arguments);
    const char *pieces[] = {"\r\n", prefix, line, "\r\n"};
    for (size_t i = 0; i < RTL_COUNT_OF(pieces); i++)
        WriteSerial(pieces[i]);
    for (size_t i = 0; i < RTL_COUNT_OF(pieces); i++)
        WriteScreen(pieces[i]);
}

void BootNote(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    Say("MetalOS loader: ", format, arguments);
    va_end(arguments);
}

bool BootFail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    Say("MetalOS cannot start: ", format, arguments);
    va_end(arguments);
    return false;
}
