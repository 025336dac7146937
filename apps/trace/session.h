// session.h - what trace.exe and prof.exe share: a trace of the system for a while or for as long
// as a program runs.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalTrace.h"
#include "tool.h"

// How long: from `Delay` on, for `Length`, both in milliseconds; 0: until the program ends.
typedef struct Session {
    TraceParameters Trace;
    uint32_t Delay, Length;
    char *Program; // command line; nullptr: none
    uint32_t ProcessId;
    uint32_t ExitCode;      // the program's, once FinishProgram is through
    Handle Process, Handle; // of the program and the trace
    TraceInfo Info;
} Session;

// Reads the options that both have out of the arguments: -d DELAY, -t TIME, -n RECORDS. What is
// behind them is the program. letter and value: those of another option to take, called for each.
void ReadArguments(Session *session, int argc, char **argv,
                   bool (*option)(char letter, const char *value));
// Starts the program, waits, traces. false: it was said why not.
bool RunSession(Session *session);
// The records of a processor that are left, allocated; nullptr: it was said why not.
TraceRecord *ReadProcessor(const Session *session, uint32_t processor, size_t *count);
// Waits for the program's end, unless a time was given: then it goes on alone. The exit code to
// return, which is the program's.
int FinishProgram(Session *session);
