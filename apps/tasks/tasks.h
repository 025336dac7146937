// tasks.h - the task manager: what it has measured, and how it is shown.
// SPDX-License-Identifier: MIT
#pragma once

#include "ui.h"

enum { MaximumProcesses = 512, MaximumProcessors = 64, MaximumCounters = 256, HistoryLength = 120 };

typedef enum Column {
    ColumnName,
    ColumnId,
    ColumnLoad,
    ColumnMemory,
    ColumnThreads,
    ColumnHandles,
    ColumnCalls,
    ColumnCount
} Column;

typedef struct Task {
    ProcessInfo Info;
    uint32_t Load;  // processor time since the last sample, 1/1000 of one processor
    uint64_t Calls; // system calls in a second
} Task;

typedef struct Counter {
    CounterInfo Info;
    int64_t Change; // in a second
} Counter;

typedef struct Sample {
    uint64_t Time; // GetMonotonicTime
    SystemInfo System;
    size_t TaskCount;
    Task Tasks[MaximumProcesses]; // in the order they are shown
    uint32_t ProcessorCount;
    ProcessorInfo Processors[MaximumProcessors];
    uint32_t Load[MaximumProcessors];                  // 1/1000
    uint8_t History[MaximumProcessors][HistoryLength]; // percent, oldest first
    uint8_t MemoryHistory[HistoryLength];
    size_t CounterCount;
    Counter Counters[MaximumCounters];
} Sample;

// ---- sample.c
// Measures anew; rates are since the sample before, whose content this replaces.
Status SampleTake(Sample *sample);
void SampleSort(Sample *sample, Column column, bool descending);

// ---- view.c
typedef enum Page { PagePrograms, PageCounters } Page; // what the list is of

typedef struct View {
    UiWindow Window;
    UiButton End, Turn; // Turn: to the other page
    Page Page;
    Column SortedBy;
    bool Descending;
    uint32_t Selected; // process id; 0: none
    size_t Top;        // first row shown
    char Notice[128];  // what the last action came to
} View;

enum { ViewWidth = 660, ViewHeight = 470, ViewLeastHeight = 250 }; // narrower and lower: not

void ViewDraw(View *view, const Sample *sample);
void ViewPlace(View *view);                                // after the window has got its size
size_t ViewRowCount(const View *view);                     // rows that fit
size_t ViewLength(const View *view, const Sample *sample); // of the list
// The row at a place of the window, as an index of the sample's tasks. False: none.
bool ViewFindRow(const View *view, const Sample *sample, int32_t x, int32_t y, size_t *row);
// The column whose head is there.
bool ViewFindHead(const View *view, int32_t x, int32_t y, Column *column);
