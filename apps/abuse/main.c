// abuse.exe - what no program should do, for every system call. In the guest's /tests.
//
//   abuse.exe [pointers] [races] [failures]    these parts; `failures` needs a test kernel
//   abuse.exe programs N LINE...               runs each command line once for each allocation it
//                                              makes, which fails; of those with the same call
//                                              stack N fail, with N = 0 all
//   abuse.exe repeat N LINE...                 runs each command line N times
//   abuse.exe windows N                        opens and closes N windows
//
// Prints a line for each check that fails and ends with `abuse: N passed, N failed`; the exit code
// is the number of failures, at most 100.
// SPDX-License-Identifier: MIT
#include "abuse.h"

#include <stdlib.h>
#include <string.h>

// Until the system no longer starts things of its own: for a second nothing changes, and nobody
// else wants the processor.
static void Settle(void)
{
    enum { Looks = 100, LookTime = 10, Late = 5000000 }; // milliseconds; nanoseconds
    Counters last = {}, now;
    for (int same = 0, i = 0; same < Looks && i < 30 * Looks; i++) {
        uint64_t start = GetMonotonicTime();
        Sleep(LookTime);
        CountAll(&now);
        bool quiet = GetMonotonicTime() - start < LookTime * 1000000ull + Late &&
                     GetFreeMemory(&now) == GetFreeMemory(&last) &&
                     now.System.ThreadCount == last.System.ThreadCount;
        same = quiet ? same + 1 : 0;
        last = now;
    }
}

// ---- the same again and again leaves the same counters
static void RepeatPrograms(char *const *lines, int count, uint32_t times)
{
    constexpr uint32_t Warm = 3, Time = 600000; // milliseconds
    Counters before;
    for (int i = 0; i < count; i++) {
        Handle process;
        for (uint32_t round = 0; round < times + Warm; round++) {
            if (round == Warm)
                CountAll(&before);
            Status status = StartProgram(lines[i], &process);
            if (!Check(status == StatusSuccess, "%s: %s", lines[i], GetStatusText(status)))
                return;
            bool killed;
            (void)WaitForProgram(process, Time, &killed);
            Check(!killed, "%s does not end", lines[i]);
        }
        CompareCounters(&before, lines[i]);
    }
}

static void RepeatWindows(uint32_t times)
{
    constexpr uint32_t Warm = 3;
    Counters before;
    for (uint32_t round = 0; round < times + Warm; round++) {
        WindowParameters parameters = {"abuse", (int32_t)(round * 37 % 1000), 100, 200,
                                       100,     round % 2 ? WindowFrame : 0};
        WindowBuffer buffer;
        Message message;
        Handle window;
        if (round == Warm)
            CountAll(&before);
        OK(AllocWindow(&parameters, &window, &buffer));
        buffer.Pixels[0] = round;
        OK(PaintWindow(window, nullptr));
        while (PeekMessage(&message) == StatusSuccess)
            continue;
        OK(CloseHandle(window));
    }
    CompareCounters(&before, "windows");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *Name;
        void (*Run)(void);
    } parts[] = {{"pointers", TestPointers}, {"races", TestRaces}, {"failures", TestFailures}};
    if (argc == 3 && !strcmp(argv[1], "--race"))
        return RaceChild((uint32_t)strtoul(argv[2], nullptr, 10));
    Settle();
    if (argc > 3 && !strcmp(argv[1], "programs"))
        TestFailingPrograms(argv + 3, argc - 3, (uint32_t)strtoul(argv[2], nullptr, 10));
    else if (argc > 3 && !strcmp(argv[1], "repeat"))
        RepeatPrograms(argv + 3, argc - 3, (uint32_t)strtoul(argv[2], nullptr, 10));
    else if (argc == 3 && !strcmp(argv[1], "windows"))
        RepeatWindows((uint32_t)strtoul(argv[2], nullptr, 10));
    else
        for (int i = 1; i < argc; i++)
            for (size_t k = 0; k < COUNT_OF(parts); k++)
                if (!strcmp(argv[i], parts[k].Name))
                    parts[k].Run();
    return Conclude();
}
