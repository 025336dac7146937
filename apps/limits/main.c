// limits.exe - who asks for too much gets an error, and nobody else notices. In the guest's /tests.
//
//   limits.exe [-rounds N] [PART ...]
//
// Parts: handles objects pipes threads memory heap windows processes disk - a child takes all there
// is of that (greed.c), once to give it back itself and once to be killed, full as it is; images -
// programs with missing libraries and damaged files; kills - programs killed at any moment. Without
// a part: all. Meanwhile another program, the witness, goes on with its work (witness.c), and after
// each part the system has what it had before. -rounds: how many damaged images and kills, 60
// without. The exit code is the number of things that are wrong.
// SPDX-License-Identifier: MIT
#include "limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

constexpr uint32_t GreedTime = 240000; // milliseconds until a child must be full
// Bytes that may be missing after a part: pages of the kernel's heap that stay half full.
constexpr uint64_t MemorySlack = 256 << 10;

static bool IsSame(const SystemInfo *before, const SystemInfo *after)
{
    return after->ProcessCount == before->ProcessCount &&
           after->ThreadCount <= before->ThreadCount && after->HandleCount == before->HandleCount &&
           after->WindowCount == before->WindowCount &&
           after->FreeMemory + after->CacheMemory + MemorySlack >=
               before->FreeMemory + before->CacheMemory;
}

// What a process had goes back a moment after its handle is signalled.
static void Compare(const SystemInfo *before, const char *part)
{
    SystemInfo after = {};
    for (int i = 0; i < 200; i++) {
        (void)GetSystemInfo(&after);
        if (IsSame(before, &after))
            break;
        Sleep(20);
    }
    int64_t memory = (int64_t)(before->FreeMemory + before->CacheMemory) -
                     (int64_t)(after.FreeMemory + after.CacheMemory);
    Check(IsSame(before, &after),
          "after %s: %d processes, %d threads, %d handles, %d windows, %lld bytes more", part,
          (int)(after.ProcessCount - before->ProcessCount),
          (int)(after.ThreadCount - before->ThreadCount),
          (int)(after.HandleCount - before->HandleCount),
          (int)(after.WindowCount - before->WindowCount), (long long)memory);
}

static Handle full, go;

// One child that takes everything; it is killed while it holds it, or gives it back.
static void BeGreedy(const char *what, bool kill)
{
    char line[96];
    Handle child;
    size_t index = 0;
    (void)ResetEvent(full);
    (void)ResetEvent(go);
    snprintf(line, sizeof line, LIMITS_PROGRAM " -greed %s", what);
    Status status = StartProgram(line, InvalidHandle, GetStandardHandle(StandardOutput), &child);
    if (!Check(status == StatusSuccess, "%s: %s", line, GetStatusText(status)))
        return;
    const Handle either[] = {child, full};
    uint64_t start = GetTickCount();
    do { // it takes its time: the witness goes on
        status = WaitForMultipleObjects(2, either, false, 100, &index);
        (void)AskWitness();
    } while (status == StatusTimeout && GetTickCount() - start < GreedTime);
    Check(status == StatusSuccess, "%s: never full", what);
    for (int i = 0; i < 10; i++)
        (void)AskWitness();
    if (!kill)
        (void)SetEvent(go);
    bool killed;
    uint32_t code = EndProgram(child, kill ? 0 : END_TIME, &killed);
    if (!kill)
        Check(!killed && code == 0, "%s: ends with %u, greed.c", what, code);
    (void)AskWitness();
}

static void RunGreedy(const char *what)
{
    SystemInfo before;
    BeGreedy(what, false); // caches and lists take their size
    (void)GetSystemInfo(&before);
    BeGreedy(what, true);
    (void)DeleteFile(LIMITS_FOLDER "/big"); // of a killed one
    (void)DeleteFile(LIMITS_FOLDER "/small");
    Compare(&before, what);
}

static void RunRounds(const char *what, void (*test)(unsigned rounds), unsigned rounds)
{
    SystemInfo before;
    test(rounds / 4 + 1);
    (void)GetSystemInfo(&before);
    test(rounds);
    Compare(&before, what);
}

static bool RunPart(const char *part, unsigned rounds)
{
    printf("limits: %s\n", part);
    fflush(stdout);
    if (!strcmp(part, "images"))
        RunRounds(part, TestImages, rounds);
    else if (!strcmp(part, "kills"))
        RunRounds(part, TestKills, rounds);
    for (size_t i = 0; i < greedCount; i++)
        if (!strcmp(part, greeds[i]))
            RunGreedy(part);
    return true;
}

static int Judge(int argc, char **argv)
{
    unsigned rounds = 60;
    int first = 1;
    if (argc > 2 && !strcmp(argv[1], "-rounds")) {
        rounds = (unsigned)atoi(argv[2]);
        first = 3;
    }
    Status status = CreateDirectory(LIMITS_FOLDER);
    Check(status == StatusSuccess || status == StatusAlreadyExists, LIMITS_FOLDER ": %s",
          GetStatusText(status));
    (void)CreateEvent(false, false, &full);
    (void)CreateEvent(false, false, &go);
    Check(NameObject(full, "limits.full") == StatusSuccess &&
              NameObject(go, "limits.go") == StatusSuccess,
          "names");
    StartWitness();
    for (int i = first; i < argc; i++)
        RunPart(argv[i], rounds);
    for (size_t i = 0; first == argc && i < greedCount; i++)
        RunPart(greeds[i], rounds);
    if (first == argc) {
        RunPart("images", rounds);
        RunPart("kills", rounds);
    }
    EndWitness();
    return Conclude();
}

int main(int argc, char **argv)
{
    char byte;
    size_t moved;
    if (argc == 2 && !strcmp(argv[1], "-witness"))
        return RunWitness();
    if (argc == 3 && !strcmp(argv[1], "-greed"))
        return RunGreed(argv[2]);
    if (argc == 2 && !strcmp(argv[1], "-idle")) // until its input ends
        return ReadFile(GetStandardHandle(StandardInput), &byte, 1, &moved) == StatusSuccess;
    for (volatile unsigned i = 0; argc == 2 && !strcmp(argv[1], "-spin");)
        i++;
    return Judge(argc, argv);
}
