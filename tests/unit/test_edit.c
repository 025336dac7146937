// test_edit.c - the editor's text: changes and taking them back, places, columns; and its picture.
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "../../apps/edit/view.h"
#include "unit.h"

static Text Make(const char *content)
{
    Text text;
    TextOpen(&text, strdup(content), strlen(content));
    return text;
}

static void Type(Text *text, size_t at, const char *keys)
{
    for (; *keys; keys++)
        CHECK(TextReplace(text, at++, 0, keys, 1));
}

static void TestChanges(void)
{
    Text text = Make("one\ntwo\n");
    size_t at = 0;
    CHECK(!TextIsChanged(&text) && !TextUndo(&text, &at) && !TextRedo(&text, &at));
    Type(&text, 3, " and");
    Type(&text, 7, "\nx");
    CHECK_TEXT(text.Bytes, "one and\nx\ntwo\n");
    CHECK(TextIsChanged(&text) && TextUndo(&text, &at));
    CHECK_TEXT(text.Bytes, "one and\n\ntwo\n");
    CHECK(TextUndo(&text, &at) && TextUndo(&text, &at) && at == 3 && !TextUndo(&text, &at));
    CHECK_TEXT(text.Bytes, "one\ntwo\n");
    CHECK(!TextIsChanged(&text) && TextRedo(&text, &at) && at == 7);
    TextSetSaved(&text);
    CHECK(!TextIsChanged(&text) && TextUndo(&text, &at) && TextIsChanged(&text));
    CHECK(TextReplace(&text, 0, 4, "", 0)); // what was saved cannot come back
    CHECK_TEXT(text.Bytes, "two\n");
    CHECK(!TextRedo(&text, &at) && TextUndo(&text, &at) && at == 4 && TextIsChanged(&text));
    TextClose(&text);
}

static uint32_t seed = 7;

static uint32_t Random(uint32_t limit)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % limit;
}

// Whatever was done can be taken back to the start and done again to the end.
static void TestManyChanges(void)
{
    Text text = Make("some text\nto begin with\n");
    size_t at;
    for (int i = 0; i < 3000; i++) {
        static const char words[] = "abc\ndefgh\xC3\xA4 ij";
        size_t place = Random((uint32_t)text.Length + 1), length = Random(9);
        size_t remove = Random(12) % (text.Length - place + 1);
        CHECK(TextReplace(&text, place, remove, words + Random(6), length));
        for (uint32_t back = Random(8) == 0 ? Random(20) : 0; back > 0; back--)
            (void)(Random(2) != 0 ? TextUndo(&text, &at) : TextRedo(&text, &at));
    }
    while (TextRedo(&text, &at))
        CHECK(at <= text.Length);
    char *last = strdup(text.Bytes);
    while (TextUndo(&text, &at))
        CHECK(at <= text.Length);
    CHECK_TEXT(text.Bytes, "some text\nto begin with\n");
    while (TextRedo(&text, &at))
        continue;
    CHECK_TEXT(text.Bytes, last);
    CHECK_EQUAL(strlen(last), text.Length);
    free(last);
    TextClose(&text);
}

static void TestPlaces(void)
{
    Text text = Make("a\xC3\xA4\xE2\x82\xAC\xFF b_1, c\n\tx\ty\nlast A\xC3\xA4");
    static const size_t characters[] = {0, 1, 3, 6, 7, 8};
    for (size_t i = 0; i + 1 < sizeof characters / sizeof characters[0]; i++) {
        CHECK_EQUAL(TextNext(&text, characters[i]), characters[i + 1]);
        CHECK_EQUAL(TextPrevious(&text, characters[i + 1]), characters[i]);
    }
    CHECK_EQUAL(TextPrevious(&text, 0), 0);
    CHECK_EQUAL(TextNext(&text, text.Length), text.Length);
    CHECK_EQUAL(TextNextWord(&text, 8), 13);
    CHECK_EQUAL(TextPreviousWord(&text, 13), 8);
    CHECK_EQUAL(TextLineEnd(&text, 0), 14);
    CHECK_EQUAL(TextLineStart(&text, 17), 15);
    CHECK_EQUAL(TextColumn(&text, 7), 4);
    CHECK_EQUAL(TextColumn(&text, 18), 16);
    CHECK_EQUAL(TextAtColumn(&text, 15, 7), 15);
    CHECK_EQUAL(TextAtColumn(&text, 15, 8), 16);
    CHECK_EQUAL(TextAtColumn(&text, 15, 99), 19);
    CHECK_EQUAL(TextFind(&text, 0, "A\xC3\xA4"), 25);
    CHECK_EQUAL(TextFind(&text, 25, "a\xC3\xA4"), 0);
    CHECK_EQUAL(TextFind(&text, 0, "absent"), SIZE_MAX);
    CHECK_EQUAL(TextFind(&text, 0, ""), SIZE_MAX);
    TextClose(&text);
}

// The picture without escape sequences but those that place the cursor, which become "@ROW,COLUMN".
static const char *Draw(View *view, const Text *text, size_t cursor)
{
    static char shown[4096];
    size_t used = 0;
    ViewDraw(view, text, cursor, "title", "message", false);
    for (size_t i = 0; i < view->Length && used < sizeof shown - 32; i++) {
        if (view->Output[i] != '\x1B') {
            shown[used++] = view->Output[i];
            continue;
        }
        size_t end = i + 2;
        while (view->Output[end] < '@' || view->Output[end] > 'z')
            end++;
        if (view->Output[end] == 'H' && end > i + 2) {
            used +=
                (size_t)sprintf(shown + used, "@%.*s ", (int)(end - i - 2), view->Output + i + 2);
        }
        i = end;
    }
    shown[used] = '\0';
    return shown;
}

static void TestView(void)
{
    Text text = Make("one\n\ttab\n\xC3\xA4\x01\xFF\n4\n5\n6");
    View view = {.Columns = 10, .Rows = 5};
    CHECK_TEXT(Draw(&view, &text, 0), "title     @2;1 one@3;1         ta@4;1 \xC3\xA4"
                                      "A?@5;1 message   @2;1 ");
    CHECK_TEXT(Draw(&view, &text, 8), // behind "tab": scrolled to the side
               "title     @2;1 @3;1   tab@4;1 @5;1 message   @3;6 ");
    CHECK_TEXT(Draw(&view, &text, text.Length), "title     @2;1 4@3;1 5@4;1 6@5;1 message   @4;2 ");
    CHECK_TEXT(Draw(&view, &text, 0), "title     @2;1 one@3;1         ta@4;1 \xC3\xA4"
                                      "A?@5;1 message   @2;1 ");
    ViewFree(&view);
    TextClose(&text);
    text = Make("");
    view = (View){.Columns = 10, .Rows = 4};
    CHECK_TEXT(Draw(&view, &text, 0), "title     @2;1 @3;1 ~@4;1 message   @2;1 ");
    ViewFree(&view);
    TextClose(&text);
}

int main(void)
{
    static const UnitTest tests[] = {
        {"changes", TestChanges},
        {"many changes", TestManyChanges},
        {"places", TestPlaces},
        {"picture", TestView},
    };
    return UnitRun(tests, sizeof tests / sizeof tests[0]);
}
