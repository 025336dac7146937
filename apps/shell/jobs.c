// jobs.c - what runs in the foreground, and what runs behind.
// SPDX-License-Identifier: MIT
#include "shell.h"

#include <stdlib.h>
#include <string.h>

enum { MostJobs = 32, MostForeground = 31 };

static Job jobs[MostJobs]; // Number 0: free
static int newest;

static int GetExitCode(Handle process)
{
    ProcessInfo info;
    return GetProcessInfo(process, &info) == StatusSuccess ? (int)info.ExitCode : ExitCannotStart;
}

void SetForeground(const Handle *processes, size_t count)
{
    Handle objects[MostForeground + 1];
    if (TheShell.Interrupt == InvalidHandle)
        return;
    count = count < MostForeground ? count : MostForeground;
    memcpy(objects, processes, count * sizeof(*objects));
    objects[count++] = TheShell.Interrupt;
    (void)SetConsoleForeground(TheShell.Console, count, objects);
}

bool CheckInterrupt(void)
{
    if (TheShell.Interrupt != InvalidHandle &&
        WaitForSingleObject(TheShell.Interrupt, 0) == StatusSuccess)
        TheShell.Interrupted = true;
    return TheShell.Interrupted;
}

int WaitForeground(Handle *processes, size_t count)
{
    int code = 0;
    SetForeground(processes, count);
    for (size_t i = 0; i < count; i++) {
        (void)WaitForSingleObject(processes[i], InfiniteTimeout);
        code = GetExitCode(processes[i]);
        (void)CloseHandle(processes[i]);
    }
    SetForeground(nullptr, 0);
    (void)CheckInterrupt();
    return code;
}

int AddJob(const Handle *processes, size_t count, const char *text, size_t length)
{
    Job *job = nullptr;
    for (size_t i = 0; i < MostJobs && job == nullptr; i++)
        if (jobs[i].Number == 0)
            job = &jobs[i];
    char *copy = job == nullptr || count > 16 ? nullptr : strndup(text, length);
    if (copy == nullptr) {
        for (size_t i = 0; i < count; i++)
            (void)CloseHandle(processes[i]); // they run on, but nobody knows them
        return 0;
    }
    int number = 1;
    for (size_t i = 0; i < MostJobs; i++)
        if (jobs[i].Number >= number)
            number = jobs[i].Number + 1;
    *job = (Job){.Number = number, .Count = count, .Text = copy};
    memcpy(job->Processes, processes, count * sizeof(*processes));
    newest = number;
    return number;
}

void ForgetJob(Job *job)
{
    for (size_t i = 0; i < job->Count; i++)
        (void)CloseHandle(job->Processes[i]);
    free(job->Text);
    *job = (Job){};
}

// Learns whether a job has ended.
static void Update(Job *job)
{
    if (job->Number == 0 || job->Done)
        return;
    for (size_t i = 0; i < job->Count; i++)
        if (WaitForSingleObject(job->Processes[i], 0) != StatusSuccess)
            return;
    job->Done = true;
    job->Code = GetExitCode(job->Processes[job->Count - 1]);
}

static void Describe(Handle to, const Job *job)
{
    char state[32] = "running";
    if (job->Done && job->Code == 0)
        strcpy(state, "done");
    else if (job->Done)
        snprintf(state, sizeof state, "exit %d", job->Code);
    Printf(to, "[%d] %-10s %s\n", job->Number, state, job->Text);
}

void ReportDoneJobs(Handle to)
{
    for (size_t i = 0; i < MostJobs; i++) {
        Update(&jobs[i]);
        if (jobs[i].Number == 0 || !jobs[i].Done)
            continue;
        Describe(to, &jobs[i]);
        ForgetJob(&jobs[i]);
    }
}

void ListJobs(Handle to)
{
    for (int number = 1; number <= MostJobs * 2; number++)
        for (size_t i = 0; i < MostJobs; i++)
            if (jobs[i].Number == number) {
                Update(&jobs[i]);
                Describe(to, &jobs[i]);
                if (jobs[i].Done)
                    ForgetJob(&jobs[i]);
            }
}

bool GetJob(size_t index, Job **job)
{
    if (index >= MostJobs)
        return false;
    *job = jobs[index].Number == 0 ? nullptr : &jobs[index];
    return true;
}

Job *FindJob(const char *name)
{
    int number = newest;
    if (name != nullptr && *name == '%')
        name++;
    if (name != nullptr && *name)
        number = atoi(name);
    Job *last = nullptr;
    for (size_t i = 0; i < MostJobs; i++) {
        if (jobs[i].Number != 0 && jobs[i].Number == number)
            return &jobs[i];
        if (jobs[i].Number != 0 && (last == nullptr || jobs[i].Number > last->Number))
            last = &jobs[i];
    }
    return name == nullptr || *name == '\0' ? last : nullptr;
}

int BringToForeground(Job *job)
{
    int code = WaitForeground(job->Processes, job->Count);
    job->Count = 0; // closed
    ForgetJob(job);
    return code;
}

bool WaitForJob(Job *job)
{
    for (size_t i = 0; i < job->Count; i++) {
        const Handle objects[] = {job->Processes[i], TheShell.Interrupt};
        size_t index = 0, count = TheShell.Interrupt == InvalidHandle ? 1 : 2;
        (void)WaitForMultipleObjects(count, objects, false, InfiniteTimeout, &index);
        if (index == 1) {
            TheShell.Interrupted = true;
            return false;
        }
    }
    Update(job);
    return true;
}
