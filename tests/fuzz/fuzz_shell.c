// fuzz_shell.c - any text is a command or an error, any bytes are keys for the line editor.
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "../../apps/shell/edit.h"
#include "../../apps/shell/expand.h"
#include "../../apps/shell/syntax.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *GetVariable(void *context, const char *name)
{
    return name[0] == 'x' ? "a *b" : nullptr;
}
static void SetVariable(void *context, const char *name, const char *value) {}
static char *RunCommand(void *context, const char *text, size_t length)
{
    return strndup(text, length);
}
static void ListDirectory(void *context, const char *path,
                          void (*found)(void *to, const char *name), void *to)
{
    if (strlen(path) < 10) {
        found(to, "a");
        found(to, "bc");
    }
}
static char *arguments[] = {(char *)"one", (char *)"two words", nullptr};
static const ExpandHooks expandHooks = {.GetVariable = GetVariable,
                                        .SetVariable = SetVariable,
                                        .RunCommand = RunCommand,
                                        .ListDirectory = ListDirectory,
                                        .ArgumentCount = 2,
                                        .Arguments = arguments};

static void ExpandAll(const Node *node)
{
    const char *error;
    for (size_t i = 0; i < node->WordCount; i++) {
        Strings strings = {};
        (void)ExpandWord(&expandHooks, node->Words[i], &strings, &error);
        StringsFree(&strings);
        free(ExpandString(&expandHooks, node->Words[i], &error));
    }
    for (size_t i = 0; i < node->RedirectionCount; i++)
        if (node->Redirections[i].Kind == RedirectHere)
            free(ExpandText(&expandHooks, node->Redirections[i].Word, &error));
    free(CopySource(node));
    for (size_t i = 0; i < node->ChildCount; i++)
        ExpandAll(node->Children[i]);
}

static void Write(void *context, const char *text, size_t length) {}
static const char *GetHistory(void *context, size_t index)
{
    return index < 2 ? "an old line" : nullptr;
}
static void Complete(void *context, const char *line, size_t cursor, EditCandidates *candidates)
{
    candidates->Start = cursor / 2;
    candidates->Inserts = calloc(1, sizeof(char *));
    candidates->Shown = calloc(1, sizeof(char *));
    candidates->Inserts[0] = strdup("inserted");
    candidates->Shown[0] = strdup("shown");
    candidates->Count = 1;
}

static void EditAll(const char *keys, size_t size)
{
    static const EditHooks hooks = {.Write = Write, .GetHistory = GetHistory, .Complete = Complete};
    static Editor editor;
    EditStart(&editor, &hooks, "> ", 20);
    for (size_t at = 0, used; at < size; at += used)
        if (EditFeed(&editor, keys + at, size - at, &used) != EditMore)
            EditStart(&editor, &hooks, "> ", 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == nullptr)
        return 0;
    for (size_t i = 0; i < size; i++) // a script's text ends at its first NUL
        text[i] = data[i] == 0 ? ' ' : (char)data[i];
    text[size] = '\0';
    ParseStatus status;
    size_t at = 0;
    do {
        Arena arena = {};
        Node *node;
        char message[128];
        status = Parse(text, size, &at, &arena, &node, message);
        if (status == ParseOk)
            ExpandAll(node);
        ArenaFree(&arena);
    } while (status == ParseOk);
    EditAll((const char *)data, size);
    free(text);
    return 0;
}
