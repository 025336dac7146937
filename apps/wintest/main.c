// wintest.exe - the part of a window system test that runs in the guest. Not in the launcher: it
// lies in /tests.
//
// * present: time-stamp counter per presented full-screen frame, and per partial one
// * leak N: opens and closes windows N times; memory and counts must be as before
// * deaths N, inversion: programs that go in the middle of window calls, that wait for each other
// * limits: refusals, far positions, wrong rectangles
// * pattern: a full-screen test picture, until a key is pressed or it is closed
// * messages, relative: a window that prints every message it gets, until it is closed
// * keys: a window that marks each wait for a message and each key press, until Escape
// SPDX-License-Identifier: MIT
#include "MetalKeys.h"
#include "MetalOS.h"
#include "mark.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(expression)                                                                          \
    do {                                                                                           \
        if (!(expression)) {                                                                       \
            printf("wintest: line %d: %s\n", __LINE__, #expression);                               \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

static unsigned failures;

static Status Open(uint32_t width, uint32_t height, uint32_t flags, int32_t x, int32_t y,
                   Handle *window, WindowBuffer *buffer)
{
    WindowParameters parameters = {
        .Title = "Window test", .X = x, .Y = y, .Width = width, .Height = height, .Flags = flags};
    return AllocWindow(&parameters, window, buffer);
}

// The least of several runs: what was interrupted does not count.
static uint64_t Measure(Handle window, const Rect *area)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 20; i++) {
        uint64_t start = __builtin_ia32_rdtsc();
        CHECK(PaintWindow(window, area) == StatusSuccess);
        uint64_t passed = __builtin_ia32_rdtsc() - start;
        best = passed < best ? passed : best;
    }
    return best;
}

static void TestPresent(void)
{
    Rect screen, part = {100, 100, 164, 164};
    Handle window;
    WindowBuffer buffer;
    CHECK(GetScreenRect(&screen) == StatusSuccess);
    uint32_t width = (uint32_t)screen.Right, height = (uint32_t)screen.Bottom;
    CHECK(Open(width, height, 0, 0, 0, &window, &buffer) == StatusSuccess);
    uint64_t whole = Measure(window, NULL), piece = Measure(window, &part);
    printf("present %ux%u: %llu\n", width, height, (unsigned long long)whole);
    printf("present 64x64: %llu\n", (unsigned long long)piece);
    CHECK(CloseHandle(window) == StatusSuccess);
}

static void TestLeak(unsigned long rounds)
{
    SystemInfo before, after;
    ProcessInfo process;
    for (unsigned long i = 0; i < rounds + 2; i++) {
        if (i == 2)
            CHECK(GetSystemInfo(&before) == StatusSuccess); // caches are warm
        Handle windows[4];
        WindowBuffer buffers[4];
        for (int j = 0; j < 4; j++) {
            CHECK(Open(300, 200, j % 2 ? WindowFrame : 0, (int32_t)(i * 7 % 900), j * 150,
                       &windows[j], &buffers[j]) == StatusSuccess);
            memset(buffers[j].Pixels, (int)i, buffers[j].Stride * buffers[j].Height * 4);
            CHECK(PaintWindow(windows[j], NULL) == StatusSuccess);
            for (unsigned k = 0; k < 3; k++) { // painted, or replaced before it was, or closed
                CHECK(ResizeWindow(windows[j], 200 + 50 * k, 100 + (uint32_t)i % 9, &buffers[j]) ==
                      StatusSuccess);
                memset(buffers[j].Pixels, (int)i, buffers[j].Stride * buffers[j].Height * 4);
                CHECK(k == (unsigned)j || PaintWindow(windows[j], NULL) == StatusSuccess);
            }
        }
        for (int j = 0; j < 4; j++)
            CHECK(CloseHandle(windows[j]) == StatusSuccess);
    }
    CHECK(GetSystemInfo(&after) == StatusSuccess);
    CHECK(GetProcessInfo(CurrentProcess, &process) == StatusSuccess);
    CHECK(process.WindowCount == 0);
    CHECK(before.WindowCount == after.WindowCount);
    int64_t lost = (int64_t)(before.FreeMemory + before.CacheMemory) -
                   (int64_t)(after.FreeMemory + after.CacheMemory);
    printf("leak: %lld bytes after %lu rounds\n", (long long)lost, rounds);
    CHECK(lost < 512 * 1024); // heap pages may stay half full; the windows of a round have 1 MB
}

static void TestLimits(void)
{
    static const int32_t far[] = {INT32_MIN + 1, -100000, -300, 0, 5000, INT32_MAX};
    Handle window, other;
    WindowBuffer buffer;
    Rect rect;
    CHECK(Open(0, 10, 0, 0, 0, &window, &buffer) == StatusInvalidParameter);
    CHECK(Open(10, 16385, 0, 0, 0, &window, &buffer) == StatusInvalidParameter);
    CHECK(Open(10, 10, 0x80000000u, 0, 0, &window, &buffer) == StatusInvalidParameter);
    CHECK(Open(16384, 16384, 0, 0, 0, &window, &buffer) == StatusNoMemory); // a gibibyte
    CHECK(Open(200, 100, WindowFrame, WindowPositionDefault, WindowPositionDefault, &window,
               &buffer) == StatusSuccess);
    if (failures > 0)
        return;
    CHECK(buffer.Width == 200 && buffer.Height == 100 && buffer.Stride >= 200);
    for (uint32_t y = 0; y < buffer.Height; y++) // starts black
        for (uint32_t x = 0; x < buffer.Width; x++)
            CHECK(buffer.Pixels[y * buffer.Stride + x] == 0);
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
        for (size_t j = 0; j < sizeof(far) / sizeof(far[0]); j++) {
            CHECK(MoveWindow(window, far[i], far[j]) == StatusSuccess);
            CHECK(PaintWindow(window, NULL) == StatusSuccess);
            CHECK(PaintWindow(window, &(Rect){INT32_MIN, INT32_MIN, INT32_MAX, INT32_MAX}) ==
                  StatusSuccess);
        }
    CHECK(MoveWindow(window, -50, 300) == StatusSuccess);
    CHECK(GetWindowRect(window, &rect) == StatusSuccess);
    CHECK(rect.Left == -50 && rect.Top == 300 && rect.Right == 150 && rect.Bottom == 400);
    CHECK(PaintWindow(window, &(Rect){5, 5, 5, 5}) == StatusSuccess);
    WindowBuffer before = buffer; // nothing changes when a size is refused
    CHECK(ResizeWindow(window, 0, 10, &buffer) == StatusInvalidParameter);
    CHECK(ResizeWindow(window, 10, 16385, &buffer) == StatusInvalidParameter);
    CHECK(ResizeWindow(window, 16384, 16384, &buffer) == StatusNoMemory);
    CHECK(ResizeWindow(window, 10, 10, NULL) == StatusInvalidAddress);
    CHECK(memcmp(&before, &buffer, sizeof buffer) == 0);
    before.Pixels[0] = 1;
    CHECK(ResizeWindow(window, 300, 7, &buffer) == StatusSuccess);
    CHECK(buffer.Width == 300 && buffer.Height == 7 && buffer.Pixels[6 * buffer.Stride] == 0);
    CHECK(GetWindowRect(window, &rect) == StatusSuccess && rect.Right == 150); // not painted yet
    CHECK(PaintWindow(window, &(Rect){5, 5, 5, 5}) == StatusSuccess);
    CHECK(GetWindowRect(window, &rect) == StatusSuccess);
    CHECK(rect.Left == -50 && rect.Top == 300 && rect.Right == 250 && rect.Bottom == 307);
    CHECK(PaintWindow(window, &(Rect){9, 0, 3, 5}) == StatusInvalidParameter);
    CHECK(SetWindowTitle(window, "\xF0\x9F\x94\xA5 \xFF bad text") == StatusSuccess);
    CHECK(SetWindowFlags(window, WindowRelativeMouse) == StatusSuccess);
    CHECK(SetWindowFlags(window, 64) == StatusInvalidParameter);
    CHECK(ActivateWindow(window) == StatusSuccess);
    CHECK(DuplicateHandle(CurrentProcess, window, CurrentProcess, &other, 0, DuplicateSameAccess) ==
          StatusSuccess);
    CHECK(CloseHandle(window) == StatusSuccess); // the other handle keeps it open
    CHECK(PaintWindow(window, NULL) == StatusInvalidHandle);
    CHECK(PaintWindow(other, NULL) == StatusSuccess);
    CHECK(CloseHandle(other) == StatusSuccess);
}

static void ShowPattern(void)
{
    Rect screen;
    Handle window;
    WindowBuffer buffer;
    Message message;
    CHECK(GetScreenRect(&screen) == StatusSuccess);
    CHECK(Open((uint32_t)screen.Right, (uint32_t)screen.Bottom, 0, 0, 0, &window, &buffer) ==
          StatusSuccess);
    for (uint32_t y = 0; y < buffer.Height; y++)
        for (uint32_t x = 0; x < buffer.Width; x++)
            buffer.Pixels[y * buffer.Stride + x] =
                (x & 255) << 16 | (y & 255) << 8 | ((x >> 8) * 16 + (y >> 8));
    CHECK(PaintWindow(window, NULL) == StatusSuccess);
    puts("pattern");
    fflush(stdout);
    while (GetMessage(&message, InfiniteTimeout) == StatusSuccess &&
           message.Type != MessageKeyDown && message.Type != MessageClose)
        ;
}

static void PrintMessage(const Message *m)
{
    static const char *const names[] = {"none",  "keydown", "keyup", "move",  "down", "up",
                                        "wheel", "focus",   "blur",  "paint", "close"};
    printf("%s", m->Type < sizeof(names) / sizeof(names[0]) ? names[m->Type] : "?");
    if (m->Type == MessageKeyDown || m->Type == MessageKeyUp)
        printf(" %02x %x %x %x", m->Key.Code, m->Key.Modifiers, m->Key.Character, m->Key.Repeat);
    else if (m->Type >= MessageMouseMove && m->Type <= MessageMouseWheel)
        printf(" %d %d %x %x %d", m->Mouse.X, m->Mouse.Y, m->Mouse.Buttons, m->Mouse.Changed,
               m->Mouse.Wheel);
    putchar('\n');
    fflush(stdout);
}

static void ShowMessages(uint32_t flags)
{
    Handle window;
    WindowBuffer buffer;
    Message message;
    CHECK(Open(400, 300, WindowFrame | flags, 100, 100, &window, &buffer) == StatusSuccess);
    for (uint32_t i = 0; i < buffer.Stride * buffer.Height; i++)
        buffer.Pixels[i] = 0x30A060;
    CHECK(PaintWindow(window, NULL) == StatusSuccess);
    puts("ready");
    fflush(stdout);
    do {
        if (GetMessage(&message, InfiniteTimeout) != StatusSuccess)
            break;
        PrintMessage(&message);
        CHECK(message.Window == window);
    } while (message.Type != MessageClose);
    CHECK(CloseHandle(window) == StatusSuccess);
    CHECK(PeekMessage(&message) == StatusWouldBlock);
}

// ---- programs that die with windows

static uint32_t Random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static Handle shared[8]; // of all threads of a storm; they pull the windows from under each other
static WindowBuffer sharedBuffers[8];

static uint32_t Storm(void *context)
{
    uint32_t state = (uint32_t)(uintptr_t)context * 7919 + 1;
    Message message;
    for (;;) {
        uint32_t i = Random(&state) % 8;
        int32_t x = (int32_t)(Random(&state) % 1600) - 200,
                y = (int32_t)(Random(&state) % 1200) - 200;
        uint32_t flags = Random(&state) % 2 ? WindowFrame : 0;
        Rect area = {x, y, x + 100, y + 90};
        switch (Random(&state) % 9) {
        case 0:
            (void)!Open(1 + Random(&state) % 500, 1 + Random(&state) % 400, flags, x, y, &shared[i],
                        &sharedBuffers[i]);
            break;
        case 1:
            (void)!CloseHandle(shared[i]);
            break;
        case 2:
            (void)!MoveWindow(shared[i], x, y);
            break;
        case 3:
            (void)!SetWindowTitle(shared[i], "Storm");
            break;
        case 4:
            (void)!ActivateWindow(shared[i]);
            break;
        case 5:
            (void)!SetWindowFlags(shared[i], flags);
            break;
        case 6:
            (void)!PeekMessage(&message);
            break;
        case 7:
            (void)!GetWindowRect(shared[i], &area);
            break;
        default:
            (void)!PaintWindow(shared[i], Random(&state) % 2 ? &area : NULL);
            break;
        }
    }
}

static void Die(uint32_t how)
{
    Handle thread;
    for (int i = 0; i < 8; i++)
        CHECK(Open(200, 150, WindowFrame, i * 90, 100 + i * 50, &shared[i], &sharedBuffers[i]) ==
              StatusSuccess);
    if (how == 0)
        return;
    if (how == 1)
        *(volatile uint32_t *)16 = 0;
    for (uintptr_t i = 1; i < 3; i++)
        CHECK(CreateThread(Storm, (void *)(how * 3 + i), 0, &thread) == StatusSuccess);
    Storm((void *)(uintptr_t)(how * 3));
}

static void RunChild(unsigned long number)
{
    char line[64];
    Handle child;
    snprintf(line, sizeof line, "/tests/wintest.exe die %lu", number % 4);
    CreateProcessParameters parameters = {.CommandLine = line};
    Status status = CreateProcess(&parameters, &child);
    CHECK(status == StatusSuccess);
    if (status != StatusSuccess)
        return;
    if (number % 4 >= 2) {
        CHECK(WaitForSingleObject(child, (uint32_t)(number * 13 % 97)) == StatusTimeout);
        CHECK(TerminateProcess(child, 5) == StatusSuccess);
    }
    CHECK(WaitForSingleObject(child, 20000) == StatusSuccess);
    CHECK(CloseHandle(child) == StatusSuccess);
}

static void TestDeaths(unsigned long count)
{
    SystemInfo before, after;
    for (unsigned long i = 0; i < count + 8; i++) {
        if (i == 8) {   // caches are warm
            Sleep(200); // what has ended is given back by another thread
            CHECK(GetSystemInfo(&before) == StatusSuccess);
        }
        RunChild(i);
    }
    Sleep(200);
    CHECK(GetSystemInfo(&after) == StatusSuccess);
    CHECK(after.WindowCount == before.WindowCount && after.ProcessCount == before.ProcessCount);
    CHECK(after.HandleCount == before.HandleCount);
    CHECK(after.ThreadCount <= before.ThreadCount); // a thread of start-up may have ended
    int64_t lost = (int64_t)(before.FreeMemory + before.CacheMemory) -
                   (int64_t)(after.FreeMemory + after.CacheMemory);
    printf("deaths: %lld bytes after %lu programs\n", (long long)lost, count);
    CHECK(lost < 512 * 1024); // heap pages may stay half full; one window has 120 KB
}

// ---- priorities

static volatile uint32_t finished;

static uint32_t Compute(void *context)
{
    (void)context;
    while (!finished)
        ;
    return 0;
}

static uint32_t PaintForEver(void *context)
{
    CHECK(SetThreadPriority(CurrentThread, 1) == StatusSuccess);
    while (!finished)
        CHECK(PaintWindow(shared[0], NULL) == StatusSuccess);
    return 0;
}

static void TestInversion(void)
{
    Handle threads[3];
    uint64_t longest = 0;
    CHECK(Open(1000, 600, WindowFrame, 10, 50, &shared[0], &sharedBuffers[0]) == StatusSuccess);
    CHECK(Open(20, 20, 0, 1100, 10, &shared[1], &sharedBuffers[1]) == StatusSuccess);
    CHECK(CreateThread(PaintForEver, NULL, 0, &threads[0]) == StatusSuccess);
    Sleep(50); // it paints, alone
    for (int i = 1; i < 3; i++)
        CHECK(CreateThread(Compute, NULL, 0, &threads[i]) == StatusSuccess);
    for (int i = 0; i < 60; i++) {
        uint64_t start = GetMonotonicTime(), passed;
        CHECK(PaintWindow(shared[1], NULL) == StatusSuccess);
        passed = GetMonotonicTime() - start;
        longest = passed > longest ? passed : longest;
        Sleep(10);
    }
    finished = 1;
    printf("inversion: longest wait %llu ms\n", (unsigned long long)(longest / 1000000));
    for (int i = 0; i < 3; i++)
        CHECK(WaitForSingleObject(threads[i], 10000) == StatusSuccess);
}

// MarkProgram: goes to wait; the next: a key press has arrived.
static void MarkKeys(void)
{
    Handle window;
    WindowBuffer buffer;
    Message message = {};
    CHECK(Open(200, 150, WindowFrame, 50, 100, &window, &buffer) == StatusSuccess);
    printf("ready\n");
    while (message.Type != MessageKeyDown || message.Key.Code != KeyEscape) {
        RTL_MARK(MarkProgram);
        if (GetMessage(&message, InfiniteTimeout) != StatusSuccess)
            return;
        if (message.Type == MessageKeyDown)
            RTL_MARK(MarkProgram + 1);
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "present"))
        TestPresent();
    else if (!strcmp(what, "leak") && argc == 3)
        TestLeak(strtoul(argv[2], NULL, 10));
    else if (!strcmp(what, "deaths") && argc == 3)
        TestDeaths(strtoul(argv[2], NULL, 10));
    else if (!strcmp(what, "die") && argc == 3)
        Die((uint32_t)strtoul(argv[2], NULL, 10));
    else if (!strcmp(what, "inversion"))
        TestInversion();
    else if (!strcmp(what, "limits"))
        TestLimits();
    else if (!strcmp(what, "pattern"))
        ShowPattern();
    else if (!strcmp(what, "messages"))
        ShowMessages(0);
    else if (!strcmp(what, "relative"))
        ShowMessages(WindowRelativeMouse);
    else if (!strcmp(what, "keys"))
        MarkKeys();
    else
        failures = 99;
    return failures > 99 ? 99 : (int)failures;
}
