// main.c - terminal.exe: a window that shows a console.
//
//   terminal.exe [PROGRAM ARGUMENTS...]       without: the shell
//
// Three threads share the screen under one lock. The reader takes what programs write and feeds the
// screen, as fast as they write; the painter draws what is dirty, at most once a frame, so a flood
// of output costs pictures only as often as an eye can see them; the first thread takes the
// window's messages. What is typed goes to the console at once; what is pasted waits in line
// until the console has room.
//
// The window closes when the last program has let go of the console; with a program of one's own,
// at the next key after that, so that its output can be read.
// SPDX-License-Identifier: MIT
#include "MetalKeys.h"
#include "MetalOS.h"

#include "keys.h"
#include "lock.h"
#include "paint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    StartColumns = 96,
    StartRows = 28,
    FrameTime = 15,       // milliseconds between pictures
    WheelLines = 3,       // per notch
    DoubleClickTime = 400 // milliseconds
};
#define MILLISECOND 1000000ull

static Lock showing; // held from drawing to PaintWindow; taken before the other one
static Lock lock;    // guards everything below but the handles
static Screen screen;
static WindowBuffer pixels;
static bool focused;
static char *pending; // typed or pasted, not taken by the console yet
static size_t pendingLength;
static bool ended; // nobody has the console any more; the next key closes the window
static bool selecting;
static uint64_t clickTime;
static uint32_t clickColumn, clickRow, clickCount;
static uint32_t pointerColumn, pointerRow;

static Handle window, terminal;
static Handle changed; // auto-reset: there is something to paint or to type

static void Fail(const char *what, Status status)
{
    char line[256];
    snprintf(line, sizeof line, "terminal: %s: %s", what, GetStatusText(status));
    (void)DebugPrint(line);
    exit(1);
}

// ---- what is typed

// Lock held.
static void FlushPending(void)
{
    size_t taken = 0;
    if (pendingLength == 0)
        return;
    Status status = WriteFile(terminal, pending, pendingLength, &taken);
    pendingLength =
        status == StatusSuccess || status == StatusWouldBlock ? pendingLength - taken : 0;
    memmove(pending, pending + taken, pendingLength);
}

// The screen's reply: keys, and what programs ask the terminal. Lock held.
static void Type(const char *bytes, size_t length, void *context)
{
    if (length == 1 && *bytes == 3) // Control+C does not wait behind a paste
        pendingLength = 0;
    char *grown = realloc(pending, pendingLength + length);
    if (grown == nullptr)
        return;
    pending = grown;
    memcpy(pending + pendingLength, bytes, length);
    pendingLength += length;
    FlushPending();
}

static void Paste(void)
{
    size_t length = 0;
    if (GetClipboard(nullptr, 0, &length) != StatusSuccess || length == 0)
        return;
    size_t size = length;
    char *text = malloc(size);
    if (text == nullptr || GetClipboard(text, size, &length) != StatusSuccess) {
        free(text);
        return;
    }
    length = length < size ? length : size;
    for (size_t i = 0; i < length;
         i++) // Enter types a carriage return; an Escape would end the paste
        text[i] = text[i] == '\n' ? '\r' : text[i] == 0x1B ? ' ' : text[i];
    vterm_keyboard_start_paste(screen.Terminal);
    Type(text, length, nullptr);
    vterm_keyboard_end_paste(screen.Terminal);
    free(text);
}

static void Copy(void)
{
    size_t length;
    char *text = ScreenCopy(&screen, &length);
    if (text != nullptr)
        (void)SetClipboard(text, length);
    free(text);
    ScreenDeselect(&screen);
}

// ---- messages; lock held

// Keys of the terminal itself; true when the key is used up.
static bool OwnKey(uint16_t code, uint16_t modifiers)
{
    bool shift = modifiers & ModifierShift, control = modifiers & ModifierControl;
    int64_t page = screen.Rows > 1 ? screen.Rows - 1 : 1;
    if ((shift && control && code == KeyC) || (control && !shift && code == KeyInsert))
        Copy();
    else if ((shift && control && code == KeyV) || (shift && !control && code == KeyInsert))
        Paste();
    else if (shift && code == KeyPageUp)
        ScreenScroll(&screen, page);
    else if (shift && code == KeyPageDown)
        ScreenScroll(&screen, -page);
    else if (shift && code == KeyHome)
        ScreenScroll(&screen, INT32_MAX);
    else if (shift && code == KeyEnd)
        ScreenScroll(&screen, INT32_MIN);
    else
        return false;
    return true;
}

static void PressKey(const Message *message)
{
    uint16_t code = message->Key.Code, modifiers = message->Key.Modifiers;
    if (OwnKey(code, modifiers))
        return;
    if (ended && message->Key.Character != 0)
        ExitProcess(0);
    if (KeysType(&screen, code, modifiers, message->Key.Character)) {
        ScreenScroll(&screen, INT32_MIN);
        ScreenDeselect(&screen);
    }
}

static void SelectPress(const Message *message)
{
    bool again = message->Time - clickTime < DoubleClickTime * MILLISECOND &&
                 pointerColumn == clickColumn && pointerRow == clickRow;
    clickCount = again ? clickCount % 3 + 1 : 1;
    clickTime = message->Time;
    clickColumn = pointerColumn;
    clickRow = pointerRow;
    selecting = true;
    ScreenSelect(&screen, pointerRow, pointerColumn,
                 clickCount == 1   ? SelectCells
                 : clickCount == 2 ? SelectWords
                                   : SelectLines);
}

// Where the mouse is the program's, unless Shift is held - the keyboard's state is not in mouse
// messages, so a selection takes the program's leave.
static bool MouseIsPrograms(void)
{
    return screen.MouseMode != VTERM_PROP_MOUSE_NONE && screen.Scrolled == 0;
}

static int ButtonNumber(uint32_t button)
{
    return button == MouseButtonLeft ? 1 : button == MouseButtonMiddle ? 2 : 3;
}

static void MouseButton(const Message *message, bool pressed)
{
    uint32_t button = message->Mouse.Changed;
    if (MouseIsPrograms()) {
        vterm_mouse_move(screen.Terminal, (int)pointerRow, (int)pointerColumn, VTERM_MOD_NONE);
        vterm_mouse_button(screen.Terminal, ButtonNumber(button), pressed, VTERM_MOD_NONE);
    } else if (button == MouseButtonLeft) {
        if (pressed)
            SelectPress(message);
        else
            selecting = false;
    } else if (pressed && button == MouseButtonRight) {
        if (screen.Selected)
            Copy();
        else
            Paste();
    } else if (pressed && button == MouseButtonMiddle) {
        Paste();
    }
}

static void MouseMove(const Message *message)
{
    if (MouseIsPrograms()) {
        vterm_mouse_move(screen.Terminal, (int)pointerRow, (int)pointerColumn, VTERM_MOD_NONE);
        return;
    }
    if (!selecting)
        return;
    if (message->Mouse.Y < 0)
        ScreenScroll(&screen, 1);
    else if (message->Mouse.Y >= (int32_t)pixels.Height)
        ScreenScroll(&screen, -1);
    if (screen.Selected || pointerColumn != clickColumn || pointerRow != clickRow)
        ScreenExtend(&screen, pointerRow, pointerColumn);
}

// A program that draws gets the wheel as cursor keys, everybody else scrolls.
static void MouseWheel(const Message *message)
{
    int32_t notches = message->Mouse.Wheel;
    if (MouseIsPrograms()) {
        for (int32_t i = 0; i < notches || i < -notches; i++)
            vterm_mouse_button(screen.Terminal, notches > 0 ? 4 : 5, true, VTERM_MOD_NONE);
    } else if (screen.Shown == 1) {
        for (int32_t i = 0; i < notches * WheelLines || i < -notches * WheelLines; i++)
            vterm_keyboard_key(screen.Terminal, notches > 0 ? VTERM_KEY_UP : VTERM_KEY_DOWN,
                               VTERM_MOD_NONE);
    } else {
        ScreenScroll(&screen, (int64_t)notches * WheelLines);
    }
}

// The user has another size in mind: a buffer of that size, as many cells as it has room for, and
// at once a picture of them, since until then the window stays as it is.
static void Resize(uint32_t width, uint32_t height)
{
    uint32_t columns, rows;
    Rect area;
    PaintFit(width, height, &columns, &rows);
    WindowBuffer made;
    LockAcquire(&showing);
    LockAcquire(&lock);
    if (ResizeWindow(window, width, height, &made) == StatusSuccess) {
        pixels = made;
        if ((columns != screen.Columns || rows != screen.Rows) &&
            ScreenResize(&screen, columns, rows))
            (void)SetConsoleSize(terminal, columns, rows);
        ScreenMarkAllDirty(&screen);
        if (PaintScreen(&screen, &pixels, focused, &area))
            (void)PaintWindow(window, &area);
    }
    LockRelease(&lock);
    LockRelease(&showing);
}

// Lock held.
static void TakeMessage(const Message *message)
{
    switch (message->Type) {
    case MessageKeyDown:
        PressKey(message);
        break;
    case MessageMouseMove:
    case MessageMouseDown:
    case MessageMouseUp:
    case MessageMouseWheel:
        PaintFindCell(&screen, message->Mouse.X, message->Mouse.Y, &pointerColumn, &pointerRow);
        if (message->Type == MessageMouseMove)
            MouseMove(message);
        else if (message->Type == MessageMouseWheel)
            MouseWheel(message);
        else
            MouseButton(message, message->Type == MessageMouseDown);
        break;
    case MessageFocus:
    case MessageBlur:
        focused = message->Type == MessageFocus;
        ScreenMarkAllDirty(&screen);
        break;
    case MessagePaint:
        ScreenMarkAllDirty(&screen);
        break;
    default:
        break;
    }
}

// ---- threads

// context: not nullptr when the window shall stay.
static uint32_t ReadOutput(void *context)
{
    static char buffer[32768];
    size_t length;
    while (ReadFile(terminal, buffer, sizeof buffer, &length) == StatusSuccess) {
        LockAcquire(&lock);
        ScreenWrite(&screen, buffer, length);
        LockRelease(&lock);
        (void)SetEvent(changed);
    }
    if (context == nullptr)
        ExitProcess(0);
    static const char text[] =
        "\r\n\x1B[0;38;5;243m[the program has ended; a key closes]\x1B[0m\x1B[?25l";
    LockAcquire(&lock);
    ScreenWrite(&screen, text, sizeof text - 1);
    ended = true;
    LockRelease(&lock);
    (void)SetEvent(changed);
    return 0;
}

static uint32_t Paint(void *context)
{
    for (;;) {
        Rect area;
        bool waiting;
        char title[sizeof screen.Title] = "";
        if (WaitForSingleObject(changed, InfiniteTimeout) != StatusSuccess)
            return 1;
        LockAcquire(&showing);
        LockAcquire(&lock);
        bool painted = PaintScreen(&screen, &pixels, focused, &area);
        if (screen.TitleChanged)
            memcpy(title, screen.Title, sizeof title);
        screen.TitleChanged = false;
        FlushPending();
        waiting = pendingLength != 0;
        LockRelease(&lock);
        if (painted)
            (void)PaintWindow(window, &area);
        LockRelease(&showing);
        if (title[0])
            (void)SetWindowTitle(window, title);
        if (waiting)
            (void)SetEvent(changed); // looked at again after the pause
        Sleep(FrameTime);
    }
}

// ---- start

static void StartThread(ThreadEntry entry, void *context)
{
    Handle thread;
    Status status = CreateThread(entry, context, 0, &thread);
    if (status != StatusSuccess)
        Fail("starting a thread", status);
    (void)CloseHandle(thread);
}

// The title until the program sets one: its name.
static void NameWindow(const char *program, char *title, size_t size)
{
    const char *name = strrchr(program, '/');
    snprintf(title, size, "%s", name != nullptr ? name + 1 : program);
    char *ending = strrchr(title, '.');
    if (ending != nullptr && strcasecmp(ending, ".exe") == 0)
        *ending = '\0';
}

// program: the path of what will run in it, nullptr: the shell.
static void OpenWindow(const char *program)
{
    char title[64] = "Terminal";
    if (program != nullptr)
        NameWindow(program, title, sizeof title);
    WindowParameters parameters = {
        .Title = title,
        .X = WindowPositionDefault,
        .Y = WindowPositionDefault,
        .Flags = WindowFrame | WindowResizable,
    };
    Rect area;
    uint32_t columns = StartColumns, rows = StartRows;
    Status status = GetScreenRect(&area);
    if (status == StatusSuccess) { // what a small screen has room for
        uint32_t mostColumns, mostRows;
        PaintFit((uint32_t)(area.Right - area.Left) * 9 / 10,
                 (uint32_t)(area.Bottom - area.Top) * 8 / 10, &mostColumns, &mostRows);
        columns = columns < mostColumns ? columns : mostColumns;
        rows = rows < mostRows ? rows : mostRows;
        PaintMeasure(columns, rows, &parameters.Width, &parameters.Height);
        status = AllocWindow(&parameters, &window, &pixels);
    }
    if (status != StatusSuccess)
        Fail("opening a window", status);
    if (!ScreenOpen(&screen, columns, rows, Type, nullptr))
        Fail("opening a window", StatusNoMemory);
}

// The command line behind our own name.
static const char *ChooseProgram(int argc, char **argv, char *line, size_t size)
{
    size_t used = 0;
    if (argc < 2)
        return "/system/shell.exe";
    for (int i = 1; i < argc && used < size; i++)
        used += (size_t)snprintf(line + used, size - used, "%s\"%s\"", i > 1 ? " " : "", argv[i]);
    return line;
}

static void StartProgram(const char *command)
{
    Handle console, process;
    Status status = CreateConsole(screen.Columns, screen.Rows, &terminal, &console);
    if (status != StatusSuccess)
        Fail("making a console", status);
    CreateProcessParameters parameters = {
        .CommandLine = command,
        .StandardInput = console,
        .StandardOutput = console,
        .StandardError = console,
    };
    setenv("TERM", "xterm-256color", 1);
    status = CreateProcess(&parameters, &process);
    if (status != StatusSuccess) {
        char text[1200];
        size_t moved;
        snprintf(text, sizeof text, "%s cannot be started: %s\n", command, GetStatusText(status));
        (void)WriteFile(console, text, strlen(text), &moved);
        return; // the console stays open, so that this can be read
    }
    (void)CloseHandle(process);
    (void)CloseHandle(console);
}

int main(int argc, char **argv)
{
    char line[4096];
    Message message;
    Status status = CreateEvent(false, true, &changed);
    if (status != StatusSuccess)
        Fail("making an event", status);
    OpenWindow(argc > 1 ? argv[1] : nullptr);
    StartProgram(ChooseProgram(argc, argv, line, sizeof line));
    StartThread(ReadOutput, argc > 1 ? argv : nullptr);
    StartThread(Paint, nullptr);
    while (GetMessage(&message, InfiniteTimeout) == StatusSuccess && message.Type != MessageClose) {
        if (message.Type == MessageResize) {
            Resize(message.Size.Width, message.Size.Height);
            continue;
        }
        LockAcquire(&lock);
        TakeMessage(&message);
        LockRelease(&lock);
        (void)SetEvent(changed);
    }
    ExitProcess(0); // the console hangs up with our handles
}
