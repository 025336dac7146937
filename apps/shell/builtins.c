// builtins.c - the commands that are the shell itself: they change it, or are too small to be
// programs.
// SPDX-License-Identifier: MIT
#include "shell.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- where

static int ChangeDirectory(int argc, char **argv, const Streams *streams)
{
    char before[MaximumPath], after[MaximumPath];
    const char *to = argc > 1 ? argv[1] : getenv("HOME");
    if (to == nullptr || (argc > 1 && strcmp(to, "-") == 0))
        to = getenv("OLDPWD");
    to = to == nullptr ? "/" : to;
    Status status = GetCurrentDirectory(before, sizeof before);
    if (status == StatusSuccess)
        status = SetCurrentDirectory(to);
    if (status == StatusSuccess)
        status = GetCurrentDirectory(after, sizeof after);
    if (status != StatusSuccess) {
        Complain(streams, "cd: %s: %s", to, Explain(status));
        return 1;
    }
    setenv("OLDPWD", before, 1);
    setenv("PWD", after, 1);
    return 0;
}

static int ShowDirectory(int argc, char **argv, const Streams *streams)
{
    char path[MaximumPath];
    Status status = GetCurrentDirectory(path, sizeof path);
    if (status != StatusSuccess) {
        Complain(streams, "pwd: %s", Explain(status));
        return 1;
    }
    Printf(streams->Handles[1], "%s\n", path);
    return 0;
}

// ---- text

// What stands behind a backslash at *at for `echo -e`; *at moves to its last character.
static char Unescape(const char **at)
{
    static const char letters[] = "abefnrtv0\\", values[] = "\a\b\x1B\f\n\r\t\v\0\\";
    const char *found = *++*at == '\0' ? nullptr : strchr(letters, **at);
    unsigned value = 0;
    if (**at == 'x' && sscanf(*at + 1, "%2x", &value) == 1) {
        *at += strspn(*at + 1, "0123456789abcdefABCDEF") > 1 ? 2 : 1;
        return (char)value;
    }
    if (**at == '\0')
        --*at;
    return found == nullptr ? **at : values[found - letters];
}

static int Echo(int argc, char **argv, const Streams *streams)
{
    bool line = true, escapes = false;
    int i = 1;
    for (; i < argc && (strcmp(argv[i], "-n") == 0 || strcmp(argv[i], "-e") == 0); i++)
        *(argv[i][1] == 'n' ? &line : &escapes) = argv[i][1] != 'n';
    size_t size = 2, used = 0, moved;
    for (int k = i; k < argc; k++)
        size += strlen(argv[k]) + 1;
    char *text = malloc(size);
    if (text == nullptr)
        return 1;
    for (int k = i; k < argc; k++) {
        if (k > i)
            text[used++] = ' ';
        for (const char *at = argv[k]; *at; at++)
            text[used++] = escapes && *at == '\\' ? Unescape(&at) : *at;
    }
    if (line)
        text[used++] = '\n';
    Handle out = streams->Handles[1];
    Status status = out == InvalidHandle ? StatusSuccess : WriteFile(out, text, used, &moved);
    free(text);
    if (status != StatusSuccess && status != StatusPipeBroken)
        Complain(streams, "echo: %s", Explain(status));
    return status != StatusSuccess;
}

static int Clear(int argc, char **argv, const Streams *streams)
{
    Print(streams->Handles[1], "\x1B[H\x1B[2J");
    return 0;
}

// One line from the input, byte by byte: what is behind it is the next reader's.
static int Read(int argc, char **argv, const Streams *streams)
{
    char line[EDIT_LINE_SIZE];
    size_t used = 0, moved = 0;
    Status status = streams->Handles[0] == InvalidHandle ? StatusEndOfFile : StatusSuccess;
    while (status == StatusSuccess) {
        char c;
        status = ReadFile(streams->Handles[0], &c, 1, &moved);
        if (status != StatusSuccess || c == '\n')
            break;
        if (used < sizeof line - 1 && c != '\r')
            line[used++] = c;
    }
    line[used] = '\0';
    char *rest = line;
    for (int i = 1; i < argc; i++) { // the last variable takes what is left
        rest += strspn(rest, " \t");
        size_t length = i + 1 < argc ? strcspn(rest, " \t") : strlen(rest);
        char end = rest[length];
        rest[length] = '\0';
        setenv(argv[i], rest, 1);
        rest += length + (end != '\0');
        if (end != '\0' && i + 1 < argc)
            rest[-1] = ' ';
    }
    return status == StatusSuccess || used > 0 ? 0 : 1;
}

// ---- variables

static int Compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int ListVariables(const Streams *streams)
{
    size_t count = 0;
    while (environ[count] != nullptr)
        count++;
    char **sorted = calloc(count + 1, sizeof(*sorted));
    if (sorted == nullptr)
        return 1;
    memcpy(sorted, environ, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), Compare);
    for (size_t i = 0; i < count; i++)
        Printf(streams->Handles[1], "%s\n", sorted[i]);
    free(sorted);
    return 0;
}

static int Set(int argc, char **argv, const Streams *streams)
{
    size_t length;
    if (argc == 1)
        return ListVariables(streams);
    for (int i = 1; i < argc; i++) {
        if (!IsAssignment(argv[i], &length) && argv[i][length] != '\0') {
            Complain(streams, "%s: '%s' is no name", argv[0], argv[i]);
            return 1;
        }
        if (argv[i][length] == '=') {
            argv[i][length] = '\0';
            setenv(argv[i], argv[i] + length + 1, 1);
        }
    }
    return 0;
}

static int SetLocal(int argc, char **argv, const Streams *streams)
{
    size_t length;
    if (TheShell.FunctionDepth == 0) {
        Complain(streams, "local: there is no function around this");
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        bool assigned = IsAssignment(argv[i], &length);
        if (length == 0 || (!assigned && argv[i][length] != '\0')) {
            Complain(streams, "local: '%s' is no name", argv[i]);
            return 1;
        }
        argv[i][length] = '\0';
        if (!MakeLocal(argv[i]) || (assigned && setenv(argv[i], argv[i] + length + 1, 1) != 0)) {
            Complain(streams, "out of memory");
            return 1;
        }
        if (!assigned)
            unsetenv(argv[i]);
    }
    return 0;
}

static int Unset(int argc, char **argv, const Streams *streams)
{
    for (int i = 1; i < argc; i++)
        unsetenv(argv[i]);
    return 0;
}

// ---- jobs

static Job *NeedJob(int argc, char **argv, const Streams *streams)
{
    Job *job = FindJob(argc > 1 ? argv[1] : nullptr);
    if (job == nullptr)
        Complain(streams, "%s: there is no such job", argv[0]);
    return job;
}

static int Jobs(int argc, char **argv, const Streams *streams)
{
    ListJobs(streams->Handles[1]);
    return 0;
}

static int Foreground(int argc, char **argv, const Streams *streams)
{
    Job *job = NeedJob(argc, argv, streams);
    if (job == nullptr)
        return 1;
    Printf(streams->Handles[1], "%s\n", job->Text);
    return BringToForeground(job);
}

static int Wait(int argc, char **argv, const Streams *streams)
{
    int code = 0;
    Job *job;
    if (argc > 1) {
        job = NeedJob(argc, argv, streams);
        if (job == nullptr)
            return ExitUnknown;
        if (!WaitForJob(job))
            return ConsoleInterrupted;
        code = job->Code;
        ForgetJob(job);
        return code;
    }
    for (size_t i = 0; GetJob(i, &job); i++)
        if (job != nullptr) {
            if (!WaitForJob(job))
                return ConsoleInterrupted;
            code = job->Code;
            ForgetJob(job);
        }
    return code;
}

static int EndProcess(const char *text, const Streams *streams)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    Handle process;
    if (end == text || *end != '\0' || number > UINT32_MAX) {
        Complain(streams, "kill: '%s' is no process and no job", text);
        return 1;
    }
    Status status = OpenProcess((uint32_t)number, AccessTerminate, &process);
    if (status == StatusSuccess) {
        status = TerminateProcess(process, ConsoleInterrupted);
        (void)CloseHandle(process);
    }
    if (status != StatusSuccess)
        Complain(streams, "kill: %s: %s", text,
                 status == StatusNotFound ? "there is no such process" : Explain(status));
    return status != StatusSuccess;
}

static int Kill(int argc, char **argv, const Streams *streams)
{
    int code = argc < 2;
    if (argc < 2)
        Complain(streams, "kill: which process? 'ps' and 'jobs' list them");
    for (int i = 1; i < argc; i++) {
        Job *job = argv[i][0] == '%' ? FindJob(argv[i]) : nullptr;
        if (argv[i][0] != '%') {
            code |= EndProcess(argv[i], streams);
            continue;
        }
        if (job == nullptr) {
            Complain(streams, "kill: %s: there is no such job", argv[i]);
            code = 1;
        }
        for (size_t k = 0; job != nullptr && k < job->Count; k++)
            (void)TerminateProcess(job->Processes[k], ConsoleInterrupted);
    }
    return code;
}

// ---- the shell

static int History(int argc, char **argv, const Streams *streams)
{
    size_t count = CountHistory();
    if (argc > 1 && strcmp(argv[1], "-c") == 0) {
        ClearHistory();
        return 0;
    }
    size_t most = argc > 1 ? strtoul(argv[1], nullptr, 10) : count;
    for (size_t i = most < count ? most : count; i-- > 0;)
        Printf(streams->Handles[1], "%5zu  %s\n", count - i, GetHistoryLine(nullptr, i));
    return 0;
}

static int Exit(int argc, char **argv, const Streams *streams)
{
    TheShell.Exiting = true;
    return argc > 1 ? atoi(argv[1]) : TheShell.LastCode;
}

static int Return(int argc, char **argv, const Streams *streams)
{
    if (TheShell.FunctionDepth == 0) {
        Complain(streams, "return: there is no function around this");
        return 1;
    }
    TheShell.Returning = true;
    return argc > 1 ? atoi(argv[1]) : TheShell.LastCode;
}

static int LeaveLoops(int argc, char **argv, const Streams *streams)
{
    int levels = argc > 1 ? atoi(argv[1]) : 1;
    if (TheShell.LoopDepth == 0) {
        Complain(streams, "%s: there is no loop around this", argv[0]);
        return 1;
    }
    TheShell.Breaking = levels < 1 ? 1 : levels > TheShell.LoopDepth ? TheShell.LoopDepth : levels;
    TheShell.Continuing = argv[0][0] == 'c';
    return 0;
}

static int Source(int argc, char **argv, const Streams *streams)
{
    if (argc < 2) {
        Complain(streams, "source: which file?");
        return 1;
    }
    return RunFile(argv[1], streams);
}

static int Shift(int argc, char **argv, const Streams *streams)
{
    if (TheShell.ArgumentCount == 0)
        return 1;
    memmove(TheShell.Arguments + 1, TheShell.Arguments + 2,
            TheShell.ArgumentCount * sizeof(*TheShell.Arguments));
    TheShell.ArgumentCount--;
    return 0;
}

static int True(int argc, char **argv, const Streams *streams)
{
    return 0;
}

static int False(int argc, char **argv, const Streams *streams)
{
    return 1;
}

static int Which(int argc, char **argv, const Streams *streams)
{
    int code = argc < 2;
    for (int i = 1; i < argc; i++) {
        const char *name = ResolveAlias(argv[i]);
        static const char *const folders[] = {"", "/apps/", "/system/"};
        bool found = FindBuiltin(argv[i]) != nullptr;
        if (found)
            Printf(streams->Handles[1], "%s is part of the shell\n", argv[i]);
        for (size_t k = 0; k < 3 && !found; k++) {
            char path[MaximumPath];
            FileInfo info;
            snprintf(path, sizeof path, "%s%s.exe", folders[k], name);
            found = GetPathInfo(path, &info) == StatusSuccess;
            if (found)
                Printf(streams->Handles[1], "%s\n", path);
        }
        if (!found)
            Complain(streams, "which: %s: unknown command", argv[i]);
        code |= !found;
    }
    return code;
}

// ---- help and the table

static int Help(int argc, char **argv, const Streams *streams);

static const Builtin builtins[] = {
    {".", ". FILE", "runs a script in this shell", Source},
    {"[", "[ EXPRESSION ]", "the same as test", Test},
    {"break", "break [LEVELS]", "leaves a loop", LeaveLoops},
    {"cd", "cd [FOLDER | -]", "changes the current folder; home without one", ChangeDirectory},
    {"clear", "clear", "clears the screen", Clear},
    {"continue", "continue [LEVELS]", "goes on with a loop's next turn", LeaveLoops},
    {"echo", "echo [-n] [-e] TEXT...", "writes text; -n: no line end, -e: \\n \\t \\e ...", Echo},
    {"exit", "exit [CODE]", "ends the shell", Exit},
    {"export", "export NAME=VALUE...", "sets variables; programs see all of them", Set},
    {"false", "false", "fails", False},
    {"fg", "fg [JOB]", "brings a job to the foreground", Foreground},
    {"help", "help [COMMAND]", "lists the commands, or explains one", Help},
    {"history", "history [COUNT | -c]", "lists the lines typed so far; -c forgets them", History},
    {"jobs", "jobs", "lists what runs in the background", Jobs},
    {"kill", "kill PROCESS | %JOB...", "ends processes", Kill},
    {"local", "local NAME[=VALUE]...", "makes variables a function's own", SetLocal},
    {"pwd", "pwd", "writes the current folder", ShowDirectory},
    {"read", "read NAME...", "reads a line into variables", Read},
    {"return", "return [CODE]", "leaves a function", Return},
    {"set", "set [NAME=VALUE...]", "sets variables, or lists them", Set},
    {"shift", "shift", "drops a script's first argument", Shift},
    {"source", "source FILE", "runs a script in this shell", Source},
    {"test", "test EXPRESSION", "-e -f -d FILE, -z -n TEXT, A = B, A != B, M -lt N ...", Test},
    {"true", "true", "succeeds", True},
    {"unset", "unset NAME...", "removes variables", Unset},
    {"wait", "wait [JOB]", "waits for background jobs", Wait},
    {"which", "which COMMAND...", "says what a command is", Which},
};

static const struct {
    const char *Name, *Meaning;
} aliases[] = {{"cat", "type"}, {"cp", "copy"},  {"ls", "dir"}, {"md", "mkdir"},
               {"mv", "move"},  {"rd", "rmdir"}, {"rm", "del"}, {"less", "more"}};

const Builtin *GetBuiltin(size_t index)
{
    return index < sizeof builtins / sizeof builtins[0] ? &builtins[index] : nullptr;
}

bool GetAlias(size_t index, const char **alias, const char **name)
{
    if (index >= sizeof aliases / sizeof aliases[0])
        return false;
    *alias = aliases[index].Name;
    *name = aliases[index].Meaning;
    return true;
}

const char *ResolveAlias(const char *name)
{
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcmp(aliases[i].Name, name) == 0)
            return aliases[i].Meaning;
    return name;
}

int RunBuiltin(const Builtin *builtin, int argc, char **argv, const Streams *streams)
{
    bool literal = builtin->Run == Test;
    if (argc == 2 && strcmp(argv[1], "--help") == 0 && !literal) {
        Printf(streams->Handles[1], "%s\n    %s\n", builtin->Usage, builtin->Summary);
        return 0;
    }
    return builtin->Run(argc, argv, streams);
}

static int Help(int argc, char **argv, const Streams *streams)
{
    Handle out = streams->Handles[1];
    if (argc > 1) {
        const Builtin *builtin = FindBuiltin(argv[1]);
        if (builtin != nullptr)
            Printf(out, "%s\n    %s\n", builtin->Usage, builtin->Summary);
        else
            Printf(out, "'%s --help' explains it, if it is a program.\n", argv[1]);
        return 0;
    }
    Print(out, "Programs (NAME --help explains one):\n"
               "  dir ls     lists a folder             copy cp    copies files\n"
               "  move mv    moves or renames           del rm     removes files\n"
               "  type cat   writes files               mkdir      makes folders\n"
               "  more less  page by page               rmdir      removes empty folders\n"
               "  edit       changes a text             hexdump    bytes as numbers\n"
               "  grep       lines with a text          find       files below folders\n"
               "  head tail  first, last lines          sort       sorts lines\n"
               "  wc         counts lines, words, bytes\n"
               "  ps         processes                  mem        memory and disk\n"
               "  date       date and time              sleep      waits\n"
               "  dmesg      the kernel's log           counters   what the kernel counts\n"
               "  shutdown reboot   ends the system\n"
               "and everything in /apps.\n\nParts of the shell:\n");
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++)
        Printf(out, "  %-24s %s\n", builtins[i].Usage, builtins[i].Summary);
    Print(
        out,
        "\nPipes |, redirection > >> < 2> 2>&1, background &, && || ; ! ( ) { }, if while\n"
        "until for, $NAME ${NAME:-x} $(command) $((1 + 2)), quotes ' \" \\, patterns * ? [a-z].\n");
    return 0;
}

const Builtin *FindBuiltin(const char *name)
{
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++)
        if (strcmp(builtins[i].Name, name) == 0)
            return &builtins[i];
    return nullptr;
}
