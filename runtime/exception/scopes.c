// scopes.c - __C_specific_handler: the language-specific handler of functions with __try.
//
// Its data is the function's scope table, inner scopes first. A scope is a range of the function's
// code with either a filter and the address of its __except block, or a __finally block (Target 0).
// Filters and __finally blocks are functions of their own that get at the variables of the one they
// are written in through its establisher. Source: Microsoft, "x64 exception handling" and winnt.h's
// SCOPE_TABLE; what clang emits is the same.
// SPDX-License-Identifier: MIT
#include "exception.h"

typedef struct Scope {   // RVAs
    uint32_t Begin, End; // End: clang's tables have the first byte after the scope, plus 1, so that
                         // return addresses can be looked up; here calls are (ControlPc)
    uint32_t Handler;    // filter, or __finally block; 1: a filter that always executes
    uint32_t Target;
} Scope;

typedef struct ScopeTable {
    uint32_t Count;
    Scope Scopes[];
} ScopeTable;

constexpr uint32_t AlwaysExecute = 1;

typedef int32_t Filter(ExceptionPointers *exception, uint64_t establisher);
typedef void Finally(uint32_t abnormal, uint64_t establisher);

static bool Contains(const Scope *scope, uint64_t rva)
{
    return rva >= scope->Begin && rva + 1 < scope->End;
}

static ExceptionDisposition Search(ExceptionRecord *record, uint64_t establisher,
                                   ThreadContext *context, DispatcherContext *dispatcher)
{
    const ScopeTable *table = dispatcher->Data;
    uint64_t base = dispatcher->ImageBase, rva = dispatcher->ControlPc - base;
    for (uint32_t i = dispatcher->ScopeIndex; i < table->Count; i++) {
        const Scope *scope = &table->Scopes[i];
        if (!Contains(scope, rva) || scope->Target == 0)
            continue;
        ExceptionPointers pointers = {record, context};
        int32_t answer = scope->Handler == AlwaysExecute
                             ? ExceptionExecuteHandler
                             : ((Filter *)(base + scope->Handler))(&pointers, establisher);
        if (answer < 0)
            return DispositionContinueExecution;
        if (answer > 0)
            RtUnwind(establisher, base + scope->Target, record, record->Code);
    }
    return DispositionContinueSearch;
}

// Leaves the scopes around rva, up to the one whose __except block is the target.
static ExceptionDisposition Leave(const ExceptionRecord *record, uint64_t establisher,
                                  DispatcherContext *dispatcher)
{
    const ScopeTable *table = dispatcher->Data;
    uint64_t base = dispatcher->ImageBase, rva = dispatcher->ControlPc - base;
    bool here = record->Flags & ExceptionFlagTargetUnwind;
    for (uint32_t i = dispatcher->ScopeIndex; i < table->Count; i++) {
        const Scope *scope = &table->Scopes[i];
        if (!Contains(scope, rva))
            continue;
        if (scope->Target != 0) {
            if (here && base + scope->Target == dispatcher->TargetIp)
                break;
            continue;
        }
        if (here && Contains(scope, dispatcher->TargetIp - base))
            break; // the target is inside as well: the scope is not left
        dispatcher->ScopeIndex = i + 1;
        ((Finally *)(base + scope->Handler))(true, establisher);
    }
    return DispositionContinueSearch;
}

__declspec(dllexport) LanguageHandler __C_specific_handler;

ExceptionDisposition __C_specific_handler(ExceptionRecord *record, uint64_t establisher,
                                          ThreadContext *context, DispatcherContext *dispatcher)
{
    if (record->Flags & (ExceptionFlagUnwinding | ExceptionFlagExitUnwind))
        return Leave(record, establisher, dispatcher);
    return Search(record, establisher, context, dispatcher);
}
