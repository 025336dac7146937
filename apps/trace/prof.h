// prof.h - what prof.exe's files share.
// SPDX-License-Identifier: MIT
#pragma once

#include "session.h"

// ---- symbols.c: names of code addresses
typedef struct Module {
    uint32_t Process; // 0: the kernel's
    uint64_t Base, Size;
    char Path[MaximumPath];
    struct SymbolFile *Symbols; // nullptr: not looked for
} Module;

typedef struct Symbol {
    char Name[160]; // "module!function"
    uint64_t Self, Total;
    size_t LastSample; // that Total was counted for
} Symbol;

void AddModule(uint32_t process, uint64_t base, uint64_t size, const char *path);
// The symbol's number. returnAddress: the call is before it.
size_t FindSymbol(uint32_t process, uint64_t address, bool returnAddress);
Symbol *GetSymbol(size_t number);
size_t GetSymbolCount(void);
size_t AddSymbol(const char *name); // the same number for the same name

// ---- samples.c: from records to a tree of calls
typedef struct CallNode {
    size_t Symbol;
    uint64_t Count;                // samples in it and below
    struct CallNode *Child, *Next; // first callee, next callee of the same caller
} CallNode;

typedef struct Samples {
    uint64_t Count, Idle; // taken of what was asked for; of idle processors
    uint64_t Lost;        // records that newer ones took the place of
    CallNode Root;
} Samples;

// process: only its samples; 0: everybody's. false: no memory.
bool ReadSamples(const Session *session, uint32_t process, Samples *samples);

// ---- graph.c: the tree as a picture
bool WriteGraph(const char *path, const Samples *samples, const char *title);
