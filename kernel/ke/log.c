// log.c - the kernel's log and the programs' console, both on COM1.
//
// Lines go to a ring (everything) and to COM1 (down to the chosen level). Ring and port share one
// lock at HighLevel, so that lines never mix and any code may log. Console output is framed, see
// KeWriteConsole.
// SPDX-License-Identifier: MIT
#include "ki.h"

#define RING_SIZE          65536u // power of two
#define LINE_SIZE          512u
#define CONSOLE_SHIFT_OUT  0x0Eu
#define CONSOLE_SHIFT_IN   0x0Fu
#define CONSOLE_ESCAPE     0x10u
#define CONSOLE_ESCAPE_XOR 0x40u

static KSpinLock LogLock = KE_SPIN_LOCK_INIT(LockRankLog, "log");
static char Ring[RING_SIZE]; // L: guarded by LogLock
static uint64_t RingWritten; // L: bytes ever written
static KLogLevel SerialLevel = LogInfo;
static bool Framed = true; // console output

static void (*DebugPrint)(const char *text, size_t length);

void KiSetDebugPrint(void (*print)(const char *text, size_t length))
{
    DebugPrint = print;
}

void KeSetLogLevel(KLogLevel level)
{
    SerialLevel = level;
}

static void WriteRing(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        Ring[RingWritten++ % RING_SIZE] = text[i];
}

void KeLog(KLogLevel level, const char *format, ...)
{
    static const char *const prefixes[] = {"error: ", "warning: ", "", "debug: "};
    char line[LINE_SIZE];
    uint64_t microseconds = KeQueryTime() / 1000;
    size_t used = RtlFormat(line, sizeof(line), "[%4llu.%06llu #%u] %s", microseconds / 1000000,
                            microseconds % 1000000, KeGetCurrentProcessorNumber(),
                            prefixes[level <= LogDebug ? level : LogInfo]);
    va_list arguments;
    va_start(arguments, format);
    used += RtlFormatV(line + used, sizeof(line) - used, format, arguments);
    va_end(arguments);
    used = RTL_MIN(used, sizeof(line) - 2);
    line[used++] = '\n';

    KIrql old = KeAcquireSpinLockRaiseToHigh(&LogLock);
    WriteRing(line, used);
    if (level <= SerialLevel)
        HalWriteSerial(line, used);
    KeReleaseSpinLock(&LogLock, old);
    if (DebugPrint != nullptr && level <= SerialLevel)
        DebugPrint(line, used);
}

void KeSetConsoleFraming(bool framed)
{
    Framed = framed;
}

static void WriteUnframed(const char *text, size_t size)
{
    while (size != 0) {
        size_t part = RTL_MIN(size, LINE_SIZE);
        KIrql old = KeAcquireSpinLockRaiseToHigh(&LogLock);
        HalWriteSerial(text, part);
        KeReleaseSpinLock(&LogLock, old);
        text += part;
        size -= part;
    }
}

void KeWriteConsole(const void *data, size_t size)
{
    if (!Framed) {
        WriteUnframed(data, size);
        return;
    }
    const uint8_t *bytes = data;
    // Pieces bound the time with interrupts off; the receiver joins frames.
    while (size != 0) {
        char piece[LINE_SIZE];
        size_t used = 0;
        piece[used++] = CONSOLE_SHIFT_OUT;
        for (; size != 0 && used < sizeof(piece) - 3; size--, bytes++) {
            if (*bytes >= CONSOLE_SHIFT_OUT && *bytes <= CONSOLE_ESCAPE) {
                piece[used++] = CONSOLE_ESCAPE;
                piece[used++] = (char)(*bytes ^ CONSOLE_ESCAPE_XOR);
            } else {
                piece[used++] = (char)*bytes;
            }
        }
        piece[used++] = CONSOLE_SHIFT_IN;
        KIrql old = KeAcquireSpinLockRaiseToHigh(&LogLock);
        HalWriteSerial(piece, used);
        KeReleaseSpinLock(&LogLock, old);
    }
}

size_t KeReadLog(char *buffer, size_t size)
{
    KIrql old = KeAcquireSpinLockRaiseToHigh(&LogLock);
    size_t available = RingWritten < RING_SIZE ? (size_t)RingWritten : RING_SIZE;
    size_t count = RTL_MIN(size, available);
    for (size_t i = 0; i < count; i++)
        buffer[i] = Ring[(RingWritten - count + i) % RING_SIZE];
    KeReleaseSpinLock(&LogLock, old);
    return count;
}

void KiBreakLogLock(void)
{
    LogLock.Value = 0;
}
