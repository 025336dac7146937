// tasks.exe - the task manager: what each program uses, each processor's load, memory, updated once
// a second; ends programs.
// SPDX-License-Identifier: MIT
#include "MetalKeys.h"
#include "tasks.h"

#include <stdio.h>
#include <string.h>

constexpr uint32_t UpdateInterval = 1000; // milliseconds

static Sample sample;
static View view;

static size_t FindSelected(void)
{
    for (size_t i = 0; i < sample.TaskCount; i++)
        if (sample.Tasks[i].Info.ProcessId == view.Selected)
            return i;
    return SIZE_MAX;
}

static size_t LastTop(void)
{
    size_t rows = ViewRowCount(&view), length = ViewLength(&view, &sample);
    return length > rows ? length - rows : 0;
}

static void KeepInList(void)
{
    view.Top = RTL_MIN(view.Top, LastTop());
}

static Status Update(void)
{
    Status status = SampleTake(&sample);
    if (status != StatusSuccess)
        return status;
    SampleSort(&sample, view.SortedBy, view.Descending);
    if (FindSelected() == SIZE_MAX)
        view.Selected = 0;
    KeepInList();
    return StatusSuccess;
}

static void TurnPage(void)
{
    view.Page = view.Page == PagePrograms ? PageCounters : PagePrograms;
    view.Top = 0;
    view.Notice[0] = '\0';
}

static void EndTask(void)
{
    size_t index = FindSelected();
    if (index == SIZE_MAX)
        return;
    const ProcessInfo *info = &sample.Tasks[index].Info;
    constexpr uint32_t ended = 1; // exit code
    Handle process;
    Status status = OpenProcess(info->ProcessId, AccessTerminate, &process);
    if (status == StatusSuccess) {
        status = TerminateProcess(process, ended);
        (void)CloseHandle(process);
    }
    if (status == StatusSuccess)
        snprintf(view.Notice, sizeof view.Notice, "%s was ended.", info->Name);
    else
        snprintf(view.Notice, sizeof view.Notice, "%s was not ended: %s", info->Name,
                 GetStatusText(status));
}

static void MoveSelection(int by)
{
    size_t index = FindSelected();
    if (sample.TaskCount == 0)
        return;
    if (index == SIZE_MAX)
        index = 0;
    else if (by < 0 ? index > 0 : index + 1 < sample.TaskCount)
        index += (size_t)by;
    view.Selected = sample.Tasks[index].Info.ProcessId;
    if (index < view.Top)
        view.Top = index;
    if (index >= view.Top + ViewRowCount(&view))
        view.Top = index + 1 - ViewRowCount(&view);
}

static void Scroll(int32_t notches)
{
    size_t steps = (size_t)(notches < 0 ? -notches : notches) * 3;
    view.Top = notches > 0 ? view.Top - RTL_MIN(view.Top, steps) : view.Top + steps;
    KeepInList();
}

static void Press(int32_t x, int32_t y)
{
    size_t row;
    Column column;
    if (ViewFindRow(&view, &sample, x, y, &row)) {
        view.Selected = sample.Tasks[row].Info.ProcessId;
        view.Notice[0] = '\0';
    } else if (ViewFindHead(&view, x, y, &column)) {
        view.Descending = view.SortedBy == column ? !view.Descending : column >= ColumnLoad;
        view.SortedBy = column;
        SampleSort(&sample, column, view.Descending);
    }
}

static void Key(uint16_t code)
{
    if (code == KeyTab)
        TurnPage();
    if (code == KeyUp || code == KeyDown) {
        if (view.Page == PagePrograms)
            MoveSelection(code == KeyUp ? -1 : 1);
        else
            Scroll(code == KeyUp ? 1 : -1);
    }
    if (code == KeyDelete && view.Page == PagePrograms)
        EndTask();
}

static void Resize(uint32_t width, uint32_t height)
{
    // Without memory for it, it stays as it is.
    (void)UiResizeWindow(&view.Window, RTL_MAX(width, (uint32_t)ViewWidth),
                         RTL_MAX(height, (uint32_t)ViewLeastHeight));
    ViewPlace(&view);
    Scroll(0);
}

// False: the window is to close.
static bool HandleMessage(const Message *message, bool *changed)
{
    if (UiButtonMessage(&view.End, message, changed)) {
        EndTask();
        *changed = true;
    }
    if (UiButtonMessage(&view.Turn, message, changed)) {
        TurnPage();
        *changed = true;
    }
    switch (message->Type) {
    case MessageClose:
        return false;
    case MessageKeyDown:
        if (message->Key.Code == KeyEscape)
            return false;
        Key(message->Key.Code);
        *changed = true;
        break;
    case MessageMouseDown:
        Press(message->Mouse.X, message->Mouse.Y);
        *changed = true;
        break;
    case MessageMouseWheel:
        Scroll(message->Mouse.Wheel);
        *changed = true;
        break;
    case MessageResize:
        Resize(message->Size.Width, message->Size.Height);
        *changed = true;
        break;
    default:
        break;
    }
    return true;
}

static Status Run(void)
{
    Status status = Update();
    uint64_t next = GetMonotonicTime() + UpdateInterval * 1000000ull;
    bool open = true, changed = true;
    while (status == StatusSuccess && open) {
        if (changed) {
            ViewDraw(&view, &sample);
            status = PaintWindow(view.Window.Handle, nullptr);
            changed = false;
        }
        uint64_t now = GetMonotonicTime();
        Message message;
        Status got = GetMessage(&message, now >= next ? 0 : (uint32_t)((next - now) / 1000000) + 1);
        if (got == StatusSuccess) {
            open = HandleMessage(&message, &changed);
        } else if (got == StatusTimeout) {
            status = Update();
            next = GetMonotonicTime() + UpdateInterval * 1000000ull;
            changed = true;
        } else {
            status = got;
        }
    }
    return status;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        bool help = strcmp(argv[1], "--help") == 0;
        fprintf(
            help ? stdout : stderr,
            "usage: tasks.exe\nShows what programs use and ends them (Delete, or the button). A "
            "click on a column's head sorts by it. Tab: what the kernel counts.\n");
        return help ? 0 : 2;
    }
    view.SortedBy = ColumnLoad;
    view.Descending = true;
    view.End.Label = "End task";
    view.Turn.Enabled = true;
    Status status = UiOpenWindow(&view.Window, "Tasks", ViewWidth, ViewHeight, WindowResizable);
    ViewPlace(&view);
    if (status == StatusSuccess)
        status = Run();
    if (status != StatusSuccess)
        fprintf(stderr, "tasks: %s\n", GetStatusText(status));
    return status == StatusSuccess ? 0 : 1;
}
