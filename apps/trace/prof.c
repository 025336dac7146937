// prof.c - tells in which functions the time of a program, or of everything, goes: samples of the
// stacks of all processors, counted by function.
// SPDX-License-Identifier: MIT
#include "prof.h"

static const char *graphPath;
static uint32_t period = 1000; // microseconds
static size_t rows = 30;
static bool everything;

static bool TakeOption(char letter, const char *value)
{
    switch (letter) {
    case 'o':
        graphPath = value;
        return true;
    case 'p':
        period = (uint32_t)strtoul(value, nullptr, 10);
        return true;
    case 'r':
        rows = strtoul(value, nullptr, 10);
        return true;
    case 'w':
        everything = strcmp(value, "all") == 0;
        return everything || strcmp(value, "program") == 0;
    }
    return false;
}

static int CompareSelf(const void *a, const void *b)
{
    const Symbol *first = GetSymbol(*(const size_t *)a), *second = GetSymbol(*(const size_t *)b);
    if (first->Self != second->Self)
        return first->Self < second->Self ? 1 : -1;
    return strcmp(first->Name, second->Name);
}

static void PrintTable(const Samples *samples)
{
    size_t count = GetSymbolCount(), *order = calloc(count + 1, sizeof *order);
    if (order == nullptr) {
        ToolFail("the table", StatusNoMemory);
        return;
    }
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    qsort(order, count, sizeof *order, CompareSelf);
    double all = samples->Count == 0 ? 1 : (double)samples->Count;
    printf("   self   total   samples  function\n");
    for (size_t i = 0; i < count && i < rows; i++) {
        const Symbol *symbol = GetSymbol(order[i]);
        if (symbol->Self != 0)
            printf("%6.2f%% %6.2f%% %9llu  %s\n", 100 * symbol->Self / all,
                   100 * symbol->Total / all, (unsigned long long)symbol->Self, symbol->Name);
    }
    free(order);
}

int main(int argc, char **argv)
{
    static Samples samples;
    Session session = {.Trace = {.Groups = TraceSamples, .Records = 262144}};
    ToolStart(
        argc, argv,
        "prof [-o GRAPH.svg] [-p PERIOD] [-w all|program] [-r ROWS] [-d DELAY] [-t TIME]\n"
        "     [-n RECORDS] [PROGRAM ...]\n"
        "    tells in which functions a program, or without one everybody, spends its time.\n"
        "    PERIOD: microseconds between samples (1000); DELAY, TIME: milliseconds, without\n"
        "    TIME until the program ends; RECORDS: memory for samples, per processor\n");
    ReadArguments(&session, argc, argv, TakeOption);
    session.Trace.SamplePeriod = period * 1000ull;
    if (!RunSession(&session) ||
        !ReadSamples(&session, everything ? 0 : session.ProcessId, &samples))
        return ToolEnd();
    printf("%llu samples, one every %u us; %llu of idle processors\n",
           (unsigned long long)samples.Count, period, (unsigned long long)samples.Idle);
    if (samples.Lost != 0)
        printf("%llu older records did not fit (-n)\n", (unsigned long long)samples.Lost);
    PrintTable(&samples);
    if (graphPath != nullptr &&
        !WriteGraph(graphPath, &samples, session.Program != nullptr ? session.Program : "MetalOS"))
        ToolSay(graphPath, "cannot be written");
    return FinishProgram(&session);
}
