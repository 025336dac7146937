// stopped.exe PROGRAM WHAT WHERE - tells the person at the screen that a program with windows has
// failed. The runtime starts it unless one is there already, which an event of that name tells; the
// whole report is on the program's standard error and in the system log.
// SPDX-License-Identifier: MIT
#include "MetalKeys.h"
#include "ui.h"

#include <stdio.h>
#include <string.h>

enum { Width = 460, Height = 168, Margin = 20 };

typedef struct Notice {
    const char *Program, *What, *Where;
    UiWindow Window;
    UiButton Close;
} Notice;

static void Draw(const Notice *notice)
{
    const UiWindow *window = &notice->Window;
    int32_t left = Margin, right = Width - Margin;
    GfxFill(&window->Surface, window->Surface.Bounds, UiCard);
    GfxRoundRect(&window->Surface, (Rect){left, 22, left + 4, 48}, 2, UiAlarm, 256);
    UiDrawText(window, &GfxFontLarge, (Rect){left + 16, 18, right, 52}, UiLeft, UiBright,
               "%s has stopped", notice->Program);
    UiDrawText(window, &GfxFontText, (Rect){left, 60, right, 80}, UiLeft, UiText, "%s",
               notice->What);
    UiDrawText(window, &GfxFontText, (Rect){left, 82, right, 102}, UiLeft, UiMuted, "in %s",
               notice->Where);
    UiDrawText(window, &GfxFontSmall, (Rect){left, Height - 44, right - 100, Height - 20}, UiLeft,
               UiMuted, "The system log has the whole report.");
    UiDrawButton(window, &notice->Close);
}

static bool IsEnd(const Message *message)
{
    return message->Type == MessageClose ||
           (message->Type == MessageKeyDown &&
            (message->Key.Code == KeyEscape || message->Key.Code == KeyEnter));
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
        fprintf(help ? stdout : stderr,
                "usage: stopped.exe PROGRAM WHAT WHERE\nShows that a program has stopped.\n");
        return help ? 0 : 2;
    }
    Notice notice = {
        .Program = argv[1],
        .What = argv[2],
        .Where = argv[3],
        .Close = {{Width - Margin - 88, Height - 48, Width - Margin, Height - 18}, "Close", true},
    };
    Handle here;
    Status status = CreateEvent(true, false, &here);
    if (status == StatusSuccess && NameObject(here, "stopped.exe") == StatusAlreadyExists)
        return 0;
    if (status == StatusSuccess)
        status = UiOpenWindow(&notice.Window, "Program stopped", Width, Height, 0);
    Message message = {};
    bool changed = true;
    while (status == StatusSuccess) {
        if (changed) {
            Draw(&notice);
            status = PaintWindow(notice.Window.Handle, nullptr);
        }
        changed = false;
        if (status == StatusSuccess)
            status = GetMessage(&message, InfiniteTimeout);
        if (UiButtonMessage(&notice.Close, &message, &changed) || IsEnd(&message))
            return 0;
    }
    fprintf(stderr, "stopped: no window: %s\n", GetStatusText(status));
    return 1;
}
