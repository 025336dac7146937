// syntax.c - see syntax.h. A recursive descent over tokens that are cut off the text as they are
// needed. Words keep their quotes; expand.c takes them off. Nesting is bounded.
//
// A here-document stands behind the line that asks for it. What was asked for is remembered until
// the token of the line's end is cut, which then reaches to the end of the last body.
// SPDX-License-Identifier: MIT
#include "syntax.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DeepestNesting = 100, MessageSize = 128, MostBodies = 16 };

// ---- tokens

typedef enum TokenKind {
    TokenEnd,
    TokenLine, // the end of a line
    TokenWord,
    TokenSemicolon,
    TokenChoiceEnd, // ;;
    TokenAmpersand,
    TokenAnd,
    TokenOr,
    TokenPipe,
    TokenOpen,
    TokenClose,
    TokenRedirection,
    TokenBroken, // status says why
} TokenKind;

typedef struct Token {
    TokenKind Kind;
    size_t Start, End;
    Redirection Redirection; // without its word
} Token;

// A here-document whose body has not been reached.
typedef struct Awaited {
    Node *Node;
    size_t Index;    // of its redirection
    const char *End; // the line that ends it
    bool Tabs;       // <<-: those at the start of lines do not count
} Awaited;

typedef struct Parser {
    const char *Source;
    size_t Length, At; // At: behind Token
    Token Token;       // the next one
    size_t Last;       // where the token before it ended
    int Depth;
    Awaited Awaited[MostBodies];
    size_t AwaitedCount;
    Arena *Arena;
    ParseStatus Status;
    char *Message;
} Parser;

static char Look(const Parser *parser, size_t at)
{
    return at < parser->Length ? parser->Source[at] : '\0';
}

static void Fail(Parser *parser, ParseStatus status, const char *message)
{
    if (parser->Status != ParseOk)
        return;
    parser->Status = status;
    snprintf(parser->Message, MessageSize, "%s", message);
}

static bool IsBlank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool EndsWord(char c)
{
    return IsBlank(c) || (c != '\0' && strchr("\n;&|()<>", c) != nullptr);
}

bool IsNameCharacter(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

bool IsAssignment(const char *word, size_t *nameLength)
{
    size_t length = 0;
    while (IsNameCharacter(word[length], length == 0))
        length++;
    *nameLength = length;
    return length > 0 && word[length] == '=';
}

static size_t SkipWord(Parser *parser, size_t at);

// Behind a quote that opens at `at`, or the end of the text with ParseIncomplete.
static size_t SkipQuoted(Parser *parser, size_t at)
{
    char quote = Look(parser, at++);
    while (at < parser->Length && parser->Source[at] != quote) {
        if (quote == '"' && parser->Source[at] == '\\')
            at++;
        at++;
    }
    if (at >= parser->Length) {
        Fail(parser, ParseIncomplete, "a quote is not closed");
        return parser->Length;
    }
    return at + 1;
}

// Behind $( ) or ${ }, which may hold quotes and themselves.
static size_t SkipNested(Parser *parser, size_t at)
{
    char open = Look(parser, at), close = open == '(' ? ')' : '}';
    int depth = 0;
    while (at < parser->Length) {
        char c = parser->Source[at];
        if (c == '\\') {
            at += 2;
        } else if (c == '\'' || c == '"') {
            at = SkipQuoted(parser, at);
        } else {
            at++;
            depth += c == open ? 1 : c == close ? -1 : 0;
            if (depth == 0)
                return at;
        }
    }
    Fail(parser, ParseIncomplete, "a bracket is not closed");
    return parser->Length;
}

static size_t SkipWord(Parser *parser, size_t at)
{
    while (at < parser->Length && !EndsWord(parser->Source[at])) {
        char c = parser->Source[at];
        if (c == '\\')
            at += 2;
        else if (c == '\'' || c == '"')
            at = SkipQuoted(parser, at);
        else if (c == '$' && (Look(parser, at + 1) == '(' || Look(parser, at + 1) == '{'))
            at = SkipNested(parser, at + 1);
        else
            at++;
    }
    if (at > parser->Length) {
        Fail(parser, ParseIncomplete, "the last line ends with \\");
        at = parser->Length;
    }
    return at;
}

// [N]<  [N]>  [N]>>  [N]>&M  [N]<<; false: there is none.
static bool CutRedirection(Parser *parser, size_t at)
{
    Redirection *made = &parser->Token.Redirection;
    bool numbered = Look(parser, at) >= '0' && Look(parser, at) <= '2' &&
                    (Look(parser, at + 1) == '<' || Look(parser, at + 1) == '>');
    size_t sign = at + numbered;
    if (Look(parser, sign) != '<' && Look(parser, sign) != '>')
        return false;
    *made = (Redirection){.Kind = Look(parser, sign) == '<' ? RedirectRead : RedirectWrite};
    made->Stream = numbered ? Look(parser, at) - '0' : made->Kind == RedirectRead ? 0 : 1;
    at = sign + 1;
    if (made->Kind == RedirectRead && Look(parser, at) == '<') {
        made->Kind = RedirectHere;
        at++;
    } else if (made->Kind == RedirectWrite && Look(parser, at) == '>') {
        made->Kind = RedirectAppend;
        at++;
    } else if (made->Kind == RedirectWrite && Look(parser, at) == '&') {
        made->Kind = RedirectDuplicate;
        made->From = Look(parser, at + 1) - '0';
        if (made->From != 1 && made->From != 2)
            Fail(parser, ParseFailed, "after >& stands 1 or 2");
        at += 2;
    }
    parser->Token.Kind = TokenRedirection;
    parser->Token.End = at < parser->Length ? at : parser->Length;
    return true;
}

static size_t SkipBlanks(const Parser *parser, size_t at)
{
    for (;;) {
        if (IsBlank(Look(parser, at)) && at < parser->Length)
            at++;
        else if (Look(parser, at) == '\\' && Look(parser, at + 1) == '\n')
            at += 2;
        else
            break;
    }
    if (Look(parser, at) == '#')
        while (at < parser->Length && parser->Source[at] != '\n')
            at++;
    return at;
}

static void Set(Parser *parser, TokenKind kind, size_t length)
{
    parser->Token.Kind = kind;
    parser->Token.End = parser->Token.Start + length;
}

// ---- here-documents

// The line at `at`: where it begins without the tabs that do not count, its length without the line
// end, and in *next where the next one begins.
static size_t CutLine(const Parser *parser, const Awaited *awaited, size_t at, size_t *length,
                      size_t *next)
{
    size_t end = at;
    while (end < parser->Length && parser->Source[end] != '\n')
        end++;
    *next = end + (end < parser->Length);
    while (awaited->Tabs && at < end && parser->Source[at] == '\t')
        at++;
    *length = end - at - (end > at && parser->Source[end - 1] == '\r');
    return at;
}

// Takes the body that begins at `start`; behind the line that ends it, or the end of the text with
// ParseIncomplete.
static size_t TakeBody(Parser *parser, const Awaited *awaited, size_t start)
{
    Redirection *redirection = &awaited->Node->Redirections[awaited->Index];
    size_t stop = start, next = start, length, used = 0;
    bool found = false;
    while (next < parser->Length && !found) {
        stop = next;
        size_t line = CutLine(parser, awaited, stop, &length, &next);
        found = length == strlen(awaited->End) &&
                memcmp(parser->Source + line, awaited->End, length) == 0;
    }
    char message[MessageSize];
    snprintf(message, sizeof message, "the line '%.40s' that ends a here-document is missing",
             awaited->End);
    char *text = found ? ArenaAllocate(parser->Arena, stop - start + 1) : nullptr;
    if (text == nullptr) {
        Fail(parser, found ? ParseNoMemory : ParseIncomplete, found ? "out of memory" : message);
        return parser->Length;
    }
    redirection->Word = text;
    redirection->Body = parser->Source + start;
    redirection->BodyLength = next - start;
    for (size_t at = start, behind; at < stop; at = behind) {
        at = CutLine(parser, awaited, at, &length, &behind);
        memcpy(text + used, parser->Source + at, length);
        used += length;
        text[used++] = '\n';
    }
    return next;
}

// The bodies of all that the line asked for, from `at`; behind the last.
static size_t TakeBodies(Parser *parser, size_t at)
{
    size_t count = parser->AwaitedCount;
    parser->AwaitedCount = 0;
    for (size_t i = 0; i < count && parser->Status == ParseOk; i++)
        at = TakeBody(parser, &parser->Awaited[i], at);
    return at;
}

// The node's last redirection is a here-document: its word, which may be quoted, ends it.
static void AwaitBody(Parser *parser, Node *node)
{
    Redirection *redirection = &node->Redirections[node->RedirectionCount - 1];
    const char *word = redirection->Word;
    Awaited awaited = {.Node = node, .Index = node->RedirectionCount - 1, .Tabs = word[0] == '-'};
    char *end = ArenaCopy(parser->Arena, word + awaited.Tabs, strlen(word + awaited.Tabs));
    if (end == nullptr || parser->AwaitedCount == MostBodies) {
        Fail(parser, end == nullptr ? ParseNoMemory : ParseFailed,
             end == nullptr ? "out of memory" : "a line has too many here-documents");
        return;
    }
    redirection->Literal = strpbrk(end, "'\"\\") != nullptr;
    char *to = end;
    for (const char *from = end; *from; from++)
        if (strchr("'\"\\", *from) == nullptr)
            *to++ = *from;
    *to = '\0';
    awaited.End = end;
    parser->Awaited[parser->AwaitedCount++] = awaited;
}

// Cuts off the next token.
static void Next(Parser *parser)
{
    size_t at = SkipBlanks(parser, parser->At);
    char c = Look(parser, at), second = Look(parser, at + 1);
    parser->Last = parser->Token.End;
    parser->Token = (Token){.Start = at, .End = at};
    if (at >= parser->Length && parser->AwaitedCount > 0)
        (void)TakeBodies(parser, parser->Length); // says what is missing
    if (parser->Status != ParseOk || at >= parser->Length)
        Set(parser, TokenEnd, 0);
    else if (CutRedirection(parser, at))
        ;
    else if (c == '\n')
        Set(parser, TokenLine, TakeBodies(parser, at + 1) - at);
    else if (c == ';')
        Set(parser, second == ';' ? TokenChoiceEnd : TokenSemicolon, second == ';' ? 2 : 1);
    else if (c == '&')
        Set(parser, second == '&' ? TokenAnd : TokenAmpersand, second == '&' ? 2 : 1);
    else if (c == '|')
        Set(parser, second == '|' ? TokenOr : TokenPipe, second == '|' ? 2 : 1);
    else if (c == '(')
        Set(parser, TokenOpen, 1);
    else if (c == ')')
        Set(parser, TokenClose, 1);
    else
        Set(parser, TokenWord, SkipWord(parser, at) - at);
    parser->At = parser->Token.End;
    if (parser->Status != ParseOk)
        Set(parser, TokenEnd, 0);
}

static bool IsWord(const Parser *parser, const char *word)
{
    size_t length = parser->Token.End - parser->Token.Start;
    return parser->Token.Kind == TokenWord && length == strlen(word) &&
           memcmp(parser->Source + parser->Token.Start, word, length) == 0;
}

static void SkipLines(Parser *parser)
{
    while (parser->Token.Kind == TokenLine)
        Next(parser);
}

// ---- nodes

static Node *MakeNode(Parser *parser, NodeKind kind, size_t start)
{
    Node *node = ArenaAllocate(parser->Arena, sizeof(Node));
    if (node == nullptr) {
        Fail(parser, ParseNoMemory, "out of memory");
        return nullptr;
    }
    node->Kind = kind;
    node->Text = parser->Source + start;
    return node;
}

static Node *Finish(Parser *parser, Node *node)
{
    if (node != nullptr)
        node->Length = (size_t)(parser->Source + parser->Last - node->Text);
    return node;
}

// Adds an element to an array in the arena, which grows by powers of two.
static void *Grow(Parser *parser, void *items, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return items;
    void *grown = ArenaAllocate(parser->Arena, (count == 0 ? 1 : count * 2) * size);
    if (grown == nullptr)
        Fail(parser, ParseNoMemory, "out of memory");
    else if (count != 0)
        memcpy(grown, items, count * size);
    return grown;
}

static void AddChild(Parser *parser, Node *node, Node *child)
{
    if (node == nullptr || child == nullptr)
        return;
    Node **children = Grow(parser, node->Children, node->ChildCount, sizeof(*children));
    if (children == nullptr)
        return;
    node->Children = children;
    node->Children[node->ChildCount++] = child;
}

static void AddWord(Parser *parser, Node *node)
{
    const char *word = ArenaCopy(parser->Arena, parser->Source + parser->Token.Start,
                                 parser->Token.End - parser->Token.Start);
    const char **words =
        node == nullptr ? nullptr : Grow(parser, node->Words, node->WordCount, sizeof(*words));
    if (word == nullptr || words == nullptr) {
        Fail(parser, ParseNoMemory, "out of memory");
        return;
    }
    node->Words = words;
    node->Words[node->WordCount++] = word;
}

static void AddRedirection(Parser *parser, Node *node)
{
    Redirection made = parser->Token.Redirection;
    bool named = made.Kind != RedirectDuplicate;
    Next(parser);
    if (named && parser->Token.Kind != TokenWord) {
        Fail(parser, parser->Token.Kind == TokenEnd ? ParseIncomplete : ParseFailed,
             made.Kind == RedirectHere ? "the word that ends the here-document is missing"
                                       : "the name of a file is missing");
        return;
    }
    if (named)
        made.Word = ArenaCopy(parser->Arena, parser->Source + parser->Token.Start,
                              parser->Token.End - parser->Token.Start);
    Redirection *list =
        node == nullptr ? nullptr
                        : Grow(parser, node->Redirections, node->RedirectionCount, sizeof(*list));
    if (list == nullptr || (named && made.Word == nullptr)) {
        Fail(parser, ParseNoMemory, "out of memory");
        return;
    }
    node->Redirections = list;
    node->Redirections[node->RedirectionCount++] = made;
    if (made.Kind == RedirectHere)
        AwaitBody(parser, node);
    if (named)
        Next(parser);
}

// ---- the grammar

static Node *ParseList(Parser *parser, bool toLineEnd);

// Unexpected: at the end of the text there may be more, elsewhere it is an error.
static void Expected(Parser *parser, const char *what)
{
    char message[MessageSize];
    size_t length = parser->Token.End - parser->Token.Start;
    if (parser->Token.Kind == TokenEnd)
        snprintf(message, sizeof message, "%s is missing", what);
    else if (parser->Token.Kind == TokenLine)
        snprintf(message, sizeof message, "%s is missing before the end of the line", what);
    else
        snprintf(message, sizeof message, "%s is missing before '%.*s'", what,
                 (int)(length > 40 ? 40 : length), parser->Source + parser->Token.Start);
    Fail(parser, parser->Token.Kind == TokenEnd ? ParseIncomplete : ParseFailed, message);
}

static void Expect(Parser *parser, const char *word)
{
    if (IsWord(parser, word))
        Next(parser);
    else
        Expected(parser, word);
}

static bool IsReserved(const Parser *parser)
{
    static const char *const words[] = {"then", "elif", "else", "fi", "do", "done", "esac", "}"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (IsWord(parser, words[i]))
            return true;
    return false;
}

static Node *ParseSimple(Parser *parser)
{
    Node *node = MakeNode(parser, NodeCommand, parser->Token.Start);
    while (node != nullptr && parser->Status == ParseOk) {
        if (parser->Token.Kind == TokenWord) {
            AddWord(parser, node);
            Next(parser);
        } else if (parser->Token.Kind == TokenRedirection) {
            AddRedirection(parser, node);
        } else {
            break;
        }
    }
    if (node != nullptr && node->WordCount == 0 && node->RedirectionCount == 0)
        Expected(parser, "a command");
    return Finish(parser, node);
}

static Node *ParseIf(Parser *parser)
{
    Node *node = MakeNode(parser, NodeIf, parser->Token.Start);
    do {
        Next(parser); // if, elif
        AddChild(parser, node, ParseList(parser, false));
        Expect(parser, "then");
        AddChild(parser, node, ParseList(parser, false));
    } while (IsWord(parser, "elif") && parser->Status == ParseOk);
    if (IsWord(parser, "else")) {
        Next(parser);
        AddChild(parser, node, ParseList(parser, false));
    }
    Expect(parser, "fi");
    return node;
}

static void ParseBody(Parser *parser, Node *node)
{
    Expect(parser, "do");
    AddChild(parser, node, ParseList(parser, false));
    Expect(parser, "done");
}

static Node *ParseLoop(Parser *parser, NodeKind kind)
{
    Node *node = MakeNode(parser, kind, parser->Token.Start);
    Next(parser);
    AddChild(parser, node, ParseList(parser, false));
    ParseBody(parser, node);
    return node;
}

static bool IsName(const Parser *parser)
{
    for (size_t i = parser->Token.Start; i < parser->Token.End; i++)
        if (!IsNameCharacter(parser->Source[i], i == parser->Token.Start))
            return false;
    return parser->Token.Kind == TokenWord;
}

static Node *ParseFor(Parser *parser)
{
    Node *node = MakeNode(parser, NodeFor, parser->Token.Start);
    Next(parser);
    if (!IsName(parser)) {
        Expected(parser, "the name of a variable");
        return node;
    }
    AddWord(parser, node);
    Next(parser);
    SkipLines(parser);
    if (node != nullptr)
        node->ForArguments = !IsWord(parser, "in");
    if (IsWord(parser, "in")) {
        Next(parser);
        for (; parser->Token.Kind == TokenWord; Next(parser))
            AddWord(parser, node);
    }
    if (parser->Token.Kind == TokenSemicolon)
        Next(parser);
    SkipLines(parser);
    ParseBody(parser, node);
    return node;
}

// [(] pattern {"|" pattern} ")" [list]
static Node *ParseChoice(Parser *parser)
{
    Node *node = MakeNode(parser, NodeChoice, parser->Token.Start);
    if (parser->Token.Kind == TokenOpen)
        Next(parser);
    for (;;) {
        if (parser->Token.Kind != TokenWord) {
            Expected(parser, "a pattern");
            return node;
        }
        AddWord(parser, node);
        Next(parser);
        if (parser->Token.Kind != TokenPipe)
            break;
        Next(parser);
    }
    if (parser->Token.Kind != TokenClose) {
        Expected(parser, ")");
        return node;
    }
    Next(parser);
    SkipLines(parser);
    if (parser->Token.Kind != TokenChoiceEnd && !IsWord(parser, "esac"))
        AddChild(parser, node, ParseList(parser, false));
    return Finish(parser, node);
}

static Node *ParseCase(Parser *parser)
{
    Node *node = MakeNode(parser, NodeCase, parser->Token.Start);
    Next(parser);
    if (parser->Token.Kind != TokenWord) {
        Expected(parser, "a word");
        return node;
    }
    AddWord(parser, node);
    Next(parser);
    SkipLines(parser);
    Expect(parser, "in");
    SkipLines(parser);
    while (parser->Status == ParseOk && !IsWord(parser, "esac")) {
        AddChild(parser, node, ParseChoice(parser));
        if (parser->Token.Kind != TokenChoiceEnd)
            break;
        Next(parser);
        SkipLines(parser);
    }
    Expect(parser, "esac");
    return node;
}

// Whether the next word is the name of a function that is defined here: NAME ( ).
static bool IsDefinition(const Parser *parser)
{
    size_t open = SkipBlanks(parser, parser->At);
    return IsName(parser) && Look(parser, open) == '(' &&
           Look(parser, SkipBlanks(parser, open + 1)) == ')';
}

static Node *ParseCommand(Parser *parser);

static Node *ParseFunction(Parser *parser)
{
    Node *node = MakeNode(parser, NodeFunction, parser->Token.Start);
    AddWord(parser, node);
    Next(parser); // (
    Next(parser); // )
    Next(parser);
    SkipLines(parser);
    Node *body = ParseCommand(parser);
    if (body != nullptr && body->Kind == NodeCommand)
        Fail(parser, ParseFailed, "what a function does stands in { }");
    AddChild(parser, node, body);
    return node;
}

static Node *ParseGroup(Parser *parser, bool subshell)
{
    Node *node = MakeNode(parser, subshell ? NodeSubshell : NodeGroup, parser->Token.Start);
    Next(parser);
    AddChild(parser, node, ParseList(parser, false));
    if (!subshell)
        Expect(parser, "}");
    else if (parser->Token.Kind == TokenClose)
        Next(parser);
    else
        Expected(parser, ")");
    return node;
}

static Node *ParseCommand(Parser *parser)
{
    Node *node;
    if (++parser->Depth > DeepestNesting)
        Fail(parser, ParseFailed, "this is nested too deeply");
    if (parser->Status != ParseOk)
        node = nullptr;
    else if (IsWord(parser, "if"))
        node = ParseIf(parser);
    else if (IsWord(parser, "while"))
        node = ParseLoop(parser, NodeWhile);
    else if (IsWord(parser, "until"))
        node = ParseLoop(parser, NodeUntil);
    else if (IsWord(parser, "for"))
        node = ParseFor(parser);
    else if (IsWord(parser, "case"))
        node = ParseCase(parser);
    else if (IsDefinition(parser))
        node = ParseFunction(parser);
    else if (IsWord(parser, "{"))
        node = ParseGroup(parser, false);
    else if (parser->Token.Kind == TokenOpen)
        node = ParseGroup(parser, true);
    else if (IsReserved(parser))
        node = (Expected(parser, "a command"), nullptr);
    else
        node = ParseSimple(parser);
    parser->Depth--;
    bool compound = node != nullptr && node->Kind != NodeCommand;
    while (compound && parser->Token.Kind == TokenRedirection && parser->Status == ParseOk)
        AddRedirection(parser, node);
    return compound ? Finish(parser, node) : node;
}

static Node *ParsePipeline(Parser *parser)
{
    size_t start = parser->Token.Start;
    if (IsWord(parser, "!")) {
        Node *node = MakeNode(parser, NodeNot, start);
        if (++parser->Depth > DeepestNesting)
            Fail(parser, ParseFailed, "this is nested too deeply");
        Next(parser);
        AddChild(parser, node, parser->Status == ParseOk ? ParsePipeline(parser) : nullptr);
        parser->Depth--;
        return Finish(parser, node);
    }
    Node *first = ParseCommand(parser);
    if (parser->Token.Kind != TokenPipe)
        return first;
    Node *node = MakeNode(parser, NodePipeline, start);
    AddChild(parser, node, first);
    while (parser->Token.Kind == TokenPipe && parser->Status == ParseOk) {
        Next(parser);
        SkipLines(parser);
        AddChild(parser, node, ParseCommand(parser));
    }
    return Finish(parser, node);
}

static Node *ParseAndOr(Parser *parser)
{
    size_t start = parser->Token.Start;
    Node *left = ParsePipeline(parser);
    while ((parser->Token.Kind == TokenAnd || parser->Token.Kind == TokenOr) &&
           parser->Status == ParseOk) {
        Node *node = MakeNode(parser, parser->Token.Kind == TokenAnd ? NodeAnd : NodeOr, start);
        Next(parser);
        SkipLines(parser);
        AddChild(parser, node, left);
        AddChild(parser, node, ParsePipeline(parser));
        left = Finish(parser, node);
    }
    return left;
}

// toLineEnd: a complete command of the top; otherwise up to a word that closes what it is in.
static Node *ParseList(Parser *parser, bool toLineEnd)
{
    if (!toLineEnd)
        SkipLines(parser);
    Node *list = MakeNode(parser, NodeSequence, parser->Token.Start);
    while (parser->Status == ParseOk) {
        size_t start = parser->Token.Start;
        Node *item = ParseAndOr(parser);
        bool more = parser->Token.Kind == TokenSemicolon || parser->Token.Kind == TokenAmpersand ||
                    (parser->Token.Kind == TokenLine && !toLineEnd);
        if (parser->Token.Kind == TokenAmpersand) {
            Node *node = MakeNode(parser, NodeBackground, start);
            AddChild(parser, node, item);
            item = node;
            if (item != nullptr)
                item->Length = parser->Token.Start - start;
        }
        AddChild(parser, list, item);
        if (!more)
            break;
        Next(parser);
        if (!toLineEnd)
            SkipLines(parser);
        TokenKind kind = parser->Token.Kind;
        if (kind == TokenEnd || kind == TokenLine || kind == TokenClose || kind == TokenChoiceEnd ||
            IsReserved(parser))
            break;
    }
    return Finish(parser, list);
}

ParseStatus Parse(const char *source, size_t length, size_t *at, Arena *arena, Node **node,
                  char *message)
{
    Parser parser = {
        .Source = source, .Length = length, .At = *at, .Arena = arena, .Message = message};
    message[0] = '\0';
    *node = nullptr;
    Next(&parser);
    SkipLines(&parser);
    if (parser.Status == ParseOk && parser.Token.Kind == TokenEnd) {
        *at = length;
        return ParseNothing;
    }
    Node *list = parser.Status == ParseOk ? ParseList(&parser, true) : nullptr;
    if (parser.Status == ParseOk && parser.Token.Kind != TokenLine &&
        parser.Token.Kind != TokenEnd) {
        size_t shown = parser.Token.End - parser.Token.Start;
        char text[MessageSize];
        snprintf(text, sizeof text, "'%.*s' does not belong here", (int)(shown > 40 ? 40 : shown),
                 source + parser.Token.Start);
        Fail(&parser, ParseFailed, text);
    }
    if (parser.Status == ParseOk && arena->Failed)
        Fail(&parser, ParseNoMemory, "out of memory");
    *at = parser.Token.End;
    *node = list;
    return parser.Status;
}
