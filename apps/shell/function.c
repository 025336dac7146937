// function.c - the functions that were defined: by name, the text of what each does.
//
// A call parses the text anew, so a function may define itself again while it runs. A second
// shell (for a stage of a pipeline, or `$(...)`) knows the same functions: their definitions go in
// front of its text.
// SPDX-License-Identifier: MIT
#include "shell.h"

#include <stdlib.h>
#include <string.h>

enum { DeepestCall = 50 };

typedef struct Function {
    struct Function *Next;
    char *Name, *Text; // heap
} Function;

// What a variable was before a function called it its own.
typedef struct Local {
    struct Local *Next; // the one made before it
    int Depth;          // of the function
    char *Name, *Value; // heap; no value: it was not set
} Local;

static Function *functions;
static Local *locals;
static int depth;

static Function *Find(const char *name)
{
    Function *function = functions;
    while (function != nullptr && strcmp(function->Name, name) != 0)
        function = function->Next;
    return function;
}

bool IsFunction(const char *name)
{
    return Find(name) != nullptr;
}

bool DefineFunction(const char *name, const char *text, size_t length)
{
    Function *function = Find(name);
    char *copy = strndup(text, length);
    if (function == nullptr && (function = calloc(1, sizeof(*function))) != nullptr) {
        function->Name = strdup(name);
        function->Next = functions;
        if (function->Name != nullptr && copy != nullptr)
            functions = function;
    }
    if (copy == nullptr || function == nullptr || function->Name == nullptr) {
        if (function != functions)
            free(function);
        free(copy);
        return false;
    }
    free(function->Text);
    function->Text = copy;
    return true;
}

char *PrependFunctions(const char *text, size_t length)
{
    size_t size = length + 1;
    for (const Function *function = functions; function != nullptr; function = function->Next)
        size += strlen(function->Name) + strlen(function->Text) + 4;
    char *all = malloc(size), *to = all;
    if (all == nullptr)
        return nullptr;
    for (const Function *function = functions; function != nullptr; function = function->Next)
        to += snprintf(to, size - (size_t)(to - all), "%s()%s\n", function->Name, function->Text);
    memcpy(to, text, length);
    to[length] = '\0';
    return all;
}

bool MakeLocal(const char *name)
{
    const char *value = getenv(name);
    Local *local = locals;
    while (local != nullptr && local->Depth == depth && strcmp(local->Name, name) != 0)
        local = local->Next;
    if (local != nullptr && local->Depth == depth)
        return true;
    local = calloc(1, sizeof(*local));
    if (local == nullptr)
        return false;
    *local = (Local){.Next = locals, .Depth = depth, .Name = strdup(name)};
    local->Value = value == nullptr ? nullptr : strdup(value);
    if (local->Name == nullptr || (value != nullptr && local->Value == nullptr)) {
        free(local->Name);
        free(local);
        return false;
    }
    locals = local;
    return true;
}

// Variables are again what they were before the function that returns.
static void DropLocals(void)
{
    while (locals != nullptr && locals->Depth == depth) {
        Local *local = locals;
        locals = local->Next;
        if (local->Value != nullptr)
            setenv(local->Name, local->Value, 1);
        else
            unsetenv(local->Name);
        free(local->Name);
        free(local->Value);
        free(local);
    }
}

static int RunBody(const char *text, const Streams *streams)
{
    Arena arena = {};
    Node *node;
    char message[128];
    size_t at = 0;
    int code = ExitSyntax;
    if (Parse(text, strlen(text), &at, &arena, &node, message) == ParseOk)
        code = RunNode(node, streams);
    else
        Complain(streams, "%s", message);
    ArenaFree(&arena);
    return code;
}

int CallFunction(int argc, char **argv, const Streams *streams)
{
    char *text = strdup(Find(argv[0])->Text);
    char **own = calloc((size_t)argc + 1, sizeof(*own)); // `shift` moves them
    if (text == nullptr || own == nullptr || depth == DeepestCall) {
        Complain(streams, "%s: %s", argv[0],
                 depth < DeepestCall ? "out of memory" : "functions call each other too deeply");
        free(text);
        free(own);
        return ExitSyntax;
    }
    char **arguments = TheShell.Arguments;
    size_t count = TheShell.ArgumentCount;
    int loops = TheShell.LoopDepth;
    memcpy(own, argv, (size_t)argc * sizeof(*own));
    own[0] = arguments[0]; // $0 stays
    TheShell.Arguments = own;
    TheShell.ArgumentCount = (size_t)argc - 1;
    TheShell.LoopDepth = 0;
    TheShell.FunctionDepth = ++depth;
    int code = RunBody(text, streams);
    if (TheShell.Returning)
        code = TheShell.LastCode;
    TheShell.Returning = false;
    DropLocals();
    TheShell.FunctionDepth = --depth;
    TheShell.LoopDepth = loops;
    TheShell.Arguments = arguments;
    TheShell.ArgumentCount = count;
    free(own);
    free(text);
    return code;
}
