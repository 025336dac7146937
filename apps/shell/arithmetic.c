// arithmetic.c - $((...)): precedence climbing over 64-bit integers that wrap around.
// SPDX-License-Identifier: MIT
#include "expand.h"

#include "syntax.h"

#include <stdlib.h>
#include <string.h>

enum { DeepestNesting = 100 };

typedef struct Reader {
    const ExpandHooks *Hooks;
    const char *At, *End;
    const char *Error;
    int Depth;
} Reader;

static char Look(Reader *reader)
{
    while (reader->At < reader->End && strchr(" \t\n", *reader->At) != nullptr && *reader->At)
        reader->At++;
    return reader->At < reader->End ? *reader->At : '\0';
}

static bool Take(Reader *reader, const char *sign)
{
    size_t length = strlen(sign);
    (void)Look(reader);
    if ((size_t)(reader->End - reader->At) < length || memcmp(reader->At, sign, length) != 0)
        return false;
    reader->At += length;
    return true;
}

static int64_t ReadBinary(Reader *reader, int level);

static int64_t ReadVariable(Reader *reader)
{
    char name[64];
    size_t length = 0;
    while (reader->At < reader->End && IsNameCharacter(*reader->At, length == 0)) {
        if (length < sizeof name - 1)
            name[length++] = *reader->At;
        reader->At++;
    }
    name[length] = '\0';
    const char *value = reader->Hooks->GetVariable(reader->Hooks->Context, name);
    return value == nullptr ? 0 : strtoll(value, nullptr, 0);
}

// $1... $# $? $$ $!, behind the '$'.
static int64_t ReadSpecial(Reader *reader)
{
    char name[24] = {*reader->At++};
    size_t length = 1;
    while (name[0] >= '0' && name[0] <= '9' && reader->At < reader->End && *reader->At >= '0' &&
           *reader->At <= '9' && length < sizeof name - 1)
        name[length++] = *reader->At++;
    const char *value = reader->Hooks->GetVariable(reader->Hooks->Context, name);
    return value == nullptr ? 0 : strtoll(value, nullptr, 0);
}

static int64_t ReadPrimary(Reader *reader)
{
    char c = Look(reader);
    if (c == '(' && ++reader->Depth < DeepestNesting) {
        reader->At++;
        int64_t value = ReadBinary(reader, 0);
        if (!Take(reader, ")"))
            reader->Error = "a bracket is not closed in $(( ))";
        reader->Depth--;
        return value;
    }
    if (c >= '0' && c <= '9') {
        uint64_t value = 0;
        while (reader->At < reader->End && *reader->At >= '0' && *reader->At <= '9')
            value = value * 10 + (uint64_t)(*reader->At++ - '0');
        return (int64_t)value;
    }
    if (c == '$') {
        reader->At++;
        c = Look(reader);
        if ((c >= '0' && c <= '9') || (c != '\0' && strchr("#?$!", c) != nullptr))
            return ReadSpecial(reader);
    }
    if (IsNameCharacter(c, true))
        return ReadVariable(reader);
    reader->Error = "a number is missing in $(( ))";
    return 0;
}

static int64_t ReadUnary(Reader *reader)
{
    int64_t value = 0;
    if (++reader->Depth >= DeepestNesting)
        reader->Error = "$(( )) is nested too deeply";
    else if (Take(reader, "-"))
        value = (int64_t)(0 - (uint64_t)ReadUnary(reader));
    else if (Take(reader, "+"))
        value = ReadUnary(reader);
    else if (Look(reader) == '!' && reader->At + 1 < reader->End && reader->At[1] != '=') {
        reader->At++;
        value = !ReadUnary(reader);
    } else
        value = ReadPrimary(reader);
    reader->Depth--;
    return value;
}

static const struct {
    const char *Sign;
    int Level;
} operators[] = {{"||", 1}, {"&&", 2}, {"==", 3}, {"!=", 3}, {"<=", 4}, {">=", 4}, {"<", 4},
                 {">", 4},  {"+", 5},  {"-", 5},  {"*", 6},  {"/", 6},  {"%", 6}};

static int64_t Apply(Reader *reader, size_t which, int64_t a, int64_t b)
{
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    const char *sign = operators[which].Sign;
    switch (sign[0]) {
    case '|':
        return a || b;
    case '&':
        return a && b;
    case '=':
        return a == b;
    case '!':
        return a != b;
    case '<':
        return sign[1] ? a <= b : a < b;
    case '>':
        return sign[1] ? a >= b : a > b;
    case '+':
        return (int64_t)(x + y);
    case '-':
        return (int64_t)(x - y);
    case '*':
        return (int64_t)(x * y);
    }
    if (b == 0)
        reader->Error = "division by zero";
    if (b == 0 || b == -1) // the least number has no opposite
        return b == 0 || sign[0] == '%' ? 0 : (int64_t)(0 - x);
    return sign[0] == '/' ? a / b : a % b;
}

static int64_t ReadBinary(Reader *reader, int level)
{
    int64_t left = ReadUnary(reader);
    while (reader->Error == nullptr) {
        size_t which = 0, count = sizeof operators / sizeof operators[0];
        const char *before = reader->At;
        while (which < count && !Take(reader, operators[which].Sign))
            which++;
        if (which == count)
            break;
        if (operators[which].Level <= level) {
            reader->At = before;
            break;
        }
        left = Apply(reader, which, left, ReadBinary(reader, operators[which].Level));
    }
    return left;
}

bool Evaluate(const ExpandHooks *hooks, const char *text, size_t length, int64_t *value,
              const char **error)
{
    Reader reader = {.Hooks = hooks, .At = text, .End = text + length};
    *value = ReadBinary(&reader, 0);
    if (reader.Error == nullptr && Look(&reader) != '\0')
        reader.Error = "something does not belong into $(( ))";
    *error = reader.Error;
    return reader.Error == nullptr;
}
