// sample.c - the task manager's numbers.
// SPDX-License-Identifier: MIT
#include "tasks.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static uint32_t Share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (uint32_t)RTL_MIN(part * 1000 / whole, 1000ull);
}

static void Shift(uint8_t history[HistoryLength], uint32_t percent)
{
    memmove(history, history + 1, HistoryLength - 1);
    history[HistoryLength - 1] = (uint8_t)percent;
}

static const Task *FindBefore(const Task *tasks, size_t count, const ProcessInfo *info)
{
    for (size_t i = 0; i < count; i++)
        if (tasks[i].Info.ProcessId == info->ProcessId &&
            tasks[i].Info.CreateTime == info->CreateTime)
            return &tasks[i];
    return nullptr;
}

static Task MeasureTask(const ProcessInfo *info, const Task *before, uint64_t elapsed)
{
    Task task = {.Info = *info};
    if (before == nullptr || elapsed == 0)
        return task;
    uint64_t used = info->KernelTime + info->UserTime;
    uint64_t usedBefore = before->Info.KernelTime + before->Info.UserTime;
    task.Load = (uint32_t)((used - RTL_MIN(usedBefore, used)) * 1000 / elapsed);
    task.Calls = (info->SystemCalls - before->Info.SystemCalls) * 1000000000ull / elapsed;
    return task;
}

static Status TakeTasks(Sample *sample, uint64_t elapsed)
{
    static ProcessInfo list[MaximumProcesses];
    static Task before[MaximumProcesses];
    size_t countBefore = sample->TaskCount, count;
    Status status = ListProcesses(list, MaximumProcesses, &count);
    if (status != StatusSuccess)
        return status;
    memcpy(before, sample->Tasks, countBefore * sizeof *before);
    sample->TaskCount = RTL_MIN(count, (size_t)MaximumProcesses);
    for (size_t i = 0; i < sample->TaskCount; i++)
        sample->Tasks[i] =
            MeasureTask(&list[i], FindBefore(before, countBefore, &list[i]), elapsed);
    return StatusSuccess;
}

static Status TakeProcessors(Sample *sample)
{
    sample->ProcessorCount = RTL_MIN(sample->System.ProcessorCount, (uint32_t)MaximumProcessors);
    for (uint32_t i = 0; i < sample->ProcessorCount; i++) {
        ProcessorInfo before = sample->Processors[i], *now = &sample->Processors[i];
        Status status = GetProcessorInfo(i, now);
        if (status != StatusSuccess)
            return status;
        uint64_t elapsed = now->UpTime - before.UpTime;
        uint64_t idle = RTL_MIN(now->IdleTime - RTL_MIN(before.IdleTime, now->IdleTime), elapsed);
        sample->Load[i] = before.UpTime == 0 ? 0 : Share(elapsed - idle, elapsed);
        Shift(sample->History[i], sample->Load[i] / 10);
    }
    return StatusSuccess;
}

// The kernel's counters; which there are does not change.
static Status TakeCounters(Sample *sample, uint64_t elapsed)
{
    static CounterInfo list[MaximumCounters];
    size_t count;
    Status status = ListCounters(list, MaximumCounters, &count);
    if (status != StatusSuccess)
        return status;
    sample->CounterCount = RTL_MIN(count, (size_t)MaximumCounters);
    for (size_t i = 0; i < sample->CounterCount; i++) {
        Counter *counter = &sample->Counters[i];
        int64_t change = (int64_t)(list[i].Value - counter->Info.Value);
        counter->Change = elapsed == 0 ? 0 : (int64_t)((double)change * 1e9 / (double)elapsed);
        counter->Info = list[i];
    }
    return StatusSuccess;
}

Status SampleTake(Sample *sample)
{
    uint64_t now = GetMonotonicTime(), elapsed = sample->Time == 0 ? 0 : now - sample->Time;
    Status status = GetSystemInfo(&sample->System);
    if (status == StatusSuccess)
        status = TakeTasks(sample, elapsed);
    if (status == StatusSuccess)
        status = TakeProcessors(sample);
    if (status == StatusSuccess)
        status = TakeCounters(sample, elapsed);
    const SystemInfo *system = &sample->System;
    Shift(
        sample->MemoryHistory,
        Share(system->TotalMemory - system->FreeMemory - system->CacheMemory, system->TotalMemory) /
            10);
    sample->Time = now;
    return status;
}

static Column sortColumn;
static bool sortDescending;

static int64_t Key(const Task *task)
{
    switch (sortColumn) {
    case ColumnLoad:
        return task->Load;
    case ColumnMemory:
        return (int64_t)task->Info.ResidentMemory;
    case ColumnThreads:
        return task->Info.ThreadCount;
    case ColumnHandles:
        return task->Info.HandleCount;
    case ColumnCalls:
        return (int64_t)task->Calls;
    default:
        return task->Info.ProcessId;
    }
}

static int Compare(const void *a, const void *b)
{
    const Task *x = a, *y = b;
    int order = sortColumn == ColumnName ? strcasecmp(x->Info.Name, y->Info.Name)
                                         : (Key(x) > Key(y)) - (Key(x) < Key(y));
    if (sortDescending)
        order = -order;
    return order != 0
               ? order
               : (x->Info.ProcessId > y->Info.ProcessId) - (x->Info.ProcessId < y->Info.ProcessId);
}

void SampleSort(Sample *sample, Column column, bool descending)
{
    sortColumn = column;
    sortDescending = descending;
    qsort(sample->Tasks, sample->TaskCount, sizeof *sample->Tasks, Compare);
}
