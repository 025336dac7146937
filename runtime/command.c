// Command lines, split as docs/system-calls.md documents: arguments are separated by blanks; "..."
// keeps blanks, and inside or outside of quotes \" is a quote and \\ before a quote or another such
// pair a backslash, any other backslash stands for itself; "" inside quotes is a quote. Pure code.
// SPDX-License-Identifier: MIT
#include "command.h"

static bool IsBlank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Backslashes are special only in a run that ends at a quote: 2n of them are n, an odd one more
// makes the quote an ordinary character.
static size_t CountBackslashes(const char *at)
{
    size_t count = 0;
    while (at[count] == '\\')
        count++;
    return count;
}

typedef struct Output {
    char *At, *End;
} Output;

static bool Put(Output *output, char c, size_t count)
{
    if ((size_t)(output->End - output->At) < count)
        return false;
    for (size_t i = 0; i < count; i++)
        *output->At++ = c;
    return true;
}

// Copies one argument, without its NUL; *at moves to the blank or NUL behind it.
static bool CopyArgument(const char **at, Output *output)
{
    const char *from = *at;
    bool quoted = false;
    while (*from && (quoted || !IsBlank(*from))) {
        size_t backslashes = CountBackslashes(from);
        from += backslashes;
        bool beforeQuote = *from == '"';
        if (!Put(output, '\\', beforeQuote ? backslashes / 2 : backslashes))
            return false;
        if (!beforeQuote) {
            if (backslashes)
                continue;
            if (!Put(output, *from++, 1))
                return false;
        } else if (backslashes % 2) {
            from++;
            if (!Put(output, '"', 1))
                return false;
        } else if (quoted && from[1] == '"') {
            from += 2;
            if (!Put(output, '"', 1))
                return false;
        } else {
            quoted = !quoted;
            from++;
        }
    }
    *at = from;
    return true;
}

bool RtSplitCommandLine(const char *line, char *text, size_t size, char **arguments,
                        size_t capacity, size_t *count)
{
    Output output = {text, text + size};
    *count = 0;
    for (;;) {
        while (IsBlank(*line))
            line++;
        if (*count == capacity)
            return false;
        if (!*line)
            break;
        arguments[(*count)++] = output.At;
        if (!CopyArgument(&line, &output) || !Put(&output, '\0', 1))
            return false;
    }
    arguments[*count] = nullptr;
    return true;
}
