// trace.c - notes what the system does into a file, which tools/trace2json on the host turns into
// what Perfetto and Chrome's about:tracing show.
//
// The file: a TraceFileHeader, then for each processor a TraceFileRing and its records.
// SPDX-License-Identifier: MIT
#include "session.h"

typedef struct TraceFileHeader {
    char Magic[8]; // "MetalTrc"
    uint32_t Version, ProcessorCount;
} TraceFileHeader;
typedef struct TraceFileRing {
    uint64_t Written; // while it was traced
    uint64_t Records; // that are left, and follow
} TraceFileRing;

static const char *path = "/trace.bin";
static uint32_t groups = TraceEverything & ~TraceSamples;

static bool TakeOption(char letter, const char *value)
{
    static const char letters[] = "sfctip"; // in the order of the groups' bits
    if (letter == 'o')
        path = value;
    if (letter != 'e')
        return letter == 'o';
    groups = 0;
    for (; *value != '\0'; value++) {
        const char *found = strchr(letters, *value);
        if (found == nullptr)
            ToolMisuse("there is no such kind of events");
        groups |= 1u << (found - letters);
    }
    return true;
}

static void WriteFileOf(const Session *session)
{
    FILE *file = fopen(path, "wb");
    TraceFileHeader header = {"MetalTrc", 1, session->Info.ProcessorCount};
    uint64_t total = 0;
    bool good = file != nullptr && fwrite(&header, sizeof header, 1, file) == 1;
    for (uint32_t i = 0; good && i < header.ProcessorCount; i++) {
        size_t count;
        TraceRecord *records = ReadProcessor(session, i, &count);
        if (records == nullptr)
            break;
        TraceFileRing ring = {session->Info.Records[i], count};
        good = fwrite(&ring, sizeof ring, 1, file) == 1 &&
               fwrite(records, sizeof *records, count, file) == count;
        total += count;
        free(records);
    }
    if (file == nullptr || !good || fclose(file) != 0)
        ToolSay(path, "cannot be written");
    else
        printf("%llu records in %s\n", (unsigned long long)total, path);
}

int main(int argc, char **argv)
{
    Session session = {.Trace = {.Records = 65536, .SamplePeriod = 1000000}};
    ToolStart(
        argc, argv,
        "trace [-o FILE] [-e KINDS] [-d DELAY] [-t TIME] [-n RECORDS] [PROGRAM ...]\n"
        "    notes what the system does from DELAY milliseconds on, for TIME milliseconds or\n"
        "    until the program ends, into FILE (/trace.bin), which tools/trace2json reads.\n"
        "    KINDS: s scheduling, f page faults, c system calls, t disk transfers,\n"
        "    i interrupts, p stack samples; without it all but the last. RECORDS: how many\n"
        "    of the newest are kept per processor (65536)\n");
    ReadArguments(&session, argc, argv, TakeOption);
    session.Trace.Groups = groups;
    if (!RunSession(&session))
        return ToolEnd();
    WriteFileOf(&session);
    return FinishProgram(&session);
}
