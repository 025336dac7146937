// test_shell.c - the shell's language, its expansions and its line editor.
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "../../apps/shell/edit.h"
#include "../../apps/shell/expand.h"
#include "../../apps/shell/syntax.h"
#include "unit.h"

// ---- syntax: a tree as text, fully bracketed

static char shown[4096];

static void Show(const char *text)
{
    strncat(shown, text, sizeof shown - strlen(shown) - 1);
}

static void ShowNode(const Node *node)
{
    static const char *const names[] = {"cmd",    "pipe",     "and",   "or",    "not", "seq",
                                        "bg",     "if",       "while", "until", "for", "case",
                                        "choice", "function", "group", "sub"};
    Show("(");
    Show(names[node->Kind]);
    for (size_t i = 0; i < node->WordCount; i++) {
        Show(" ");
        Show(node->Words[i]);
    }
    for (size_t i = 0; i < node->RedirectionCount; i++) {
        char text[32];
        const Redirection *made = &node->Redirections[i];
        snprintf(text, sizeof text, " %d%s", made->Stream,
                 made->Kind == RedirectRead     ? "<"
                 : made->Kind == RedirectWrite  ? ">"
                 : made->Kind == RedirectAppend ? ">>"
                 : made->Kind == RedirectHere   ? (made->Literal ? "<<'" : "<<")
                                                : ">&");
        Show(text);
        Show(made->Kind == RedirectDuplicate ? (made->From == 1 ? "1" : "2") : made->Word);
    }
    for (size_t i = 0; i < node->ChildCount; i++) {
        Show(" ");
        ShowNode(node->Children[i]);
    }
    Show(")");
}

// The first command of a text as a tree, or why there is none.
static const char *ParseText(const char *text)
{
    Arena arena = {};
    Node *node;
    size_t at = 0;
    char message[128];
    shown[0] = '\0';
    switch (Parse(text, strlen(text), &at, &arena, &node, message)) {
    case ParseOk:
        ShowNode(node);
        break;
    case ParseNothing:
        Show("nothing");
        break;
    case ParseIncomplete:
        Show("incomplete");
        break;
    default:
        Show("error: ");
        Show(message);
    }
    ArenaFree(&arena);
    return shown;
}

static void TestSyntax(void)
{
    CHECK_TEXT(ParseText(""), "nothing");
    CHECK_TEXT(ParseText(" # only a comment\n\n"), "nothing");
    CHECK_TEXT(ParseText("echo a 'b c' \"d e\"\\ f"), "(seq (cmd echo a 'b c' \"d e\"\\ f))");
    CHECK_TEXT(ParseText("a|b | c"), "(seq (pipe (cmd a) (cmd b) (cmd c)))");
    CHECK_TEXT(ParseText("a && b || c"), "(seq (or (and (cmd a) (cmd b)) (cmd c)))");
    CHECK_TEXT(ParseText("a; b & c"), "(seq (cmd a) (bg (cmd b)) (cmd c))");
    CHECK_TEXT(ParseText("! a"), "(seq (not (cmd a)))");
    CHECK_TEXT(ParseText("a <in >out 2>>err 2>&1"), "(seq (cmd a 0<in 1>out 2>>err 2>&1))");
    CHECK_TEXT(ParseText("a 2 >b"), "(seq (cmd a 2 1>b))");
    CHECK_TEXT(ParseText("if a; then b; elif c; then d; else e; fi"),
               "(seq (if (seq (cmd a)) (seq (cmd b)) (seq (cmd c)) (seq (cmd d)) (seq (cmd e))))");
    CHECK_TEXT(ParseText("for x in 1 2; do echo $x; done > f"),
               "(seq (for x 1 2 1>f (seq (cmd echo $x))))");
    CHECK_TEXT(ParseText("while a\ndo\n b\n c\ndone"),
               "(seq (while (seq (cmd a)) (seq (cmd b) (cmd c))))");
    CHECK_TEXT(ParseText("{ a; b; } | (c; d)"),
               "(seq (pipe (group (seq (cmd a) (cmd b))) (sub (seq (cmd c) (cmd d)))))");
    CHECK_TEXT(ParseText("case $x in (a|b) c; d;; *) ;; esac"),
               "(seq (case $x (choice a b (seq (cmd c) (cmd d))) (choice *)))");
    CHECK_TEXT(ParseText("case x in\n a)\n b\nesac"), "(seq (case x (choice a (seq (cmd b)))))");
    CHECK_TEXT(ParseText("f() { a; }; f b"), "(seq (function f (group (seq (cmd a)))) (cmd f b))");
    CHECK_TEXT(ParseText("f ( ) ( a )"), "(seq (function f (sub (seq (cmd a)))))");
    CHECK_TEXT(ParseText("f() a"), "error: what a function does stands in { }");
    CHECK_TEXT(ParseText("echo $(a | b; c) ${x:-'}'} done"),
               "(seq (cmd echo $(a | b; c) ${x:-'}'} done))");
    CHECK_TEXT(ParseText("a \\\n b"), "(seq (cmd a b))");
    CHECK_TEXT(ParseText("a\nb"), "(seq (cmd a))");
}

static void TestSyntaxErrors(void)
{
    static const char *const incomplete[] = {
        "echo 'a",       "echo \"a", "echo $(a", "a |",         "a &&",
        "if a",          "{ a",      "(a",       "a >",         "for x in a",
        "while a; do b", "echo ${x", "a \\",     "case x in a", "case x in a) b;;",
        "f() { a;"};
    for (size_t i = 0; i < sizeof incomplete / sizeof incomplete[0]; i++)
        CHECK_TEXT(ParseText(incomplete[i]), "incomplete");
    CHECK_TEXT(ParseText("| a"), "error: a command is missing before '|'");
    CHECK_TEXT(ParseText("a | | b"), "error: a command is missing before '|'");
    CHECK_TEXT(ParseText("a ;; b"), "error: ';;' does not belong here");
    CHECK_TEXT(ParseText("fi"), "error: a command is missing before 'fi'");
    CHECK_TEXT(ParseText("a )"), "error: ')' does not belong here");
    CHECK_TEXT(ParseText("a > ; b"), "error: the name of a file is missing");
    CHECK_TEXT(ParseText("a 2>&3"), "error: after >& stands 1 or 2");
    CHECK_TEXT(ParseText("for 1x in a; do b; done"),
               "error: the name of a variable is missing before '1x'");
    static char deep[1000];
    memset(deep, '(', sizeof deep - 1);
    CHECK_TEXT(ParseText(deep), "error: this is nested too deeply");
}

// The source of the n-th stage of a pipeline, as a second shell gets it.
static const char *SourceOf(const char *text, size_t stage)
{
    Arena arena = {};
    Node *node;
    size_t at = 0;
    char message[128];
    shown[0] = '\0';
    if (Parse(text, strlen(text), &at, &arena, &node, message) == ParseOk) {
        char *source = CopySource(node->Children[0]->Children[stage]);
        Show(source);
        free(source);
    }
    ArenaFree(&arena);
    return shown;
}

static void TestHereDocuments(void)
{
    CHECK_TEXT(ParseText("a <<E b\n$x 'y\n\nE\nc"), "(seq (cmd a b 0<<$x 'y\n\n))");
    CHECK_TEXT(ParseText("a <<'E F'|b>f\nE\nE F"), "(seq (pipe (cmd a 0<<'E\n) (cmd b 1>f)))");
    CHECK_TEXT(ParseText("a <<-\\E\n\t\tx\n\tE\n"), "(seq (cmd a 0<<'x\n))");
    CHECK_TEXT(ParseText("a <<A <<B\n1\nA\n2\nB"), "(seq (cmd a 0<<1\n 0<<2\n))");
    CHECK_TEXT(ParseText("{ a <<A\nx\nA\nb; }"), "(seq (group (seq (cmd a 0<<x\n) (cmd b))))");
    CHECK_TEXT(ParseText("a <<E # comment\r\nx\r\nE\r\n"), "(seq (cmd a 0<<x\n))");
    CHECK_TEXT(ParseText("a <<E\nE"), "(seq (cmd a 0<<))");
    CHECK_TEXT(ParseText("a <<E"), "incomplete");
    CHECK_TEXT(ParseText("a <<"), "incomplete");
    CHECK_TEXT(ParseText("a <<E\nx\n E"), "incomplete");
    CHECK_TEXT(ParseText("a << ;"), "error: the word that ends the here-document is missing");
    CHECK_TEXT(SourceOf("a <<A | { b <<B; } | c\n1\nA\n2\nB\n", 0), "a <<A\n1\nA\n");
    CHECK_TEXT(SourceOf("a <<A | { b <<B; } | c\n1\nA\n2\nB\n", 1), "{ b <<B; }\n2\nB\n");
    CHECK_TEXT(SourceOf("a <<A | { b <<B; } | c\n1\nA\n2\nB\n", 2), "c");
    CHECK_TEXT(SourceOf("{ a <<A\n1\nA\n} | b", 0), "{ a <<A\n1\nA\n}");
}

// ---- expansion

static char *arguments[] = {(char *)"first", (char *)"second one", nullptr};

static const char *GetVariable(void *context, const char *name)
{
    return strcmp(name, "x") == 0       ? "value"
           : strcmp(name, "words") == 0 ? " a  b "
           : strcmp(name, "star") == 0  ? "*.c"
           : strcmp(name, "five") == 0  ? "5"
           : strcmp(name, "HOME") == 0  ? "/home"
           : strcmp(name, "?") == 0     ? "3"
           : strcmp(name, "1") == 0     ? arguments[0]
           : strcmp(name, "empty") == 0 ? ""
                                        : nullptr;
}

static void SetVariable(void *context, const char *name, const char *value) {}

static char *RunCommand(void *context, const char *text, size_t length)
{
    char *output = malloc(length + 3);
    snprintf(output, length + 3, "<%.*s>", (int)length, text);
    return output;
}

static void ListDirectory(void *context, const char *path,
                          void (*found)(void *to, const char *name), void *to)
{
    static const char *const names[] = {"b.c", "a.c", "A.h", "two words.c", ".hidden", "sub"};
    if (*path == '\0' || strcmp(path, "sub/") == 0)
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            found(to, names[i]);
}

static const ExpandHooks expandHooks = {.GetVariable = GetVariable,
                                        .SetVariable = SetVariable,
                                        .RunCommand = RunCommand,
                                        .ListDirectory = ListDirectory,
                                        .ArgumentCount = 2,
                                        .Arguments = arguments};

// The strings a word becomes, each in brackets, or the error.
static const char *Expand(const char *word)
{
    Strings strings = {};
    const char *error = nullptr;
    shown[0] = '\0';
    if (!ExpandWord(&expandHooks, word, &strings, &error))
        Show(error == nullptr ? "no memory" : error);
    for (size_t i = 0; i < strings.Count; i++) {
        Show("[");
        Show(strings.Items[i]);
        Show("]");
    }
    StringsFree(&strings);
    return shown;
}

static void TestExpansion(void)
{
    CHECK_TEXT(Expand("plain"), "[plain]");
    CHECK_TEXT(Expand("'a b'\"c d\"\\ e"), "[a bc d e]");
    CHECK_TEXT(Expand("''"), "[]");
    CHECK_TEXT(Expand("$nothing"), "");
    CHECK_TEXT(Expand("\"$nothing\""), "[]");
    CHECK_TEXT(Expand("$x-${x}y"), "[value-valuey]");
    CHECK_TEXT(Expand("'$x' \\$x"), "[$x $x]");
    CHECK_TEXT(Expand("$words"), "[a][b]");
    CHECK_TEXT(Expand("\"$words\""), "[ a  b ]");
    CHECK_TEXT(Expand("${nothing:-else}${x:+there}${#x}"), "[elsethere5]");
    CHECK_TEXT(Expand("$?/$#-$"), "[3/-$]");
    CHECK_TEXT(Expand("\"$@\""), "[first][second one]");
    CHECK_TEXT(Expand("$@"), "[first][second][one]");
    CHECK_TEXT(Expand("\"$*\""), "[first second one]");
    CHECK_TEXT(Expand("~/x"), "[/home/x]");
    CHECK_TEXT(Expand("$(echo hi)"), "[<echo][hi>]");
    CHECK_TEXT(Expand("\"$(echo hi)\""), "[<echo hi>]");
    CHECK_TEXT(Expand("$((1 + 2 * five - (3 - 1)))"), "[9]");
    CHECK_TEXT(Expand("$((7 / 2)) "), "[3 ]");
    CHECK_TEXT(Expand("$((1 / 0))"), "division by zero");
    CHECK_TEXT(Expand("$((0 - 9223372036854775807 - 1))"), "[-9223372036854775808]");
    CHECK_TEXT(Expand("$(((0 - 9223372036854775807 - 1) / -1))"), "[-9223372036854775808]");
    CHECK_TEXT(Expand("$((3 > 2 && !(1 == 2)))"), "[1]");
    CHECK_TEXT(Expand("${x@y}"),
               "${ } knows NAME, #NAME, NAME:-WORD, :=WORD, :+WORD, %PATTERN, #PATTERN");
    CHECK_TEXT(Expand("${x%e}${x%%l*}${x%x}${x%*}${x%%*}"), "[valuvavaluevalue]");
    CHECK_TEXT(Expand("${star#*.}${star##*.}${star%.*}"), "[cc*]");
    CHECK_TEXT(Expand("\"${words%  b*}|${nothing%x}\""), "[ a|]");
    const char *error;
    char *text = ExpandText(&expandHooks, "$x \"'*\\$x\\a\\\nb $((five)) $(c)\n", &error);
    CHECK_TEXT(text, "value \"'*$x\\ab 5 <c>\n");
    free(text);
}

static void TestPatterns(void)
{
    CHECK_TEXT(Expand("*.c"), "[a.c][b.c][two words.c]");
    CHECK_TEXT(Expand("'*'.c"), "[*.c]");
    CHECK_TEXT(Expand("\\*.c"), "[*.c]");
    CHECK_TEXT(Expand("$star"), "[a.c][b.c][two words.c]");
    CHECK_TEXT(Expand("\"$star\""), "[*.c]");
    CHECK_TEXT(Expand("[ab].?"), "[a.c][A.h][b.c]");
    CHECK_TEXT(Expand("[!a]*.c"), "[b.c][two words.c]");
    CHECK_TEXT(Expand("none*"), "[none*]");
    CHECK_TEXT(Expand("s*/a.*"), "[sub/a.c][sub/A.h]");
    CHECK_TEXT(Expand(".h*"), "[.hidden]");
    CHECK(MatchPattern("a*b*c", "aXXbYYc") && !MatchPattern("a*b*c", "aXXbYY"));
    CHECK(MatchPattern("*.EXE", "shell.exe") && MatchPattern("[", "[") && MatchPattern("", ""));
    CHECK(!MatchPattern("?", "") && MatchPattern("[a-c]", "B") && !MatchPattern("[!a-c]", "b"));
}

// ---- the line editor, over a screen of one line that understands what the editor sends

static char screen[8][200];
static size_t row, column;

static void Scroll(void)
{
    memmove(screen[0], screen[1], sizeof screen - sizeof screen[0]);
    memset(screen[7], 0, sizeof screen[7]);
    row = 7;
}

static void PutOnScreen(void *context, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned count = 0;
        if (text[i] == '\r') {
            column = 0;
        } else if (text[i] == '\n') {
            if (++row == 8)
                Scroll();
        } else if (text[i] == 0x1B && i + 1 < length && text[i + 1] == '[') {
            for (i += 2; i < length && text[i] < '@'; i++)
                count =
                    text[i] >= '0' && text[i] <= '9' ? count * 10 + (unsigned)(text[i] - '0') : 0;
            if (i == length) // the rest comes with the next piece
                break;
            if (text[i] == 'A')
                row -= count < row ? count : row;
            else if (text[i] == 'C')
                column += count;
            else if (text[i] == 'K' || text[i] == 'J')
                memset(screen[row] + column, 0, sizeof screen[row] - column);
            for (size_t below = row + 1; text[i] == 'J' && below < 8; below++)
                memset(screen[below], 0, sizeof screen[below]);
        } else if (column < 199 && text[i] >= ' ') {
            screen[row][column++] = text[i];
        }
    }
}

static const char *GetHistory(void *context, size_t index)
{
    static const char *const lines[] = {"newest line", "older", "newest of old"};
    return index < 3 ? lines[index] : nullptr;
}

static void Complete(void *context, const char *line, size_t cursor, EditCandidates *candidates)
{
    static const char *const names[] = {"alpha ", "alpine "};
    candidates->Start = 0;
    candidates->Inserts = calloc(2, sizeof(char *));
    candidates->Shown = calloc(2, sizeof(char *));
    for (size_t i = 0; i < 2; i++)
        if (strncmp(names[i], line, cursor) == 0) {
            candidates->Inserts[candidates->Count] = strdup(names[i]);
            candidates->Shown[candidates->Count++] = strdup(names[i]);
        }
}

static const EditHooks editHooks = {
    .Write = PutOnScreen, .GetHistory = GetHistory, .Complete = Complete};
static Editor editor;

// Types keys into a new line; the line after them.
static const char *Edit(const char *keys)
{
    size_t used;
    memset(screen, 0, sizeof screen);
    row = column = 0;
    EditStart(&editor, &editHooks, "> ", 80);
    (void)EditFeed(&editor, keys, strlen(keys), &used);
    return editor.Text;
}

static void TestEditor(void)
{
    CHECK_TEXT(Edit("hello"), "hello");
    CHECK_TEXT(screen[0], "> hello");
    CHECK_TEXT(Edit("hello\x1B[D\x1B[D\x7F!"), "he!lo");
    CHECK_EQUAL(column, 5);
    CHECK_TEXT(Edit("bc\x01"
                    "a\x05"
                    "d"),
               "abcd");
    CHECK_TEXT(Edit("one two three\x17\x17x"), "one x");
    CHECK_TEXT(Edit("cut me\x15\x19\x19"), "cut mecut me");
    CHECK_TEXT(Edit("one two\x1B"
                    "b\x0B"
                    "2"),
               "one 2");
    CHECK_TEXT(Edit("one two\x1B[1;5D\x1B[3~"), "one wo");
    CHECK_TEXT(Edit("\xC3\xA4\xE2\x82\xAC\x7F"), "\xC3\xA4");
    CHECK_TEXT(Edit("x\x1B[A"), "newest line");
    CHECK_TEXT(Edit("x\x1B[A\x1B[A\x1B[B\x1B[B"), "x");
    CHECK_TEXT(Edit("\x12old"), "older");
    CHECK_TEXT(Edit("\x12old\x12"), "newest of old");
    CHECK_TEXT(Edit("keep\x12zzz\x07"), "keep");
    CHECK_TEXT(Edit("al\t"), "alp");
    CHECK_TEXT(Edit("alpi\t"), "alpine ");
    CHECK_TEXT(Edit("\x1B[200~a\rb\tc\x1B[201~d"), "a\nb cd");
    CHECK_TEXT(Edit("x\x1B[99;99;99z\x1BOHy"), "yx");
}

static void TestEditorEnds(void)
{
    size_t used;
    EditStart(&editor, &editHooks, "> ", 80);
    CHECK_EQUAL(EditFeed(&editor, "ab\rcd", 5, &used), EditLine);
    CHECK_EQUAL(used, 3);
    CHECK_TEXT(editor.Text, "ab");
    EditStart(&editor, &editHooks, "> ", 80);
    CHECK_EQUAL(EditFeed(&editor, "\x04", 1, &used), EditEnd);
    EditStart(&editor, &editHooks, "> ", 80);
    CHECK_EQUAL(EditFeed(&editor, "ab\x03", 3, &used), EditCancel);
    EditStart(&editor, &editHooks, "> ", 80);
    for (int i = 0; i < 10000; i++)
        CHECK_EQUAL(EditFeed(&editor, "x", 1, &used), EditMore);
    CHECK_EQUAL(editor.Length, EDIT_LINE_SIZE - 1);
}

static void TestEditorRows(void)
{
    size_t used;
    memset(screen, 0, sizeof screen);
    row = column = 0;
    EditStart(&editor, &editHooks, "\x1B[1m>\x1B[0m ", 10); // two columns
    (void)EditFeed(&editor, "\x1B[200~ab\rcd\x1B[201~", 17, &used);
    CHECK_TEXT(screen[0], "> ab");
    CHECK_TEXT(screen[1], "cd");
    (void)EditFeed(&editor, "\x01\x1B[D", 4, &used);
    CHECK_EQUAL(row, 0);
    CHECK_EQUAL(column, 2);
    CHECK_EQUAL(EditMeasure("\x1B]0;title\x07"
                            "a\xC3\xA4\x1B[31mb"),
                3);
}

int main(void)
{
    static const UnitTest tests[] = {
        {"syntax", TestSyntax},
        {"syntax errors", TestSyntaxErrors},
        {"here-documents", TestHereDocuments},
        {"expansion", TestExpansion},
        {"patterns", TestPatterns},
        {"editor", TestEditor},
        {"ends of a line", TestEditorEnds},
        {"rows of a line", TestEditorRows},
    };
    return UnitRun(tests, sizeof tests / sizeof tests[0]);
}
