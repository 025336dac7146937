// counters.c - prints what the parts of the kernel count.
// SPDX-License-Identifier: MIT
#include "tool.h"

#define SECONDS_MOST 86400ul

static const char usage[] =
    "counters [-t SECONDS] [WORD...]\n"
    "    says what the parts of the kernel count, those counters that have a WORD in their names;\n"
    "    -t: what has changed after so long, and how much it is a second\n";

typedef struct Counters {
    CounterInfo *List;
    size_t Count;
    uint64_t Time;
} Counters;

static Counters Read(void)
{
    Counters counters = {};
    size_t capacity = 0;
    Status status = ListCounters(nullptr, 0, &counters.Count);
    while (status == StatusSuccess && counters.Count > capacity) {
        capacity = counters.Count;
        free(counters.List);
        counters.List = calloc(capacity, sizeof(*counters.List));
        status = counters.List == nullptr ? StatusNoMemory
                                          : ListCounters(counters.List, capacity, &counters.Count);
    }
    counters.Time = GetMonotonicTime();
    if (status != StatusSuccess) {
        ToolFail("the list", status);
        exit(ToolEnd());
    }
    return counters;
}

static bool IsWanted(const char *name, int count, char **words)
{
    for (int i = 0; i < count; i++)
        if (strstr(name, words[i]) != nullptr)
            return true;
    return count == 0;
}

static void PrintAll(int count, char **words)
{
    Counters counters = Read();
    for (size_t i = 0; i < counters.Count; i++)
        if (IsWanted(counters.List[i].Name, count, words))
            printf("%20llu  %s\n", (unsigned long long)counters.List[i].Value,
                   counters.List[i].Name);
    free(counters.List);
}

static void PrintChanges(unsigned long seconds, int count, char **words)
{
    Counters before = Read();
    Sleep((uint32_t)seconds * 1000);
    Counters after = Read();
    double time = (double)(after.Time - before.Time) / 1e9;
    for (size_t i = 0; i < after.Count && i < before.Count; i++) {
        int64_t change = (int64_t)(after.List[i].Value - before.List[i].Value);
        if (change != 0 && IsWanted(after.List[i].Name, count, words))
            printf("%+20lld %14.1f/s  %s\n", (long long)change, (double)change / time,
                   after.List[i].Name);
    }
    free(before.List);
    free(after.List);
}

int main(int argc, char **argv)
{
    ToolStart(argc, argv, usage);
    if (argc > 2 && strcmp(argv[1], "-t") == 0) {
        char *end;
        unsigned long seconds = strtoul(argv[2], &end, 10);
        if (*end != 0 || seconds == 0 || seconds > SECONDS_MOST)
            ToolMisuse("SECONDS is a number from 1 on");
        PrintChanges(seconds, argc - 3, argv + 3);
    } else if (argc > 1 && argv[1][0] == '-') {
        ToolMisuse("there is only -t SECONDS");
    } else {
        PrintAll(argc - 1, argv + 1);
    }
    return ToolEnd();
}
