// main.c - shell.exe: a command line, and a language for scripts.
//
//   shell                           on a console: interactive; otherwise runs what it reads
//   shell -c TEXT [NAME ARGUMENTS]  runs a text
//   shell FILE [ARGUMENTS]          runs a script
//
// Interactive, it edits lines with the console in raw mode (edit.c) and gives programs an ordinary
// one. Control+C, while something runs, ends the programs in the foreground and sets an event of
// the shell's, which gives up what runs in the shell itself: loops, waits.
//
// Variables are the environment, so every program sees all of them. docs/console.md is the manual.
// SPDX-License-Identifier: MIT
#include "shell.h"

#include <stdlib.h>
#include <string.h>

#define ORDINARY_MODE ConsoleModeDefault
#define EDIT_MODE     ((uint32_t)ConsoleNewLine)

// ---- interactive

static void MakePrompt(char prompt[EDIT_PROMPT_SIZE], bool more)
{
    char path[MaximumPath] = "?";
    const char *home = getenv("HOME");
    if (more) {
        strcpy(prompt, "\x1B[38;5;243m...\x1B[0m ");
        return;
    }
    (void)GetCurrentDirectory(path, sizeof path);
    const char *shown = path, *tilde = "";
    size_t length = home == nullptr ? 0 : strlen(home);
    if (length > 1 && strncmp(path, home, length) == 0 && (path[length] == '/' || !path[length])) {
        shown += length;
        tilde = "~";
    }
    snprintf(prompt, EDIT_PROMPT_SIZE, "\x1B[1;34m%s%.900s\x1B[0m %s\x1B[1m>\x1B[0m ", tilde, shown,
             TheShell.LastCode == 0 ? "\x1B[38;5;209m" : "\x1B[31m");
}

// The window's title: where, or what runs.
static void SetTitle(const char *text)
{
    Printf(TheShell.Console, "\x1B]0;%.*s\a", (int)strcspn(text, "\n"), text);
}

// Makes sure that the prompt begins a line: a mark and as many blanks as a row has end on a new row
// unless the cursor stood at the start of one.
static void BeginLine(size_t columns)
{
    char path[MaximumPath] = "";
    Printf(TheShell.Console, "\x1B[0;38;5;243m~\x1B[0m%*s\r\x1B[K", (int)columns - 1, "");
    (void)GetCurrentDirectory(path, sizeof path);
    SetTitle(path);
}

static void WriteConsole(void *context, const char *text, size_t length)
{
    size_t moved;
    (void)WriteFile(TheShell.Console, text, length, &moved);
}

// $COLUMNS and $LINES: the terminal's size as it is now.
static void SetSize(const ConsoleInfo *info)
{
    char number[16];
    snprintf(number, sizeof number, "%u", info->Columns);
    setenv("COLUMNS", number, 1);
    snprintf(number, sizeof number, "%u", info->Rows);
    setenv("LINES", number, 1);
}

// One line from the person.
static EditResult ReadLine(Editor *editor, bool more)
{
    static const EditHooks hooks = {
        .GetHistory = GetHistoryLine, .Complete = CompleteLine, .Write = WriteConsole};
    static char typed[256]; // what was read beyond a line is the next one's
    static size_t count;
    char prompt[EDIT_PROMPT_SIZE];
    ConsoleInfo info = {.Columns = 80, .Rows = 25};
    (void)SetConsoleMode(TheShell.Console, EDIT_MODE);
    (void)GetConsoleInfo(TheShell.Console, &info);
    if (!more)
        BeginLine(info.Columns);
    Print(TheShell.Console, "\x1B[?2004h");
    MakePrompt(prompt, more);
    EditStart(editor, &hooks, prompt, info.Columns);
    EditResult result = EditMore;
    while (result == EditMore) {
        size_t used = 0;
        if (count == 0 && ReadFile(TheShell.Console, typed, sizeof typed, &count) != StatusSuccess)
            return EditEnd;
        if (GetConsoleInfo(TheShell.Console, &info) == StatusSuccess)
            editor->Columns = info.Columns < 4 ? 4 : info.Columns;
        SetSize(&info);
        result = EditFeed(editor, typed, count, &used);
        count -= used;
        memmove(typed, typed + used, count);
    }
    Print(TheShell.Console, "\x1B[?2004l");
    (void)SetConsoleMode(TheShell.Console, ORDINARY_MODE);
    return result;
}

// Whether a text ends in the middle of a command.
static bool IsIncomplete(const char *text, size_t length)
{
    size_t at = 0;
    ParseStatus status;
    do {
        Arena arena = {};
        Node *node;
        char message[128];
        status = Parse(text, length, &at, &arena, &node, message);
        ArenaFree(&arena);
    } while (status == ParseOk);
    return status == ParseIncomplete;
}

// Reads a command that may go over several lines into text; its length. False: the end.
static bool ReadCommand(Editor *editor, char *text, size_t size, size_t *length)
{
    *length = 0;
    do {
        EditResult result = ReadLine(editor, *length > 0);
        if (result == EditEnd && *length == 0)
            return false;
        if (result != EditLine || *length + editor->Length + 2 > size) {
            *length = 0;
            TheShell.LastCode = result == EditCancel ? ConsoleInterrupted : ExitSyntax;
            return true;
        }
        memcpy(text + *length, editor->Text, editor->Length);
        *length += editor->Length;
        text[(*length)++] = '\n';
    } while (IsIncomplete(text, *length));
    text[--*length] = '\0';
    return true;
}

static void RunInteractive(void)
{
    static Editor editor;
    static char text[16 * EDIT_LINE_SIZE];
    size_t length;
    while (!TheShell.Exiting) {
        ReportDoneJobs(TheShell.Console);
        if (!ReadCommand(&editor, text, sizeof text, &length))
            break;
        if (length == 0)
            continue;
        AddHistory(text);
        SetTitle(text);
        (void)ResetEvent(TheShell.Interrupt);
        TheShell.Interrupted = false;
        TheShell.Breaking = 0;
        (void)RunText(text, length, nullptr);
    }
}

// ---- start

static void SetDefault(const char *name, const char *value)
{
    setenv(name, value, 0);
}

// The first shell of a terminal begins at home and runs ~/.profile.
static void StartInteractive(void)
{
    char path[MaximumPath];
    FileInfo info;
    TheShell.Interactive = true;
    TheShell.Console = TheShell.Standard.Handles[0];
    if (CreateEvent(true, false, &TheShell.Interrupt) != StatusSuccess)
        TheShell.Interrupt = InvalidHandle;
    if (TheShell.Interrupt != InvalidHandle)
        (void)SetConsoleForeground(TheShell.Console, 1, &TheShell.Interrupt);
    (void)CreateDirectory(getenv("HOME")); // mostly there already
    LoadHistory();
    if (getenv("SHELL_LEVEL") != nullptr)
        return;
    setenv("SHELL_LEVEL", "1", 1);
    if (GetCurrentDirectory(path, sizeof path) == StatusSuccess && strcmp(path, "/") == 0)
        (void)SetCurrentDirectory(getenv("HOME"));
    snprintf(path, sizeof path, "%s/.profile", getenv("HOME"));
    if (GetPathInfo(path, &info) == StatusSuccess)
        (void)RunFile(path, &TheShell.Standard);
    TheShell.LastCode = 0;
    Print(TheShell.Console, "\x1B[1mMetalOS\x1B[0m - 'help' lists the commands.\n");
}

static int RunInput(void)
{
    char *text;
    size_t length;
    Status status = TheShell.Standard.Handles[0] == InvalidHandle
                        ? StatusInvalidHandle
                        : ReadToEnd(TheShell.Standard.Handles[0], &text, &length);
    if (status != StatusSuccess) {
        Complain(&TheShell.Standard, "there is nothing to read: %s", Explain(status));
        return ExitCannotStart;
    }
    int code = RunText(text, length, nullptr);
    free(text);
    return code;
}

static void SetArguments(char **arguments, size_t count)
{
    static char *none[] = {(char *)"shell", nullptr};
    TheShell.Arguments = count == 0 ? none : arguments;
    TheShell.ArgumentCount = count == 0 ? 0 : count - 1;
}

int main(int argc, char **argv)
{
    ConsoleInfo info;
    for (int i = 0; i < 3; i++)
        TheShell.Standard.Handles[i] = GetStandardHandle((StandardHandle)i);
    SetDefault("HOME", "/home");
    SetDefault("TERM", "xterm-256color");
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        Print(TheShell.Standard.Handles[1],
              "shell [-c TEXT [NAME ARGUMENTS...] | FILE [ARGUMENTS...]]\n"
              "    runs commands: typed, of a text, of a script\n");
        return 0;
    }
    SetArguments(argv, 1);
    if (argc > 1 && strcmp(argv[1], "-c") == 0) {
        SetArguments(argv + 3, argc > 3 ? (size_t)argc - 3 : 0);
        const char *text = argc > 2 ? argv[2] : "";
        LoadHistory();
        return RunText(text, strlen(text), nullptr);
    }
    if (argc > 1) {
        SetArguments(argv + 1, (size_t)argc - 1);
        return RunFile(argv[1], &TheShell.Standard);
    }
    if (TheShell.Standard.Handles[0] == InvalidHandle ||
        GetConsoleInfo(TheShell.Standard.Handles[0], &info) != StatusSuccess)
        return RunInput();
    StartInteractive();
    RunInteractive();
    return TheShell.LastCode;
}
