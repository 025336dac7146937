// shell.h - what the files of the shell share.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"
#include "edit.h"
#include "expand.h"
#include "syntax.h"

#include <stdio.h>

// Where a command reads and writes.
typedef struct Streams {
    Handle Handles[3];
} Streams;

// ---- the shell
typedef struct Shell {
    Streams Standard;     // its own
    bool Interactive;     // it owns the console and edits lines
    Handle Console;       // what it types and edits on; InvalidHandle: none
    Handle Interrupt;     // event that Control+C sets; InvalidHandle: no console
    int LastCode;         // $?
    uint32_t LastProcess; // $!
    char **Arguments;     // $0 $1 ...; NULL-terminated
    size_t ArgumentCount; // without $0
    bool Exiting;         // `exit` was called
    bool Interrupted;     // what runs is to be given up
    int Breaking;         // loops to leave
    bool Continuing;      // ... the last one goes on with its next turn
    int LoopDepth;
    int FunctionDepth; // calls of functions that run
    bool Returning;    // `return` was called; LastCode is the function's
} Shell;
extern Shell TheShell;

enum { ExitSyntax = 2, ExitCannotStart = 126, ExitUnknown = 127 };

// ---- messages (message.c)
// Text to a stream; errors vanish, as there is nobody to tell.
void Print(Handle to, const char *text);
void Printf(Handle to, const char *format, ...) __attribute__((format(printf, 2, 3)));
// "shell: text" on the error stream.
void Complain(const Streams *streams, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// What a status means, without its name.
const char *Explain(Status status);

// ---- texts (script.c)
// Runs every command of a text; the last one's exit code. name: for messages, or nullptr.
int RunText(const char *text, size_t length, const char *name);
// Runs a file. -1 and a message: it cannot be read.
int RunFile(const char *path, const Streams *streams);
// Everything up to the end of a file, with a NUL behind, heap.
Status ReadToEnd(Handle file, char **text, size_t *length);
char *ReadWholeFile(const char *path, size_t *length, Status *status); // heap, NUL behind
const ExpandHooks *GetHooks(void);

// ---- commands (run.c)
int RunNode(const Node *node, const Streams *streams);
// The output of a text run by a second shell, in the heap, without line ends behind it; nullptr: no
// memory.
char *CaptureOutput(const char *text, size_t length, const Streams *streams);
// Looks at whether Control+C was pressed.
bool CheckInterrupt(void);

// ---- functions (function.c)
bool IsFunction(const char *name);
// text: the command behind NAME(). False: no memory.
bool DefineFunction(const char *name, const char *text, size_t length);
// A text behind the definitions of all functions, heap; nullptr: no memory.
char *PrependFunctions(const char *text, size_t length);
// Gives a variable back its value when the function that runs returns. False: no memory.
bool MakeLocal(const char *name);
// Runs the function argv[0]; the words are its arguments meanwhile.
int CallFunction(int argc, char **argv, const Streams *streams);

// ---- jobs (jobs.c)
typedef struct Job {
    int Number;
    Handle Processes[16];
    size_t Count;
    char *Text; // heap
    bool Done;
    int Code;
} Job;
// Says what Control+C is for: these, and always the shell's own event.
void SetForeground(const Handle *processes, size_t count);
// Waits in the foreground for all; the last one's exit code. Handles are closed.
int WaitForeground(Handle *processes, size_t count);
// Makes a job of running processes; takes the handles. Its number, 0: no memory.
int AddJob(const Handle *processes, size_t count, const char *text, size_t length);
void ReportDoneJobs(Handle to);  // and forgets them
Job *FindJob(const char *name);  // "3", "%3"; nullptr, "%": the newest
int BringToForeground(Job *job); // waits for it and forgets it
bool WaitForJob(Job *job);       // false: interrupted
void ListJobs(Handle to);
bool GetJob(size_t index, Job **job);
void ForgetJob(Job *job);

// ---- built-in commands (builtins.c)
typedef int BuiltinFunction(int argc, char **argv, const Streams *streams);
typedef struct Builtin {
    const char *Name, *Usage, *Summary;
    BuiltinFunction *Run;
} Builtin;
const Builtin *FindBuiltin(const char *name);
// Runs it; alone with --help it explains itself.
int RunBuiltin(const Builtin *builtin, int argc, char **argv, const Streams *streams);
const Builtin *GetBuiltin(size_t index); // nullptr past the last
// Another name of a program ("ls" of "dir"); name itself when it has none.
const char *ResolveAlias(const char *name);
bool GetAlias(size_t index, const char **alias, const char **name);
int Test(int argc, char **argv, const Streams *streams); // test.c

// ---- history (history.c)
void LoadHistory(void);
void AddHistory(const char *line);                       // in memory and in the file
const char *GetHistoryLine(void *context, size_t index); // newest first
size_t CountHistory(void);
void ClearHistory(void);

// ---- completion (complete.c)
void CompleteLine(void *context, const char *line, size_t cursor, EditCandidates *candidates);
