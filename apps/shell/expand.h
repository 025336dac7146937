// expand.h - words as they are written become the strings they stand for: quotes, variables, the
// output of commands, arithmetic, names of files. Pure code: what it needs to know it asks.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Strings { // heap
    char **Items;        // NULL-terminated once there are any
    size_t Count;
} Strings;
bool StringsAdd(Strings *strings, char *item); // takes item over, also on failure
void StringsFree(Strings *strings);

typedef struct ExpandHooks {
    void *Context;
    // A variable's value or nullptr; also the special ones: "?", "#", "$", "!", "0" to "99...".
    const char *(*GetVariable)(void *context, const char *name);
    void (*SetVariable)(void *context, const char *name, const char *value); // ${NAME:=word}
    // $@ and $*
    size_t ArgumentCount;
    char **Arguments;
    // The output of $(text), heap, without the line ends behind it; nullptr: none.
    char *(*RunCommand)(void *context, const char *text, size_t length);
    // Calls found with each name in a directory ("": the current one), in any order.
    void (*ListDirectory)(void *context, const char *path,
                          void (*found)(void *to, const char *name), void *to);
} ExpandHooks;

// Adds what a word stands for: none, one or several strings. False: no memory, or *error (a
// constant) says what is wrong.
bool ExpandWord(const ExpandHooks *hooks, const char *word, Strings *strings, const char **error);
// The same as one string in the heap, without splitting and file names; nullptr: as above.
char *ExpandString(const ExpandHooks *hooks, const char *word, const char **error);
// A here-document's text, in which only $ and \ mean something; heap, nullptr: as above.
char *ExpandText(const ExpandHooks *hooks, const char *text, const char **error);
// A pattern for MatchText, in which what was quoted stands for itself; heap, nullptr: as above.
char *ExpandPattern(const ExpandHooks *hooks, const char *word, const char **error);
// Whether a text fits such a pattern, letter by letter.
bool MatchText(const char *pattern, const char *text);
// Whether a name fits a pattern of * ? [a-z] [!a]; case does not matter, as on the disk.
bool MatchPattern(const char *pattern, const char *name);
// Integer arithmetic with + - * / % ( ) comparisons, && || ! and names of variables.
bool Evaluate(const ExpandHooks *hooks, const char *text, size_t length, int64_t *value,
              const char **error);
