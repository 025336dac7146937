// syntax.h - the shell's language: text becomes a tree of commands. Pure code; docs/console.md
// describes the language.
//
//   list      = pipelines joined by "&&", "||", ";", "&" and line ends
//   pipeline  = ["!"] command {"|" command}
//   command   = words and redirections | if | while | until | for | case | "{" list "}" | "(" list
//   ")"
//               | NAME "(" ")" command
// SPDX-License-Identifier: MIT
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Memory for a tree, given back at once.
typedef struct Arena {
    struct ArenaBlock *Blocks;
    bool Failed; // out of memory
} Arena;
void *ArenaAllocate(Arena *arena, size_t size); // zeroed; nullptr: no memory
char *ArenaCopy(Arena *arena, const char *text, size_t length);
void ArenaFree(Arena *arena);

typedef enum RedirectionKind {
    RedirectRead,      // <
    RedirectWrite,     // >
    RedirectAppend,    // >>
    RedirectDuplicate, // >&N
    RedirectHere,      // <<END or <<-END, a here-document
} RedirectionKind;

typedef struct Redirection {
    RedirectionKind Kind;
    int Stream;       // 0, 1, 2
    int From;         // RedirectDuplicate: the stream it becomes the same as
    const char *Word; // a file's name, or the here-document's text; not expanded
    bool Literal;     // RedirectHere: nothing in it is expanded
    const char *Body; // ... where it stands in the source, with the line that ends it
    size_t BodyLength;
} Redirection;

typedef enum NodeKind {
    NodeCommand,    // Words, Redirections
    NodePipeline,   // Children
    NodeAnd,        // Children[0] && Children[1]
    NodeOr,         // Children[0] || Children[1]
    NodeNot,        // ! Children[0]
    NodeSequence,   // Children one after another
    NodeBackground, // Children[0] &
    NodeIf,         // pairs of condition and body; an odd last one is else
    NodeWhile,      // Children[0]: condition, Children[1]: body
    NodeUntil,
    NodeFor,      // Words[0]: variable, the rest: values; Children[0]: body
    NodeCase,     // Words[0]: what is looked at; Children: NodeChoice
    NodeChoice,   // Words: patterns; Children[0], or none: what is done
    NodeFunction, // Words[0]: its name; Children[0]: what it does
    NodeGroup,    // Children[0], Redirections
    NodeSubshell, // Children[0], Redirections
} NodeKind;

typedef struct Node {
    NodeKind Kind;
    bool ForArguments; // NodeFor without "in": over the arguments
    const char *Text;  // its source
    size_t Length;
    struct Node **Children;
    size_t ChildCount;
    const char **Words; // not expanded: quotes and $ are still in
    size_t WordCount;
    Redirection *Redirections;
    size_t RedirectionCount;
} Node;

typedef enum ParseStatus {
    ParseOk,         // *node is the next complete command
    ParseNothing,    // only blanks and comments are left
    ParseIncomplete, // the text ends in the middle of something
    ParseFailed,     // *message says why
    ParseNoMemory,
} ParseStatus;

// Parses the next complete command of source[*at..length), up to the end of its line; *at moves
// behind it. message has 128 bytes.
ParseStatus Parse(const char *source, size_t length, size_t *at, Arena *arena, Node **node,
                  char *message);
// A node's source as a text of its own, heap: with the here-documents that stand behind its line.
// nullptr: no memory.
char *CopySource(const Node *node);
// Whether a word is NAME=value; *nameLength is of NAME.
bool IsAssignment(const char *word, size_t *nameLength);
bool IsNameCharacter(char c, bool first);
