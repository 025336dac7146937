// windows.c - windows and messages, as far as a program can see them without a user.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <string.h>

static void DrainMessages(void)
{
    Message message;
    for (int i = 0; i < 100 && PeekMessage(&message) == StatusSuccess; i++) {}
}

static void TestLifeOfWindow(void)
{
    WindowParameters parameters = {"apitest", 50, 60, 200, 100, WindowFrame};
    WindowBuffer buffer = {};
    Handle window;
    Rect rect;
    SystemInfo before, after;
    OK(GetSystemInfo(&before));
    OK(AllocWindow(&parameters, &window, &buffer));
    CHECK(buffer.Pixels && buffer.Width == 200 && buffer.Height == 100 && buffer.Stride >= 200);
    bool black = true;
    for (uint32_t y = 0; y < buffer.Height; y++)
        for (uint32_t x = 0; x < buffer.Width; x++)
            black &= (buffer.Pixels[y * buffer.Stride + x] & 0xFFFFFF) == 0;
    CHECK(black);
    OK(GetWindowRect(window, &rect));
    EQUAL(rect.Right - rect.Left, 200);
    EQUAL(rect.Bottom - rect.Top, 100);
    for (uint32_t i = 0; i < buffer.Height; i++)
        memset(buffer.Pixels + i * buffer.Stride, (int)i, buffer.Width * 4);
    OK(PaintWindow(window, nullptr));
    static const Rect areas[] = {{0, 0, 10, 10},
                                 {-50, -50, 1000, 1000},
                                 {5, 5, 5, 5},
                                 {10, 10, 5, 5},
                                 {INT32_MIN, INT32_MIN, INT32_MAX, INT32_MAX},
                                 {INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN},
                                 {300, 300, 400, 400}};
    for (size_t i = 0; i < COUNT_OF(areas); i++) {
        Status status = PaintWindow(window, &areas[i]);
        CHECK(status == StatusSuccess || status == StatusInvalidParameter);
    }
    OK(SetWindowTitle(window, "another title"));
    OK(SetWindowTitle(window, ""));
    CHECK(SetWindowFlags(window, 0xFFFF) != StatusSuccess);
    OK(SetWindowFlags(window, WindowFrame));
    OK(ActivateWindow(window));
    OK(CloseHandle(window));
    STATUS(PaintWindow(window, nullptr), StatusInvalidHandle);
    OK(GetSystemInfo(&after));
    EQUAL(after.WindowCount, before.WindowCount);
    MemoryInfo info;
    OK(VirtualQuery(buffer.Pixels, &info));
    EQUAL(info.Kind, 0); // the buffer went with the window
}

// To every edge and far beyond: no pixel is written outside the screen.
static void TestPlaces(void)
{
    WindowParameters parameters = {"places", 0, 0, 300, 200, WindowFrame};
    WindowBuffer buffer;
    Handle window;
    Rect screen, rect;
    OK(GetScreenRect(&screen));
    CHECK(screen.Left == 0 && screen.Top == 0 && screen.Right >= 640 && screen.Bottom >= 480);
    if (!OK(AllocWindow(&parameters, &window, &buffer)))
        return;
    const int32_t xs[] = {0,
                          -1,
                          -299,
                          -300,
                          -301,
                          -100000,
                          INT32_MIN,
                          screen.Right - 1,
                          screen.Right,
                          screen.Right + 50,
                          INT32_MAX - 400,
                          INT32_MAX};
    const int32_t ys[] = {0,
                          -1,
                          -199,
                          -200,
                          -230,
                          INT32_MIN,
                          screen.Bottom - 1,
                          screen.Bottom,
                          screen.Bottom + 3,
                          INT32_MAX - 300,
                          INT32_MAX};
    for (size_t i = 0; i < COUNT_OF(xs); i++) {
        for (size_t j = 0; j < COUNT_OF(ys); j++) {
            Status status = MoveWindow(window, xs[i], ys[j]);
            CHECK(status == StatusSuccess || status == StatusInvalidParameter);
            OK(PaintWindow(window, nullptr));
            OK(GetWindowRect(window, &rect));
            EQUAL((int64_t)rect.Right - rect.Left, 300);
        }
    }
    OK(MoveWindow(window, 20, 40));
    OK(GetWindowRect(window, &rect));
    EQUAL(rect.Left, 20);
    EQUAL(rect.Top, 40);
    OK(CloseHandle(window));
}

static void TestWindowErrors(void)
{
    WindowBuffer buffer;
    Handle window;
    static const WindowParameters wrong[] = {
        {"w", 0, 0, 0, 100, 0},
        {"w", 0, 0, 100, 0, 0},
        {"w", 0, 0, 16385, 10, 0},
        {"w", 0, 0, 10, 16385, 0},
        {"w", 0, 0, UINT32_MAX, UINT32_MAX, 0},
        {"w", 0, 0, 10, 10, 0x8000},
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        STATUS(AllocWindow(&wrong[i], &window, &buffer), StatusInvalidParameter);
    WindowParameters huge = {"huge", 0,     0,
                             16384,  16384, 0}; // 1 GiB: there may be that much, or not
    Status status = AllocWindow(&huge, &window, &buffer);
    CHECK(status == StatusSuccess || status == StatusNoMemory || status == StatusLimitReached ||
          status == StatusNoAddressSpace);
    if (status == StatusSuccess)
        OK(CloseHandle(window));
    static char title[2000];
    memset(title, 't', sizeof title - 1);
    WindowParameters longTitle = {title, 0, 0, 10, 10, 0};
    status = AllocWindow(&longTitle, &window, &buffer);
    CHECK(status == StatusSuccess || status == StatusNameTooLong ||
          status == StatusInvalidParameter);
    if (status == StatusSuccess)
        OK(CloseHandle(window));
}

// All over the screen: in one pile, each would be painted through the shadows of all others.
static void TestManyWindows(void)
{
    static Handle windows[300];
    WindowBuffer buffer;
    SystemInfo before, after;
    OK(GetSystemInfo(&before));
    for (int round = 0; round < 2; round++) {
        size_t count = 0;
        for (; count < COUNT_OF(windows); count++) {
            int32_t x = (int32_t)(count % 20) * 50, y = (int32_t)(count / 20) * 45;
            WindowParameters parameters = {"many", x, y, 30, 10, WindowFrame | WindowNoActivate};
            if (AllocWindow(&parameters, &windows[count], &buffer) != StatusSuccess)
                break;
        }
        CHECK(count >= 16);
        for (size_t i = 0; i < count; i++)
            OK(CloseHandle(windows[i]));
    }
    OK(GetSystemInfo(&after));
    EQUAL(after.WindowCount, before.WindowCount);
}

static void TestMessages(void)
{
    WindowParameters parameters = {"messages", 100, 100, 50, 50, WindowFrame};
    WindowBuffer buffer;
    Handle window;
    Message message;
    DrainMessages();
    STATUS(PeekMessage(&message), StatusWouldBlock);
    uint64_t start = GetMonotonicTime();
    STATUS(GetMessage(&message, 50), StatusTimeout);
    uint64_t taken = GetMonotonicTime() - start;
    CHECK(taken >= 50000000 && taken < 1050000000);
    if (!OK(AllocWindow(&parameters, &window, &buffer)))
        return;
    bool focused = false;
    while (GetMessage(&message, 500) == StatusSuccess)
        focused |= message.Type == MessageFocus && message.Window == window;
    CHECK(focused);
    OK(CloseHandle(window));
    DrainMessages();
    STATUS(GetMessage(&message, 0), StatusTimeout);
}

void TestWindows(void)
{
    TestLifeOfWindow();
    TestPlaces();
    TestWindowErrors();
    TestManyWindows();
    TestMessages();
}
