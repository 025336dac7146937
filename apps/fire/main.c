// fire.exe - the DOOM fire in a window.
//
// Left and right arrow: wind. Space: lights it or lets it go out. Escape or the close button: ends.
// `-frames N` ends after N frames and prints how many a second there were.
// SPDX-License-Identifier: MIT
#include "MetalKeys.h"
#include "MetalOS.h"

#include "fire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FramesPerSecond = 60 };
static constexpr uint64_t second = 1'000'000'000, millisecond = 1'000'000;

static Fire fire;
static bool ended;

static void HandleKey(const Message *message)
{
    switch (message->Key.Code) {
    case KeyLeft:
        fire.Wind -= fire.Wind > -FireStrongest;
        break;
    case KeyRight:
        fire.Wind += fire.Wind < FireStrongest;
        break;
    case KeyDown:
        fire.Wind = 0;
        break;
    case KeySpace:
        if (!message->Key.Repeat)
            FireLight(&fire, !fire.Lit);
        break;
    case KeyEscape:
        ended = true;
        break;
    default:
        break;
    }
}

// Deals with messages until the time of the next frame.
static void HandleMessages(uint64_t until)
{
    Message message;
    for (;;) {
        uint64_t now = GetMonotonicTime();
        uint32_t wait = now < until ? (uint32_t)((until - now + millisecond - 1) / millisecond) : 0;
        if (GetMessage(&message, wait) != StatusSuccess)
            return;
        if (message.Type == MessageClose)
            ended = true;
        else if (message.Type == MessageKeyDown)
            HandleKey(&message);
        if (ended)
            return;
    }
}

static Status Run(Handle window, const WindowBuffer *buffer, unsigned long frames)
{
    uint64_t start = GetMonotonicTime(), shown = 0;
    while (!ended && (frames == 0 || shown < frames)) {
        FireStep(&fire);
        FireDraw(&fire, buffer->Pixels, buffer->Stride);
        Status status = PaintWindow(window, NULL);
        if (status != StatusSuccess)
            return status;
        shown++;
        uint64_t next = start + shown * second / FramesPerSecond, now = GetMonotonicTime();
        if (now > next + second / 4) // fell behind: no hurry to catch up
            start += now - next;
        HandleMessages(next);
    }
    uint64_t passed = GetMonotonicTime() - start;
    unsigned tenths = (unsigned)(shown * 10 * second / (passed ? passed : 1));
    printf("fire: %llu frames, %u.%u a second\n", (unsigned long long)shown, tenths / 10,
           tenths % 10);
    return StatusSuccess;
}

static int Complain(const char *what, Status status)
{
    fprintf(stderr, "fire: %s: %s\n", what, GetStatusText(status));
    return 1;
}

int main(int argc, char **argv)
{
    unsigned long frames = 0;
    if (argc == 3 && !strcmp(argv[1], "-frames")) {
        frames = strtoul(argv[2], NULL, 10);
    } else if (argc != 1) {
        fputs("usage: fire.exe [-frames N]\n", stderr);
        return 2;
    }
    WindowParameters parameters = {.Title = "Fire",
                                   .X = WindowPositionDefault,
                                   .Y = WindowPositionDefault,
                                   .Width = FireWidth * FireScale,
                                   .Height = FireHeight * FireScale,
                                   .Flags = WindowFrame};
    Handle window;
    WindowBuffer buffer;
    Status status = AllocWindow(&parameters, &window, &buffer);
    if (status != StatusSuccess)
        return Complain("no window", status);
    FireStart(&fire, (uint32_t)GetMonotonicTime());
    status = Run(window, &buffer, frames);
    if (status != StatusSuccess)
        return Complain("the window cannot be painted", status);
    status = CloseHandle(window);
    return status == StatusSuccess ? 0 : Complain("the window cannot be closed", status);
}
