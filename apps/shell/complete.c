// complete.c - what Tab could put at the cursor: names of commands where a command stands, names of
// variables behind a $, names of files everywhere else.
// SPDX-License-Identifier: MIT
#include "shell.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MostCandidates = 2000 };

typedef struct Collector {
    EditCandidates *To;
    const char *Prefix; // of the last part of the path, or of the name
    const char *Before; // the folder as it was written
    bool FoldersOnly;
} Collector;

static bool Add(EditCandidates *to, char *insert, char *shown)
{
    char **inserts = realloc(to->Inserts, (to->Count + 1) * sizeof(*inserts));
    if (inserts != nullptr)
        to->Inserts = inserts;
    char **list = realloc(to->Shown, (to->Count + 1) * sizeof(*list));
    if (list != nullptr)
        to->Shown = list;
    if (inserts == nullptr || list == nullptr || insert == nullptr || shown == nullptr ||
        to->Count >= MostCandidates) {
        free(insert);
        free(shown);
        return false;
    }
    to->Inserts[to->Count] = insert;
    to->Shown[to->Count++] = shown;
    return true;
}

// The same name twice - a built-in and a program - is one candidate.
static void AddName(EditCandidates *to, const char *before, const char *name, const char *behind)
{
    size_t length = strlen(before) + strlen(name) + strlen(behind) + 1;
    for (size_t i = 0; i < to->Count; i++)
        if (strcmp(to->Shown[i], name) == 0)
            return;
    char *insert = malloc(length);
    if (insert != nullptr)
        snprintf(insert, length, "%s%s%s", before, name, behind);
    (void)Add(to, insert, strdup(name));
}

static bool HasPrefix(const char *name, const char *prefix)
{
    return strncasecmp(name, prefix, strlen(prefix)) == 0;
}

// ---- files

// A name as it has to be written.
static char *Quote(const char *before, const char *name, const char *behind)
{
    char *quoted = malloc(strlen(before) + 2 * strlen(name) + strlen(behind) + 1), *to = quoted;
    if (quoted == nullptr)
        return nullptr;
    to = stpcpy(to, before);
    for (; *name; name++) {
        if (strchr(" \t'\"\\$&|;<>()*?[]#~!{}`", *name) != nullptr)
            *to++ = '\\';
        *to++ = *name;
    }
    strcpy(to, behind);
    return quoted;
}

static void AddFile(Collector *collector, const DirectoryEntry *entry)
{
    bool folder = entry->Info.Attributes & FileAttributeDirectory;
    if (!HasPrefix(entry->Name, collector->Prefix) || (collector->FoldersOnly && !folder) ||
        (entry->Name[0] == '.' && collector->Prefix[0] != '.'))
        return;
    char shown[sizeof entry->Name + 32];
    snprintf(shown, sizeof shown, folder ? "\x1B[1;34m%s/\x1B[0m" : "%s", entry->Name);
    (void)Add(collector->To, Quote(collector->Before, entry->Name, folder ? "/" : " "),
              strdup(shown));
}

static void ForEachEntry(const char *path, void (*visit)(void *, const DirectoryEntry *),
                         void *context)
{
    static DirectoryEntry entry;
    Handle directory;
    if (OpenDirectory(*path ? path : ".", &directory) != StatusSuccess)
        return;
    while (ReadDirectory(directory, &entry) == StatusSuccess)
        visit(context, &entry);
    (void)CloseHandle(directory);
}

static void VisitFile(void *context, const DirectoryEntry *entry)
{
    AddFile(context, entry);
}

// word: as written from its start to the cursor.
static void CompleteFiles(const char *word, bool foldersOnly, EditCandidates *to)
{
    const char *error;
    const char *slash = strrchr(word, '/');
    char *before = strndup(word, slash == nullptr ? 0 : (size_t)(slash - word) + 1);
    char *folder = before == nullptr ? nullptr : ExpandString(GetHooks(), before, &error);
    char *prefix = ExpandString(GetHooks(), slash == nullptr ? word : slash + 1, &error);
    Collector collector = {
        .To = to, .Prefix = prefix, .Before = before, .FoldersOnly = foldersOnly};
    if (folder != nullptr && prefix != nullptr)
        ForEachEntry(folder, VisitFile, &collector);
    free(before);
    free(folder);
    free(prefix);
}

// ---- commands and variables

static void VisitProgram(void *context, const DirectoryEntry *entry)
{
    Collector *collector = context;
    size_t length = strlen(entry->Name);
    char name[sizeof entry->Name];
    if (length < 5 || strcasecmp(entry->Name + length - 4, ".exe") != 0 ||
        !HasPrefix(entry->Name, collector->Prefix))
        return;
    memcpy(name, entry->Name, length - 4);
    name[length - 4] = '\0';
    AddName(collector->To, "", name, " ");
}

static void CompleteCommands(const char *word, EditCandidates *to)
{
    Collector collector = {.To = to, .Prefix = word};
    const Builtin *builtin;
    const char *alias, *name;
    for (size_t i = 0; (builtin = GetBuiltin(i)) != nullptr; i++)
        if (HasPrefix(builtin->Name, word))
            AddName(to, "", builtin->Name, " ");
    for (size_t i = 0; GetAlias(i, &alias, &name); i++)
        if (HasPrefix(alias, word))
            AddName(to, "", alias, " ");
    ForEachEntry("/system", VisitProgram, &collector);
    ForEachEntry("/apps", VisitProgram, &collector);
    ForEachEntry("", VisitProgram, &collector);
}

static void CompleteVariables(const char *prefix, EditCandidates *to)
{
    for (char **entry = environ; entry != nullptr && *entry != nullptr; entry++) {
        char name[128];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*entry, "="), *entry);
        if (strncmp(name, prefix, strlen(prefix)) == 0)
            AddName(to, "$", name, "");
    }
}

// ---- where the cursor is

// Finds the word the cursor stands in; *command: it is the name of one; *first: that of the command
// it belongs to, as written.
static size_t FindWord(const char *line, size_t cursor, bool *command, char first[64])
{
    size_t start = 0, words = 0;
    char quote = '\0';
    bool inside = false;
    first[0] = '\0';
    for (size_t i = 0; i < cursor; i++) {
        char c = line[i];
        bool blank = quote == '\0' && strchr(" \t\n", c) != nullptr;
        bool sign = quote == '\0' && strchr("|&;(<>", c) != nullptr;
        if ((blank || sign) && inside) {
            if (words++ == 0)
                snprintf(first, 64, "%.*s", (int)(i - start), line + start);
            inside = false;
        }
        if (sign)
            words = c == '<' || c == '>' ? 1 : 0;
        if (blank || sign) {
            start = i + 1;
            continue;
        }
        if (!inside)
            start = i;
        inside = true;
        if (quote != '\0')
            quote = c == quote ? '\0' : quote;
        else if (c == '\'' || c == '"')
            quote = c;
        else if (c == '\\' && i + 1 < cursor)
            i++;
    }
    *command = words == 0;
    return inside ? start : cursor;
}

void CompleteLine(void *context, const char *line, size_t cursor, EditCandidates *candidates)
{
    bool command;
    char first[64];
    candidates->Start = FindWord(line, cursor, &command, first);
    char *word = strndup(line + candidates->Start, cursor - candidates->Start);
    if (word == nullptr)
        return;
    if (word[0] == '$' && strpbrk(word, "/(") == nullptr)
        CompleteVariables(word + 1, candidates);
    else if (command && strpbrk(word, "/~'\"") == nullptr)
        CompleteCommands(word, candidates);
    else
        CompleteFiles(word, strcmp(first, "cd") == 0 || strcmp(first, "rmdir") == 0, candidates);
    free(word);
}
