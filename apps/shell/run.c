// run.c - running a tree of commands.
//
// Built-in commands and compound ones run in the shell itself, except as part of a pipeline or
// behind `&`: there each stage has to be a process, and a stage that is no program is a second
// shell that gets the stage's source text (`shell -c TEXT`). Variables are the environment, so it
// starts with the same ones.
//
// A program's name is looked up by CreateProcess. A file that is no image but text is a script.
// SPDX-License-Identifier: MIT
#include "shell.h"

#include <stdlib.h>
#include <string.h>

enum { MostStages = 16, MostOpened = 32, LongestText = 64 << 10 }; // a pipe holds that much

static const Streams noStreams = {};

// ---- redirections

// What has to be closed after a command.
typedef struct Opened {
    Handle Handles[MostOpened];
    size_t Count;
} Opened;

static void CloseOpened(Opened *opened)
{
    while (opened->Count > 0)
        (void)CloseHandle(opened->Handles[--opened->Count]);
}

static Status OpenFor(RedirectionKind kind, const char *path, Handle *file)
{
    if (strcmp(path, "/dev/null") == 0) { // no handle reads end of file and swallows
        *file = InvalidHandle;
        return StatusSuccess;
    }
    if (kind == RedirectRead)
        return CreateFile(path, FileRead, FileOpenExisting, file);
    if (kind == RedirectAppend)
        return CreateFile(path, FileWrite | FileAppend, FileOpenAlways, file);
    return CreateFile(path, FileWrite, FileCreateAlways, file);
}

// A here-document: the end of a pipe that holds the text. StatusLimitReached: it is too long.
static Status OpenText(const char *text, Handle *file)
{
    Handle ends[2];
    size_t length = strlen(text), moved = 0;
    if (length > LongestText)
        return StatusLimitReached;
    Status status = CreatePipe(&ends[0], &ends[1]);
    if (status != StatusSuccess)
        return status;
    if (length > 0)
        status = WriteFile(ends[1], text, length, &moved);
    (void)CloseHandle(ends[1]);
    if (status != StatusSuccess)
        (void)CloseHandle(ends[0]);
    else
        *file = ends[0];
    return status;
}

// Carries out one redirection that opens something. False and a message: it cannot be done.
static bool Open(const Redirection *made, const Streams *errors, Handle *file)
{
    const char *error = nullptr;
    bool here = made->Kind == RedirectHere;
    char *text = here && made->Literal ? strdup(made->Word)
                 : here                ? ExpandText(GetHooks(), made->Word, &error)
                                       : ExpandString(GetHooks(), made->Word, &error);
    if (text == nullptr) {
        Complain(errors, "%s", error != nullptr ? error : "out of memory");
        return false;
    }
    Status status = here ? OpenText(text, file) : OpenFor(made->Kind, text, file);
    if (here && status == StatusLimitReached)
        Complain(errors, "a here-document is longer than 64 KB; put it into a file");
    else if (status != StatusSuccess)
        Complain(errors, "%s: %s", here ? "here-document" : text, Explain(status));
    free(text);
    return status == StatusSuccess;
}

// Changes streams as a node says. False and a message: it cannot be done.
static bool Redirect(const Node *node, Streams *streams, const Streams *errors, Opened *opened)
{
    for (size_t i = 0; i < node->RedirectionCount; i++) {
        const Redirection *made = &node->Redirections[i];
        if (made->Kind == RedirectDuplicate) {
            streams->Handles[made->Stream] = streams->Handles[made->From];
            continue;
        }
        Handle file;
        if (opened->Count == MostOpened) {
            Complain(errors, "a command has too many redirections");
            return false;
        }
        if (!Open(made, errors, &file))
            return false;
        streams->Handles[made->Stream] = file;
        if (file != InvalidHandle)
            opened->Handles[opened->Count++] = file;
    }
    return true;
}

// ---- command lines for CreateProcess

// Adds an argument as docs/system-calls.md says they are split again.
static bool AddArgument(char **line, size_t *length, const char *argument)
{
    size_t own = strlen(argument);
    char *grown = realloc(*line, *length + own * 2 + 4);
    if (grown == nullptr)
        return false;
    *line = grown;
    char *to = grown + *length;
    bool quote = own == 0 || strpbrk(argument, " \t\n\r\"") != nullptr;
    if (*length > 0)
        *to++ = ' ';
    if (quote)
        *to++ = '"';
    for (const char *from = argument; *from; from++) {
        size_t backslashes = strspn(from, "\\");
        bool beforeQuote = from[backslashes] == '"' || (quote && from[backslashes] == '\0');
        for (size_t i = 0; i < (beforeQuote ? backslashes * 2 : backslashes); i++)
            *to++ = '\\';
        from += backslashes;
        if (*from == '\0')
            break;
        if (*from == '"')
            *to++ = '\\';
        *to++ = *from;
    }
    if (quote)
        *to++ = '"';
    *to = '\0';
    *length = (size_t)(to - grown);
    return true;
}

static char *JoinArguments(size_t count, char *const *arguments)
{
    char *line = nullptr;
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        if (!AddArgument(&line, &length, arguments[i])) {
            free(line);
            return nullptr;
        }
    return line;
}

// ---- processes

static Status Start(size_t count, char *const *arguments, const Streams *streams, Handle *process)
{
    char *line = JoinArguments(count, arguments);
    if (line == nullptr)
        return StatusNoMemory;
    CreateProcessParameters parameters = {
        .CommandLine = line,
        .StandardInput = streams->Handles[0],
        .StandardOutput = streams->Handles[1],
        .StandardError = streams->Handles[2],
    };
    Status status = CreateProcess(&parameters, process);
    if (status == StatusSuccess) {
        ProcessInfo info;
        if (GetProcessInfo(*process, &info) == StatusSuccess)
            TheShell.LastProcess = info.ProcessId;
    }
    free(line);
    return status;
}

#define SHELL_PATH "/system/shell.exe"

static bool IsScript(const char *path)
{
    char start[256];
    size_t length = 0;
    Handle file;
    if (CreateFile(path, FileRead, FileOpenExisting, &file) != StatusSuccess)
        return false;
    Status status = ReadFile(file, start, sizeof start, &length);
    (void)CloseHandle(file);
    return (status == StatusSuccess || status == StatusEndOfFile) &&
           memchr(start, '\0', length) == nullptr;
}

static Status StartScript(size_t count, char **arguments, const Streams *streams, Handle *process)
{
    char **with = calloc(count + 2, sizeof(*with));
    if (with == nullptr)
        return StatusNoMemory;
    with[0] = (char *)SHELL_PATH;
    memcpy(with + 1, arguments, count * sizeof(*with));
    Status status = Start(count + 1, with, streams, process);
    free(with);
    return status;
}

// Starts a program or script by its words. A message is given when it cannot be; *code is its exit
// code then.
static bool StartProgram(Strings *words, const Streams *streams, Handle *process, int *code)
{
    char *name = words->Items[0];
    const char *resolved = ResolveAlias(name);
    words->Items[0] = (char *)resolved;
    Status status = Start(words->Count, words->Items, streams, process);
    words->Items[0] = name;
    FileInfo info;
    if ((status == StatusBadImage || status == StatusNotFound) &&
        GetPathInfo(name, &info) == StatusSuccess) {
        if (info.Attributes & FileAttributeDirectory)
            status = StatusIsADirectory;
        else if (IsScript(name))
            status = StartScript(words->Count, words->Items, streams, process);
    }
    *code =
        status == StatusNotFound || status == StatusPathNotFound ? ExitUnknown : ExitCannotStart;
    if (status == StatusNotFound && strpbrk(name, "/\\") == nullptr)
        Complain(streams, "%s: unknown command; 'help' lists what there is", name);
    else if (status != StatusSuccess)
        Complain(streams, "%s: %s", name, Explain(status));
    return status == StatusSuccess;
}

// A second shell for a text.
static bool StartShellFor(const char *source, size_t length, const Streams *streams,
                          Handle *process)
{
    size_t count = TheShell.ArgumentCount;
    char **arguments = calloc(count + 5, sizeof(*arguments));
    char *text = PrependFunctions(source, length);
    Status status = StatusNoMemory;
    if (arguments != nullptr && text != nullptr) {
        arguments[0] = (char *)SHELL_PATH;
        arguments[1] = (char *)"-c";
        arguments[2] = text;
        memcpy(arguments + 3, TheShell.Arguments, (count + 1) * sizeof(*arguments));
        status = Start(count + 4, arguments, streams, process);
    }
    free(text);
    free(arguments);
    if (status != StatusSuccess)
        Complain(streams, "a part of the command cannot be started: %s", Explain(status));
    return status == StatusSuccess;
}

// A second shell for a piece of source.
static bool StartShell(const Node *node, const Streams *streams, Handle *process)
{
    char *source = CopySource(node);
    if (source == nullptr)
        Complain(streams, "out of memory");
    bool running = source != nullptr && StartShellFor(source, strlen(source), streams, process);
    free(source);
    return running;
}

char *CaptureOutput(const char *text, size_t length, const Streams *streams)
{
    Streams own = *streams;
    Handle ends[2], process;
    char *output = nullptr;
    size_t used = 0, capacity = 0, moved;
    if (CreatePipe(&ends[0], &ends[1]) != StatusSuccess)
        return nullptr;
    own.Handles[1] = ends[1];
    bool running = StartShellFor(text, length, &own, &process);
    (void)CloseHandle(ends[1]);
    if (running)
        SetForeground(&process, 1);
    do { // until the end, or no memory; then the pipe breaks
        if (used + 1 >= capacity) {
            capacity = capacity * 2 + 1024;
            char *grown = realloc(output, capacity);
            if (grown == nullptr)
                break;
            output = grown;
        }
    } while (ReadFile(ends[0], output + used, capacity - used - 1, &moved) == StatusSuccess &&
             (used += moved, true));
    (void)CloseHandle(ends[0]);
    TheShell.LastCode = running ? WaitForeground(&process, 1) : ExitCannotStart;
    while (used > 0 && output[used - 1] == '\n')
        used--;
    if (output != nullptr)
        output[used] = '\0';
    return output;
}

// ---- simple commands

static bool ExpandWords(const Node *node, size_t from, Strings *words, const Streams *streams)
{
    const char *error = nullptr;
    for (size_t i = from; i < node->WordCount; i++)
        if (!ExpandWord(GetHooks(), node->Words[i], words, &error)) {
            Complain(streams, "%s", error != nullptr ? error : "out of memory");
            StringsFree(words);
            return false;
        }
    return true;
}

static size_t CountAssignments(const Node *node)
{
    size_t count = 0, length;
    while (count < node->WordCount && IsAssignment(node->Words[count], &length))
        count++;
    return count;
}

// Sets NAME=value; *before receives what it was (heap) when that is wanted.
static bool Assign(const char *word, char **before, const Streams *streams)
{
    size_t length;
    const char *error;
    (void)IsAssignment(word, &length);
    char *name = strndup(word, length);
    char *value = ExpandString(GetHooks(), word + length + 1, &error);
    bool done = name != nullptr && value != nullptr;
    if (done && before != nullptr && getenv(name) != nullptr)
        *before = strdup(getenv(name));
    done = done && setenv(name, value, 1) == 0;
    if (!done)
        Complain(streams, "%s", error != nullptr ? error : "out of memory");
    free(name);
    free(value);
    return done;
}

static void Restore(const char *word, char *before)
{
    size_t length;
    (void)IsAssignment(word, &length);
    char *name = strndup(word, length);
    if (name != nullptr && before != nullptr)
        setenv(name, before, 1);
    else if (name != nullptr)
        unsetenv(name);
    free(name);
    free(before);
}

static int RunWords(Strings *words, const Streams *streams)
{
    const Builtin *builtin = FindBuiltin(words->Items[0]);
    Handle process;
    int code;
    if (IsFunction(words->Items[0]))
        return CallFunction((int)words->Count, words->Items, streams);
    if (builtin != nullptr)
        return RunBuiltin(builtin, (int)words->Count, words->Items, streams);
    if (!StartProgram(words, streams, &process, &code))
        return code;
    return WaitForeground(&process, 1);
}

static int RunCommand(const Node *node, const Streams *streams)
{
    Streams own = *streams;
    Opened opened = {};
    Strings words = {};
    enum { MostAssignments = 16 };
    char *before[MostAssignments] = {};
    size_t assignments = CountAssignments(node), done = 0;
    if (!ExpandWords(node, assignments, &words, streams))
        return ExitSyntax;
    bool kept = words.Count == 0; // without a command behind them they stay
    int code = kept ? 0 : ExitSyntax;
    for (; done < assignments && (kept || done < MostAssignments); done++)
        if (!Assign(node->Words[done], kept ? nullptr : &before[done], streams))
            break;
    if (done < assignments || !Redirect(node, &own, streams, &opened))
        code = 1;
    else if (!kept)
        code = RunWords(&words, &own);
    while (!kept && done-- > 0)
        Restore(node->Words[done], before[done]);
    CloseOpened(&opened);
    StringsFree(&words);
    return code;
}

// ---- pipelines and jobs

// Starts a stage as a process of its own. False: it has said why.
static bool StartStage(const Node *node, const Streams *streams, Handle *process, int *code)
{
    Streams own = *streams;
    Opened opened = {};
    Strings words = {};
    *code = ExitCannotStart;
    if (node->Kind == NodeSubshell) {
        bool running =
            Redirect(node, &own, streams, &opened) && StartShell(node->Children[0], &own, process);
        CloseOpened(&opened);
        return running;
    }
    if (node->Kind != NodeCommand || CountAssignments(node) > 0 || node->WordCount == 0)
        return StartShell(node, streams, process);
    if (!ExpandWords(node, 0, &words, streams))
        return false;
    bool started = false;
    if (words.Count == 0 || FindBuiltin(words.Items[0]) != nullptr || IsFunction(words.Items[0])) {
        started = StartShell(node, streams, process);
    } else if (Redirect(node, &own, streams, &opened)) {
        started = StartProgram(&words, &own, process, code);
    } else {
        *code = 1;
    }
    CloseOpened(&opened);
    StringsFree(&words);
    return started;
}

// Starts the stages of a pipeline (or the one node); how many processes there are. *code is the
// last stage's when that could not be started.
static size_t StartPipeline(const Node *node, const Streams *streams, Handle processes[MostStages],
                            bool *lastStarted, int *code)
{
    bool single = node->Kind != NodePipeline;
    size_t count = single ? 1 : node->ChildCount, started = 0;
    Handle input = streams->Handles[0], ends[2];
    bool ownsInput = false;
    *lastStarted = false;
    if (count > MostStages) {
        Complain(streams, "a pipeline has at most %d commands", MostStages);
        *code = ExitSyntax;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        Streams own = *streams;
        bool last = i + 1 == count;
        own.Handles[0] = input;
        Status status = last ? StatusSuccess : CreatePipe(&ends[0], &ends[1]);
        if (status == StatusSuccess && !last)
            own.Handles[1] = ends[1];
        bool running = status == StatusSuccess && StartStage(single ? node : node->Children[i],
                                                             &own, &processes[started], code);
        if (status != StatusSuccess)
            Complain(streams, "no pipe: %s", Explain(status));
        started += running;
        *lastStarted = last && running;
        if (ownsInput)
            (void)CloseHandle(input);
        if (status == StatusSuccess && !last)
            (void)CloseHandle(ends[1]);
        ownsInput = status == StatusSuccess && !last;
        input = ownsInput ? ends[0] : InvalidHandle;
    }
    return started;
}

static int RunPipeline(const Node *node, const Streams *streams)
{
    Handle processes[MostStages];
    bool lastStarted;
    int failed = 0;
    size_t count = StartPipeline(node, streams, processes, &lastStarted, &failed);
    int code = WaitForeground(processes, count);
    return lastStarted ? code : failed;
}

static int RunBackground(const Node *node, const Streams *streams)
{
    Handle processes[MostStages];
    Streams own = *streams;
    bool lastStarted;
    int failed = 0;
    if (TheShell.Console != InvalidHandle && own.Handles[0] == TheShell.Console)
        own.Handles[0] = InvalidHandle; // what is typed is not theirs
    const Node *child = node->Children[0];
    size_t count = StartPipeline(child, &own, processes, &lastStarted, &failed);
    if (count == 0)
        return failed;
    int number = AddJob(processes, count, child->Text, child->Length);
    if (number == 0)
        Complain(streams, "too many jobs: this one is not kept");
    else if (TheShell.Interactive)
        Printf(streams->Handles[2], "[%d] %u\n", number, TheShell.LastProcess);
    return 0;
}

// ---- compound commands

// Whether to stop running what follows.
static bool Leaving(void)
{
    return TheShell.Exiting || TheShell.Returning || TheShell.Breaking > 0 || CheckInterrupt();
}

// After a turn of a loop: true: leave it.
static bool LeaveLoop(void)
{
    if (TheShell.Exiting || TheShell.Returning || CheckInterrupt())
        return true;
    if (TheShell.Breaking == 0)
        return false;
    if (--TheShell.Breaking > 0)
        return true;
    bool goOn = TheShell.Continuing;
    TheShell.Continuing = false;
    return !goOn;
}

static int RunLoop(const Node *node, const Streams *streams)
{
    int code = 0;
    TheShell.LoopDepth++;
    for (;;) {
        bool holds = RunNode(node->Children[0], streams) == 0;
        if (Leaving() || holds != (node->Kind == NodeWhile))
            break;
        code = RunNode(node->Children[1], streams);
        if (LeaveLoop())
            break;
    }
    TheShell.LoopDepth--;
    return code;
}

static int RunFor(const Node *node, const Streams *streams)
{
    Strings words = {};
    const char *error = nullptr;
    int code = 0;
    bool known = node->ForArguments ? ExpandWord(GetHooks(), "\"$@\"", &words, &error)
                                    : ExpandWords(node, 1, &words, streams);
    if (!known)
        return ExitSyntax;
    if (node->ForArguments && TheShell.ArgumentCount == 0)
        StringsFree(&words);
    TheShell.LoopDepth++;
    for (size_t i = 0; i < words.Count; i++) {
        setenv(node->Words[0], words.Items[i], 1);
        code = RunNode(node->Children[0], streams);
        if (LeaveLoop())
            break;
    }
    TheShell.LoopDepth--;
    StringsFree(&words);
    return code;
}

static int RunIf(const Node *node, const Streams *streams)
{
    for (size_t i = 0; i + 1 < node->ChildCount; i += 2) {
        bool holds = RunNode(node->Children[i], streams) == 0;
        if (Leaving())
            return TheShell.LastCode;
        if (holds)
            return RunNode(node->Children[i + 1], streams);
    }
    return node->ChildCount % 2 ? RunNode(node->Children[node->ChildCount - 1], streams) : 0;
}

static int RunCase(const Node *node, const Streams *streams)
{
    const char *error = nullptr;
    char *text = ExpandString(GetHooks(), node->Words[0], &error);
    const Node *chosen = nullptr;
    for (size_t i = 0; i < node->ChildCount && text != nullptr && chosen == nullptr; i++) {
        const Node *choice = node->Children[i];
        for (size_t j = 0; j < choice->WordCount && chosen == nullptr && error == nullptr; j++) {
            char *pattern = ExpandPattern(GetHooks(), choice->Words[j], &error);
            if (pattern != nullptr && MatchText(pattern, text))
                chosen = choice;
            free(pattern);
        }
    }
    if (text == nullptr || error != nullptr)
        Complain(streams, "%s", error != nullptr ? error : "out of memory");
    bool failed = text == nullptr || error != nullptr;
    free(text);
    if (failed)
        return ExitSyntax;
    return chosen != nullptr && chosen->ChildCount > 0 ? RunNode(chosen->Children[0], streams) : 0;
}

static int RunFunction(const Node *node, const Streams *streams)
{
    char *body = CopySource(node->Children[0]);
    bool defined = body != nullptr && DefineFunction(node->Words[0], body, strlen(body));
    free(body);
    if (!defined)
        Complain(streams, "out of memory");
    return defined ? 0 : ExitSyntax;
}

static int RunSequence(const Node *node, const Streams *streams)
{
    int code = 0;
    for (size_t i = 0; i < node->ChildCount && (i == 0 || !Leaving()); i++)
        code = RunNode(node->Children[i], streams);
    return code;
}

static int RunCompound(const Node *node, const Streams *streams)
{
    switch (node->Kind) {
    case NodeIf:
        return RunIf(node, streams);
    case NodeWhile:
    case NodeUntil:
        return RunLoop(node, streams);
    case NodeFor:
        return RunFor(node, streams);
    case NodeCase:
        return RunCase(node, streams);
    case NodeFunction:
        return RunFunction(node, streams);
    default:
        return RunNode(node->Children[0], streams);
    }
}

static int RunKind(const Node *node, const Streams *streams)
{
    int code;
    switch (node->Kind) {
    case NodeCommand:
        return RunCommand(node, streams);
    case NodePipeline:
    case NodeSubshell:
        return RunPipeline(node, streams);
    case NodeBackground:
        return RunBackground(node, streams);
    case NodeAnd:
    case NodeOr:
        code = RunNode(node->Children[0], streams);
        return Leaving() || (code == 0) != (node->Kind == NodeAnd)
                   ? code
                   : RunNode(node->Children[1], streams);
    case NodeNot:
        return RunNode(node->Children[0], streams) == 0;
    case NodeSequence:
        return RunSequence(node, streams);
    default: {
        Streams own = *streams;
        Opened opened = {};
        code = Redirect(node, &own, streams, &opened) ? RunCompound(node, &own) : 1;
        CloseOpened(&opened);
        return code;
    }
    }
}

int RunNode(const Node *node, const Streams *streams)
{
    TheShell.LastCode = RunKind(node, streams == nullptr ? &noStreams : streams);
    return TheShell.LastCode;
}
