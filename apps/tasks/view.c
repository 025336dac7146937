// view.c - the task manager's window: graphs of the processors and of memory above, the list below.
// SPDX-License-Identifier: MIT
#include "tasks.h"

#include <stdio.h>
#include <string.h>

enum {
    Margin = 14,
    GraphTop = 30,
    GraphBottom = 110,
    HeadTop = 124,
    HeadBottom = 146,
    RowHeight = 22,
    FootHeight = 52,
    MemoryWidth = 200,
    Gap = 8,
};

static const struct {
    const char *Name;
    int32_t Left, Right;
    UiAlign Align;
} columns[ColumnCount] = {
    [ColumnName] = {"Program", 24, 200, UiLeft},
    [ColumnId] = {"Id", 200, 250, UiRight},
    [ColumnLoad] = {"Processor", 250, 330, UiRight},
    [ColumnMemory] = {"Memory", 330, 420, UiRight},
    [ColumnThreads] = {"Threads", 420, 490, UiRight},
    [ColumnHandles] = {"Handles", 490, 560, UiRight},
    [ColumnCalls] = {"Calls / s", 560, 636, UiRight},
};

static int32_t Width(const View *view)
{
    return GfxWidth(view->Window.Surface.Bounds);
}

static int32_t RowsBottom(const View *view)
{
    return GfxHeight(view->Window.Surface.Bounds) - FootHeight;
}

size_t ViewRowCount(const View *view)
{
    return (size_t)RTL_MAX(0, RowsBottom(view) - HeadBottom) / RowHeight;
}

// The first column takes what a wide window has to give.
static Rect ColumnRect(const View *view, Column column, int32_t top, int32_t bottom)
{
    int32_t more = Width(view) - ViewWidth;
    return (Rect){columns[column].Left + (column == ColumnName ? 0 : more), top,
                  columns[column].Right + more, bottom};
}

void ViewPlace(View *view)
{
    Rect all = view->Window.Surface.Bounds;
    view->End.Area =
        (Rect){all.Right - Margin - 108, all.Bottom - 42, all.Right - Margin, all.Bottom - 12};
    view->Turn.Area = (Rect){view->End.Area.Left - Gap - 108, view->End.Area.Top,
                             view->End.Area.Left - Gap, view->End.Area.Bottom};
}

static void DrawGraph(const GfxSurface *to, Rect area, const uint8_t *history, uint32_t color)
{
    GfxRoundRect(to, area, 5, UiRaised, 256);
    Rect inner = GfxInflate(area, -3);
    int32_t width = GfxWidth(inner), height = GfxHeight(inner);
    for (int32_t x = 0; x < width; x++) {
        int32_t index =
            HistoryLength - 1 - (width - 1 - x) * HistoryLength / RTL_MAX(width, HistoryLength);
        if (width < HistoryLength)
            index = HistoryLength - width + x;
        int32_t top = inner.Bottom - history[index] * height / 100;
        Rect bar = {inner.Left + x, top, inner.Left + x + 1, inner.Bottom};
        GfxTint(to, bar, color, 90);
        GfxFill(to,
                (Rect){bar.Left, RTL_MIN(top, inner.Bottom - 1), bar.Right,
                       RTL_MIN(top, inner.Bottom - 1) + 1},
                color);
    }
}

// All processors side by side in as many rows as it takes to keep them visible.
static void DrawProcessors(const View *view, const Sample *sample)
{
    const UiWindow *window = &view->Window;
    uint32_t count = sample->ProcessorCount, perRow = count > 8 ? (count + 1) / 2 : count,
             total = 0;
    if (count > 32)
        perRow = 16;
    uint32_t rows = perRow == 0 ? 1 : (count + perRow - 1) / perRow;
    int32_t left = Margin, right = Width(view) - Margin - MemoryWidth - Gap;
    int32_t height = (GraphBottom - GraphTop) / (int32_t)rows;
    for (uint32_t i = 0; i < count; i++) {
        int32_t column = (int32_t)(i % perRow), row = (int32_t)(i / perRow);
        int32_t span = right - left + Gap / 2;
        Rect area = {left + span * column / (int32_t)perRow, GraphTop + height * row,
                     left + span * (column + 1) / (int32_t)perRow - Gap / 2,
                     GraphTop + height * (row + 1) - (rows > 1 ? 2 : 0)};
        DrawGraph(&window->Surface, area, sample->History[i], UiAccent);
        total += sample->Load[i];
    }
    UiDrawText(window, &GfxFontTitle, (Rect){left, 8, right, 28}, UiLeft, UiText,
               count == 1 ? "Processor  %u %%" : "%2$u processors  %1$u %%",
               count == 0 ? 0 : total / count / 10, count);
}

static void DrawMemory(const View *view, const Sample *sample)
{
    const UiWindow *window = &view->Window;
    const SystemInfo *system = &sample->System;
    int32_t left = Width(view) - Margin - MemoryWidth, right = Width(view) - Margin;
    uint64_t used = system->TotalMemory - system->FreeMemory - system->CacheMemory;
    DrawGraph(&window->Surface, (Rect){left, GraphTop, right, GraphBottom}, sample->MemoryHistory,
              0x5AA9E6);
    UiDrawText(window, &GfxFontTitle, (Rect){left, 8, right, 28}, UiLeft, UiText,
               "Memory  %llu of %llu MiB", (unsigned long long)(used >> 20),
               (unsigned long long)(system->TotalMemory >> 20));
}

static void DrawHead(const View *view)
{
    const UiWindow *window = &view->Window;
    for (Column c = 0; c < ColumnCount; c++) {
        Rect area = ColumnRect(view, c, HeadTop, HeadBottom);
        bool sorted = view->SortedBy == c;
        UiDrawText(window, &GfxFontSmall, area, columns[c].Align, sorted ? UiBright : UiMuted,
                   sorted ? "%s %s" : "%s", columns[c].Name,
                   view->Descending ? "\u2193" : "\u2191");
    }
    GfxFill(&window->Surface, (Rect){Margin, HeadBottom, Width(view) - Margin, HeadBottom + 1},
            UiLine);
}

static void DrawCell(const UiWindow *window, const Task *task, Column column, Rect area,
                     uint32_t color)
{
    const ProcessInfo *info = &task->Info;
    const GfxFont *font = &GfxFontText;
    UiAlign align = columns[column].Align;
    switch (column) {
    case ColumnName:
        UiDrawText(window, font, area, align, color, "%s", info->Name);
        break;
    case ColumnId:
        UiDrawText(window, font, area, align, color, "%u", info->ProcessId);
        break;
    case ColumnLoad:
        UiDrawText(window, font, area, align, color, "%u.%u %%", task->Load / 10, task->Load % 10);
        break;
    case ColumnMemory:
        UiDrawText(window, font, area, align, color, "%llu KiB",
                   (unsigned long long)(info->ResidentMemory >> 10));
        break;
    case ColumnThreads:
        UiDrawText(window, font, area, align, color, "%u", info->ThreadCount);
        break;
    case ColumnHandles:
        UiDrawText(window, font, area, align, color, "%u", info->HandleCount);
        break;
    default:
        UiDrawText(window, font, area, align, color, "%llu", (unsigned long long)task->Calls);
        break;
    }
}

static void DrawRows(const View *view, const Sample *sample)
{
    const UiWindow *window = &view->Window;
    for (size_t i = view->Top; i < sample->TaskCount && i < view->Top + ViewRowCount(view); i++) {
        const Task *task = &sample->Tasks[i];
        int32_t top = HeadBottom + 2 + (int32_t)(i - view->Top) * RowHeight;
        bool selected = task->Info.ProcessId == view->Selected;
        if (selected)
            GfxRoundRect(&window->Surface,
                         (Rect){Margin, top, Width(view) - Margin, top + RowHeight}, 6, UiAccent,
                         236);
        for (Column c = 0; c < ColumnCount; c++)
            DrawCell(window, task, c, ColumnRect(view, c, top, top + RowHeight),
                     selected          ? 0x1A0D06
                     : c == ColumnName ? UiBright
                                       : UiText);
    }
}

size_t ViewLength(const View *view, const Sample *sample)
{
    return view->Page == PagePrograms ? sample->TaskCount : sample->CounterCount;
}

// ---- the page of counters
static void DrawCounterRow(const View *view, int32_t top, const GfxFont *font, const char *name,
                           const char *value, const char *change, uint32_t color)
{
    enum { NameLeft = 24, ChangeWidth = 130, ValueWidth = 190 };
    const UiWindow *window = &view->Window;
    int32_t bottom = top + RowHeight, right = Width(view) - 24, middle = right - ChangeWidth;
    int32_t left = middle - ValueWidth;
    UiDrawText(window, font, (Rect){NameLeft, top, left, bottom}, UiLeft, color, "%s", name);
    UiDrawText(window, font, (Rect){left, top, middle, bottom}, UiRight, color, "%s", value);
    UiDrawText(window, font, (Rect){middle, top, right, bottom}, UiRight, color, "%s", change);
}

static void DrawCounters(const View *view, const Sample *sample)
{
    DrawCounterRow(view, HeadTop, &GfxFontSmall, "Counter", "Value", "Change / s", UiMuted);
    GfxFill(&view->Window.Surface, (Rect){Margin, HeadBottom, Width(view) - Margin, HeadBottom + 1},
            UiLine);
    for (size_t i = view->Top; i < sample->CounterCount && i < view->Top + ViewRowCount(view);
         i++) {
        const Counter *counter = &sample->Counters[i];
        char value[24], change[24] = "";
        snprintf(value, sizeof value, "%llu", (unsigned long long)counter->Info.Value);
        if (counter->Change != 0)
            snprintf(change, sizeof change, "%+lld", (long long)counter->Change);
        DrawCounterRow(view, HeadBottom + 2 + (int32_t)(i - view->Top) * RowHeight, &GfxFontText,
                       counter->Info.Name, value, change, counter->Change != 0 ? UiBright : UiText);
    }
}

void ViewDraw(View *view, const Sample *sample)
{
    const UiWindow *window = &view->Window;
    GfxFill(&window->Surface, window->Surface.Bounds, UiCard);
    DrawProcessors(view, sample);
    DrawMemory(view, sample);
    if (view->Page == PagePrograms) {
        DrawHead(view);
        DrawRows(view, sample);
    } else {
        DrawCounters(view, sample);
    }
    GfxFill(&window->Surface,
            (Rect){Margin, RowsBottom(view) + 4, Width(view) - Margin, RowsBottom(view) + 5},
            UiLine);
    Rect foot = {Margin, view->End.Area.Top, view->Turn.Area.Left - 12, view->End.Area.Bottom};
    if (view->Notice[0] != '\0')
        UiDrawText(window, &GfxFontSmall, foot, UiLeft, UiText, "%s", view->Notice);
    else
        UiDrawText(window, &GfxFontSmall, foot, UiLeft, UiMuted,
                   "Programs %zu, threads %u, handles %u, windows %u", sample->TaskCount,
                   sample->System.ThreadCount, sample->System.HandleCount,
                   sample->System.WindowCount);
    view->End.Enabled = view->Page == PagePrograms && view->Selected != 0;
    view->Turn.Label = view->Page == PagePrograms ? "Counters" : "Programs";
    UiDrawButton(window, &view->End);
    UiDrawButton(window, &view->Turn);
}

bool ViewFindRow(const View *view, const Sample *sample, int32_t x, int32_t y, size_t *row)
{
    if (view->Page != PagePrograms || x < Margin || x >= Width(view) - Margin || y < HeadBottom + 2)
        return false;
    size_t line = (size_t)(y - HeadBottom - 2) / RowHeight;
    *row = view->Top + line;
    return line < ViewRowCount(view) && *row < sample->TaskCount;
}

bool ViewFindHead(const View *view, int32_t x, int32_t y, Column *column)
{
    for (Column c = 0; c < ColumnCount && view->Page == PagePrograms; c++)
        if (GfxContainsPoint(ColumnRect(view, c, HeadTop, HeadBottom), x, y)) {
            *column = c;
            return true;
        }
    return false;
}
