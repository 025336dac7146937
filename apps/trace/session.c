// session.c - see session.h.
// SPDX-License-Identifier: MIT
#include "session.h"

#include "rtl/mark.h"

enum { PieceRecords = 32768 };

static uint32_t ReadNumber(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || value > 100000000)
        ToolMisuse("a number is expected");
    return (uint32_t)value;
}

static void JoinArguments(Session *session, int argc, char **argv)
{
    size_t size = 1;
    for (int i = 0; i < argc; i++)
        size += strlen(argv[i]) + 3;
    char *at = session->Program = calloc(1, size);
    for (int i = 0; i < argc && at != nullptr; i++) {
        bool quoted = strpbrk(argv[i], " \t") != nullptr;
        at += sprintf(at, quoted ? "%s\"%s\"" : "%s%s", i == 0 ? "" : " ", argv[i]);
    }
}

void ReadArguments(Session *session, int argc, char **argv,
                   bool (*option)(char letter, const char *value))
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i += 2) {
        if (argv[i][1] == '\0' || argv[i][2] != '\0' || i + 1 == argc)
            ToolMisuse("an option is one letter, with a value behind it");
        switch (argv[i][1]) {
        case 'd':
            session->Delay = ReadNumber(argv[i + 1]);
            break;
        case 't':
            session->Length = ReadNumber(argv[i + 1]);
            break;
        case 'n':
            session->Trace.Records = ReadNumber(argv[i + 1]);
            break;
        default:
            if (!option(argv[i][1], argv[i + 1]))
                ToolMisuse("there is no such option");
        }
    }
    if (i < argc)
        JoinArguments(session, argc - i, argv + i);
    else if (session->Length == 0)
        ToolMisuse("for how long? -t MILLISECONDS, or a program");
}

static bool StartProgram(Session *session)
{
    ProcessInfo info;
    CreateProcessParameters parameters = {
        .CommandLine = session->Program,
        .StandardInput = GetStandardHandle(StandardInput),
        .StandardOutput = GetStandardHandle(StandardOutput),
        .StandardError = GetStandardHandle(StandardError),
    };
    Status status = CreateProcess(&parameters, &session->Process);
    if (status == StatusSuccess)
        status = GetProcessInfo(session->Process, &info);
    if (status != StatusSuccess) {
        ToolFail(session->Program, status);
        return false;
    }
    session->ProcessId = info.ProcessId;
    return true;
}

// Until the time is over or the program has ended.
static void WaitFor(const Session *session, uint32_t milliseconds)
{
    if (session->Process != InvalidHandle)
        (void)WaitForSingleObject(session->Process,
                                  milliseconds == 0 ? InfiniteTimeout : milliseconds);
    else
        Sleep(milliseconds);
}

bool RunSession(Session *session)
{
    bool early = session->Delay == 0; // then the program's start belongs to it
    if (!early && session->Program != nullptr && !StartProgram(session))
        return false;
    if (!early)
        WaitFor(session, session->Delay);
    Status status = CreateTrace(&session->Trace, &session->Handle);
    if (status != StatusSuccess) {
        ToolFail("the trace", status);
        return false;
    }
    RTL_MARK(MarkTraceBegin);
    bool started = !early || session->Program == nullptr || StartProgram(session);
    if (started)
        WaitFor(session, session->Length);
    RTL_MARK(MarkTraceEnd);
    status = StopTrace(session->Handle, &session->Info);
    if (status != StatusSuccess)
        ToolFail("the trace", status);
    return started && status == StatusSuccess;
}

TraceRecord *ReadProcessor(const Session *session, uint32_t processor, size_t *count)
{
    size_t capacity = session->Trace.Records, piece = 0;
    TraceRecord *records = malloc((capacity + 1) * sizeof(*records));
    Status status = records == nullptr ? StatusNoMemory : StatusSuccess;
    *count = 0;
    while (status == StatusSuccess && *count < capacity) {
        size_t wanted = capacity - *count < PieceRecords ? capacity - *count : PieceRecords;
        status = ReadTrace(session->Handle, processor, *count, records + *count, wanted, &piece);
        if (status != StatusSuccess || piece == 0)
            break;
        *count += piece;
    }
    if (status == StatusSuccess)
        return records;
    ToolFail("the trace", status);
    free(records);
    return nullptr;
}

int FinishProgram(Session *session)
{
    (void)CloseHandle(session->Handle);
    int code = ToolEnd();
    if (session->Process == InvalidHandle || session->Length != 0)
        return code;
    (void)WaitForSingleObject(session->Process, InfiniteTimeout);
    ProcessInfo info;
    if (GetProcessInfo(session->Process, &info) == StatusSuccess)
        session->ExitCode = info.ExitCode;
    return code != 0 ? code : (int)session->ExitCode;
}
