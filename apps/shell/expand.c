// expand.c - see expand.h.
//
// A word is read once, from left to right, into fields. Each byte of a field carries whether it was
// quoted: unquoted *, ? and [ make the field a pattern for names of files, and unquoted blanks that
// came out of a variable or a command divide fields. A quoted byte is marked by an Escape before it
// in the field while it is built; a pattern uses the marks, everything else takes them out.
// SPDX-License-Identifier: MIT
#include "expand.h"

#include "syntax.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { Mark = 0x01, MostMatches = 100000 };

// ---- strings

bool StringsAdd(Strings *strings, char *item)
{
    char **items = item == nullptr
                       ? nullptr
                       : realloc(strings->Items, (strings->Count + 2) * sizeof(*strings->Items));
    if (items == nullptr) {
        free(item);
        return false;
    }
    strings->Items = items;
    items[strings->Count++] = item;
    items[strings->Count] = nullptr;
    return true;
}

void StringsFree(Strings *strings)
{
    for (size_t i = 0; i < strings->Count; i++)
        free(strings->Items[i]);
    free(strings->Items);
    *strings = (Strings){};
}

// ---- fields

typedef struct Expander {
    const ExpandHooks *Hooks;
    Strings *To;
    bool Split; // into several fields, and names of files
    char *Field;
    size_t Length, Capacity;
    bool Started; // the field exists even if it is empty
    bool Pattern; // an unquoted wild card is in it
    const char *Error;
    bool Failed; // no memory
} Expander;

static void Put(Expander *expander, char c)
{
    if (expander->Length + 1 >= expander->Capacity && !expander->Failed) {
        size_t capacity = expander->Capacity * 2 + 64;
        char *grown = realloc(expander->Field, capacity);
        expander->Failed = grown == nullptr;
        if (expander->Failed)
            return;
        expander->Field = grown;
        expander->Capacity = capacity;
    }
    if (expander->Failed)
        return;
    expander->Field[expander->Length++] = c;
    expander->Field[expander->Length] = '\0';
    expander->Started = true;
}

static void PutQuoted(Expander *expander, char c)
{
    Put(expander, Mark);
    Put(expander, c);
}

static void PutPlain(Expander *expander, char c)
{
    if (c == Mark)
        Put(expander, Mark);
    if (c == '*' || c == '?' || c == '[')
        expander->Pattern = true;
    Put(expander, c);
}

// Without the marks, in place.
static void Unmark(char *field)
{
    char *to = field;
    for (const char *from = field; *from; from++) {
        if (*from == Mark && from[1])
            from++;
        *to++ = *from;
    }
    *to = '\0';
}

// ---- patterns

static char Fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

// What is compared of a character.
static char Key(char c, bool exact)
{
    return exact ? c : Fold(c);
}

// Matches one character against [...] that begins behind *pattern's '['; *pattern moves behind it.
// False also when the bracket is not closed, with *pattern at nullptr.
static bool MatchSet(const char **pattern, char c, bool exact)
{
    const char *at = *pattern;
    bool inverted = *at == '!' || *at == '^', found = false;
    at += inverted;
    for (bool first = true; *at && (first || *at != ']'); first = false) {
        if (*at == Mark && at[1])
            at++;
        char low = Key(*at++, exact), high = low;
        if (*at == '-' && at[1] && at[1] != ']') {
            at++;
            if (*at == Mark && at[1])
                at++;
            high = Key(*at++, exact);
        }
        found |= Key(c, exact) >= low && Key(c, exact) <= high;
    }
    *pattern = *at == ']' ? at + 1 : nullptr;
    return *pattern != nullptr && found != inverted;
}

static bool Match(const char *pattern, const char *name, bool exact)
{
    const char *star = nullptr, *tried = nullptr; // behind the last *, and what it has eaten up to
    while (*name) {
        const char *next = pattern;
        bool fits;
        if (*pattern == '*') {
            star = ++pattern;
            tried = name;
            continue;
        }
        if (*pattern == '[') {
            next = pattern + 1;
            fits = MatchSet(&next, *name, exact);
            if (next == nullptr) { // an ordinary character
                fits = *name == '[';
                next = pattern + 1;
            }
        } else {
            bool marked = *pattern == Mark && pattern[1];
            next = pattern + marked + (*pattern != '\0');
            fits = marked
                       ? Key(pattern[1], exact) == Key(*name, exact)
                       : *pattern == '?' || (*pattern && Key(*pattern, exact) == Key(*name, exact));
        }
        if (fits) {
            pattern = next;
            name++;
        } else if (star != nullptr) {
            pattern = star;
            name = ++tried;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool MatchPattern(const char *pattern, const char *name)
{
    return Match(pattern, name, false);
}

bool MatchText(const char *pattern, const char *text)
{
    return Match(pattern, text, true);
}

static bool HasWildcard(const char *part, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (part[i] == Mark)
            i++;
        else if (part[i] == '*' || part[i] == '?' || part[i] == '[')
            return true;
    return false;
}

typedef struct Search {
    const char *Path;    // found so far, with its '/'
    const char *Pattern; // of this part
    Strings Found;       // paths
    bool Failed;
} Search;

static void Consider(void *context, const char *name)
{
    Search *search = context;
    if (search->Found.Count >= MostMatches || !MatchPattern(search->Pattern, name) ||
        (name[0] == '.' && search->Pattern[0] != '.'))
        return;
    char *path = malloc(strlen(search->Path) + strlen(name) + 1);
    if (path != nullptr)
        strcat(strcpy(path, search->Path), name);
    search->Failed |= !StringsAdd(&search->Found, path);
}

static int Compare(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    while (*x && Fold(*x) == Fold(*y)) {
        x++;
        y++;
    }
    return (unsigned char)Fold(*x) - (unsigned char)Fold(*y);
}

// The paths that fit pattern below each of `paths` (which it takes over), one part of the path at a
// time.
static Strings MatchParts(const ExpandHooks *hooks, const char *pattern, bool *failed)
{
    Strings paths = {};
    *failed = !StringsAdd(&paths, strdup(""));
    while (*pattern && !*failed) {
        size_t length = strcspn(pattern, "/"), slashes = strspn(pattern + length, "/");
        char *part = strndup(pattern, length);
        Strings next = {};
        bool last = pattern[length + slashes] == '\0';
        for (size_t i = 0; i < paths.Count && part != nullptr; i++) {
            Search search = {.Path = paths.Items[i], .Pattern = part};
            if (HasWildcard(part, length)) {
                hooks->ListDirectory(hooks->Context, paths.Items[i], Consider, &search);
            } else {
                char *path = malloc(strlen(paths.Items[i]) + length + 1);
                if (path != nullptr) {
                    strcat(strcpy(path, paths.Items[i]), part);
                    Unmark(path + strlen(paths.Items[i]));
                }
                search.Failed = !StringsAdd(&search.Found, path);
            }
            for (size_t k = 0; k < search.Found.Count; k++) {
                char *path = search.Found.Items[k];
                if (slashes > 0 && (path = realloc(path, strlen(path) + 2)) != nullptr)
                    strcat(path, "/");
                search.Failed |= !StringsAdd(&next, path);
            }
            free(search.Found.Items);
            *failed |= search.Failed;
        }
        *failed |= part == nullptr;
        free(part);
        StringsFree(&paths);
        paths = next;
        pattern += length + slashes;
        if (last)
            break;
    }
    if (paths.Count > 1)
        qsort(paths.Items, paths.Count, sizeof(*paths.Items), Compare);
    return paths;
}

// ---- the end of a field

static void EndField(Expander *expander)
{
    if (!expander->Started || expander->Failed)
        return;
    if (expander->Field == nullptr) // "" alone
        expander->Field = strdup("");
    bool failed = false;
    Strings found = {};
    if (expander->Pattern && expander->Split)
        found = MatchParts(expander->Hooks, expander->Field, &failed);
    for (size_t i = 0; i < found.Count; i++)
        failed |= !StringsAdd(expander->To, found.Items[i]);
    if (found.Count == 0 && expander->Field != nullptr) {
        Unmark(expander->Field);
        failed |= !StringsAdd(expander->To, strdup(expander->Field));
    }
    free(found.Items);
    expander->Failed |= failed || expander->Field == nullptr;
    expander->Length = 0;
    if (expander->Field != nullptr)
        expander->Field[0] = '\0';
    expander->Started = expander->Pattern = false;
}

// What a variable or command gave; unquoted, blanks divide it.
static void PutValue(Expander *expander, const char *value, bool quoted)
{
    for (; value != nullptr && *value; value++) {
        if (quoted || !expander->Split)
            PutQuoted(expander, *value);
        else if (*value == ' ' || *value == '\t' || *value == '\n')
            EndField(expander);
        else
            PutPlain(expander, *value);
    }
}

static void PutArguments(Expander *expander, bool separate, bool quoted)
{
    for (size_t i = 0; i < expander->Hooks->ArgumentCount; i++) {
        if (i > 0 && separate && expander->Split)
            EndField(expander);
        else if (i > 0)
            PutValue(expander, " ", quoted);
        if (quoted)
            expander->Started = true;
        PutValue(expander, expander->Hooks->Arguments[i], quoted);
    }
}

// ---- $

// Behind the bracket that closes the one at text[at]. The parser has seen that there is one.
static size_t FindClose(const char *text, size_t at)
{
    char open = text[at], close = open == '(' ? ')' : '}';
    int depth = 0;
    while (text[at]) {
        char c = text[at++];
        if (c == '\\' && text[at]) {
            at++;
        } else if (c == '\'' || c == '"') {
            while (text[at] && text[at] != c)
                at += text[at] == '\\' && c == '"' && text[at + 1] ? 2 : 1;
            at += text[at] != '\0';
        } else {
            depth += c == open ? 1 : c == close ? -1 : 0;
            if (depth == 0)
                return at;
        }
    }
    return at;
}

static void PutVariable(Expander *expander, const char *name, bool quoted)
{
    PutValue(expander, expander->Hooks->GetVariable(expander->Hooks->Context, name), quoted);
}

// A value without the shortest (% #) or longest (%% ##) end or start that fits a pattern. text is
// the sign and the pattern.
static void PutTrimmed(Expander *expander, const char *value, const char *text, size_t length,
                       bool quoted)
{
    bool longest = length > 1 && text[1] == text[0], end = text[0] == '%';
    char *word = strndup(text + 1 + longest, length - 1 - longest);
    char *pattern =
        word == nullptr ? nullptr : ExpandPattern(expander->Hooks, word, &expander->Error);
    char *copy = strdup(value == nullptr ? "" : value);
    free(word);
    if (pattern == nullptr || copy == nullptr) {
        expander->Failed |= expander->Error == nullptr;
        free(pattern);
        free(copy);
        return;
    }
    size_t whole = strlen(copy), keep = whole;
    bool found = false;
    for (size_t i = 0; i <= whole && !found; i++) {
        size_t cut = longest ? whole - i : i; // this many bytes
        char after = copy[cut];
        if (!end)
            copy[cut] = '\0';
        found = MatchText(pattern, end ? copy + whole - cut : copy);
        keep = found ? whole - cut : whole;
        copy[cut] = after;
    }
    if (end)
        copy[keep] = '\0';
    PutValue(expander, end ? copy : copy + whole - keep, quoted);
    free(copy);
    free(pattern);
}

// The inside of ${...}: NAME, #NAME, NAME:-word, NAME:=word, NAME:+word, NAME%pattern, NAME#pattern
static void PutBraced(Expander *expander, const char *text, size_t length, bool quoted)
{
    char name[128], number[24];
    size_t used = 0;
    bool measure = length > 1 && text[0] == '#';
    text += measure;
    length -= measure;
    while (used < length && used < sizeof name - 1 &&
           (IsNameCharacter(text[used], used == 0) || (text[used] >= '0' && text[used] <= '9')))
        used++;
    used = used == 0 && length > 0 ? 1 : used; // ${?}
    memcpy(name, text, used);
    name[used] = '\0';
    const char *value = expander->Hooks->GetVariable(expander->Hooks->Context, name);
    bool empty = value == nullptr || *value == '\0';
    if (measure) {
        snprintf(number, sizeof number, "%zu", value == nullptr ? 0 : strlen(value));
        PutValue(expander, number, quoted);
        return;
    }
    if (used == length) {
        PutValue(expander, value, quoted);
        return;
    }
    if (text[used] == '%' || text[used] == '#') {
        PutTrimmed(expander, value, text + used, length - used, quoted);
        return;
    }
    if (length - used < 2 || text[used] != ':' || strchr("-=+", text[used + 1]) == nullptr) {
        expander->Error = "${ } knows NAME, #NAME, NAME:-WORD, :=WORD, :+WORD, %PATTERN, #PATTERN";
        return;
    }
    char sign = text[used + 1];
    char *word = strndup(text + used + 2, length - used - 2);
    char *other = word != nullptr && (sign == '+') != empty
                      ? ExpandString(expander->Hooks, word, &expander->Error)
                      : nullptr;
    free(word);
    if (sign == '=' && other != nullptr)
        expander->Hooks->SetVariable(expander->Hooks->Context, name, other);
    PutValue(expander, other != nullptr ? other : sign == '+' ? nullptr : value, quoted);
    free(other);
}

static void PutCommand(Expander *expander, const char *text, size_t length, bool quoted)
{
    char number[24];
    int64_t value;
    if (length >= 2 && text[0] == '(' && text[length - 1] == ')') {
        if (!Evaluate(expander->Hooks, text + 1, length - 2, &value, &expander->Error))
            return;
        snprintf(number, sizeof number, "%lld", (long long)value);
        PutValue(expander, number, quoted);
        return;
    }
    char *output = expander->Hooks->RunCommand(expander->Hooks->Context, text, length);
    PutValue(expander, output, quoted);
    free(output);
}

// What stands at a '$'; its length.
static size_t PutDollar(Expander *expander, const char *word, bool quoted)
{
    char name[128];
    size_t length = 1;
    if (word[1] == '{' || word[1] == '(') {
        size_t end = FindClose(word, 1);
        size_t inside = end > 3 ? end - 3 : 0;
        if (word[1] == '{')
            PutBraced(expander, word + 2, inside, quoted);
        else
            PutCommand(expander, word + 2, inside, quoted);
        return end;
    }
    if (word[1] == '@' || word[1] == '*') {
        PutArguments(expander, word[1] == '@' || !quoted, quoted);
        return 2;
    }
    while (IsNameCharacter(word[length], length == 1) && length < sizeof name)
        length++;
    if (length == 1 && word[1] && strchr("?#$!0123456789", word[1]) != nullptr)
        length = 2;
    if (length == 1) {
        Put(expander, '$');
        return 1;
    }
    memcpy(name, word + 1, length - 1);
    name[length - 1] = '\0';
    PutVariable(expander, name, quoted);
    return length;
}

// ---- words

static size_t PutDoubleQuoted(Expander *expander, const char *word)
{
    size_t at = 1;
    expander->Started = true;
    while (word[at] && word[at] != '"' && expander->Error == nullptr) {
        if (word[at] == '$') {
            at += PutDollar(expander, word + at, true);
        } else {
            if (word[at] == '\\' && word[at + 1] && strchr("\"\\$", word[at + 1]) != nullptr)
                at++;
            PutQuoted(expander, word[at++]);
        }
    }
    return at + (word[at] == '"');
}

static size_t PutSingleQuoted(Expander *expander, const char *word)
{
    size_t at = 1;
    expander->Started = true;
    while (word[at] && word[at] != '\'')
        PutQuoted(expander, word[at++]);
    return at + (word[at] == '\'');
}

static void ReadWord(Expander *expander, const char *word)
{
    size_t at = 0;
    if (word[0] == '~' && (word[1] == '/' || word[1] == '\0')) {
        const char *home = expander->Hooks->GetVariable(expander->Hooks->Context, "HOME");
        PutValue(expander, home == nullptr ? "/" : home, true);
        at = 1;
    }
    while (word[at] && expander->Error == nullptr && !expander->Failed) {
        char c = word[at];
        if (c == '\'') {
            at += PutSingleQuoted(expander, word + at);
        } else if (c == '"') {
            at += PutDoubleQuoted(expander, word + at);
        } else if (c == '$') {
            at += PutDollar(expander, word + at, false);
        } else if (c == '\\' && word[at + 1]) {
            if (word[at + 1] != '\n') // a line that goes on
                PutQuoted(expander, word[at + 1]);
            at += 2;
        } else {
            PutPlain(expander, c);
            at++;
        }
    }
}

bool ExpandWord(const ExpandHooks *hooks, const char *word, Strings *strings, const char **error)
{
    Expander expander = {.Hooks = hooks, .To = strings, .Split = true};
    ReadWord(&expander, word);
    if (expander.Error == nullptr)
        EndField(&expander);
    free(expander.Field);
    *error = expander.Error;
    return expander.Error == nullptr && !expander.Failed;
}

// The one string that came together, its quoted characters still marked.
static char *FinishMarked(Expander *expander, const char **error)
{
    if (expander->Error == nullptr && !expander->Failed && expander->Field == nullptr)
        expander->Field = strdup("");
    *error = expander->Error;
    if (expander->Error != nullptr || expander->Failed) {
        free(expander->Field);
        return nullptr;
    }
    return expander->Field;
}

static char *Finish(Expander *expander, const char **error)
{
    char *string = FinishMarked(expander, error);
    if (string != nullptr)
        Unmark(string);
    return string;
}

char *ExpandText(const ExpandHooks *hooks, const char *text, const char **error)
{
    Expander expander = {.Hooks = hooks};
    for (size_t at = 0; text[at] && expander.Error == nullptr && !expander.Failed;) {
        if (text[at] == '$') {
            at += PutDollar(&expander, text + at, true);
        } else if (text[at] == '\\' && text[at + 1] == '\n') { // a line that goes on
            at += 2;
        } else {
            if (text[at] == '\\' && text[at + 1] && strchr("$\\", text[at + 1]) != nullptr)
                at++;
            PutQuoted(&expander, text[at++]);
        }
    }
    return Finish(&expander, error);
}

char *ExpandPattern(const ExpandHooks *hooks, const char *word, const char **error)
{
    Expander expander = {.Hooks = hooks};
    ReadWord(&expander, word);
    return FinishMarked(&expander, error);
}

char *ExpandString(const ExpandHooks *hooks, const char *word, const char **error)
{
    Expander expander = {.Hooks = hooks};
    ReadWord(&expander, word);
    return Finish(&expander, error);
}
