// test_terminal.c - the terminal's screen: text, colours, scrolling, history, the alternate screen,
// sizes, selection, keys, pixels.
// SPDX-License-Identifier: MIT
#include "../../apps/terminal/font.h"
#include "../../apps/terminal/keys.h"
#include "../../apps/terminal/paint.h"
#include "MetalKeys.h"
#include "unit.h"

static Screen screen;
static char replied[4096];

static void Reply(const char *bytes, size_t length, void *context)
{
    size_t used = strlen(replied);
    for (size_t i = 0; i < length && used < sizeof replied - 1; i++)
        replied[used++] = bytes[i];
    replied[used] = '\0';
}

static void Open(uint32_t columns, uint32_t rows)
{
    replied[0] = '\0';
    CHECK(ScreenOpen(&screen, columns, rows, Reply, nullptr));
}

static void Write(const char *text)
{
    ScreenWrite(&screen, text, strlen(text));
}

// The text of a row of the view; what is not ASCII as '?'.
static const char *Row(uint32_t row)
{
    static char text[1100];
    const Line *line = ScreenLine(&screen, row);
    size_t length = 0;
    for (uint32_t i = 0; i < screen.Columns && i < line->Capacity; i++) {
        uint32_t point = line->Cells[i].Point;
        text[length++] = point == 0 ? ' ' : point < 0x7F ? (char)point : '?';
    }
    while (length > 0 && text[length - 1] == ' ')
        length--;
    text[length] = '\0';
    return text;
}

static void TestText(void)
{
    Open(10, 3);
    Write("one\r\ntwo\x1B[1;6Hsix");
    CHECK_TEXT(Row(0), "one  six");
    CHECK_TEXT(Row(1), "two");
    Write("\x1B[2Jx\x1B[H\x1B[31;1mred\x1B[0m \x1B[38;2;1;2;3mrgb\x1B[48;5;196m!");
    const Line *line = ScreenLine(&screen, 0);
    CHECK(line->Cells[0].Attributes & CellBold);
    CHECK(!(line->Cells[0].Attributes & CellDefaultInk));
    CHECK_EQUAL(line->Cells[4].Ink, 0x010203);
    CHECK_EQUAL(line->Cells[7].Paper, 0xFF0000);
    Write("\x1B[0m\x1B[3;1H\xD0\x96\xCE\xA9\xE2\x94\x80"
          "e\xCC\x81"); // split anywhere:
    ScreenWrite(&screen, "\xE2\x82", 2);
    ScreenWrite(&screen, "\xAC", 1);
    line = ScreenLine(&screen, 2);
    CHECK_EQUAL(line->Cells[0].Point, 0x416);
    CHECK_EQUAL(line->Cells[2].Point, 0x2500);
    CHECK_EQUAL(line->Cells[3].Mark, 0x301);
    CHECK_EQUAL(line->Cells[4].Point, 0x20AC);
    Write("\x1B[2;1H\xC3\x28\xE2\x82 \xF0\x80\xED\xA0\x80\xFF."); // not UTF-8
    CHECK_TEXT(Row(1), "?(? ????.");
    Write("\x1B[3;6H\x1B[6n");
    CHECK_TEXT(replied, "\x1B[3;6R");
    Write("\x1B]0;a title\x07");
    CHECK_TEXT(screen.Title, "a title");
    Write("\x1B[1;1H\x1B[2K\xF4\x01\xFD|"); // a lead byte, then a control
    CHECK_TEXT(Row(0), "??|");
    ScreenClose(&screen);
}

static void TestHistory(void)
{
    char line[32];
    Open(20, 4);
    for (int i = 0; i < 100; i++) {
        snprintf(line, sizeof line, "%sline %d", i ? "\r\n" : "", i);
        Write(line);
    }
    CHECK_TEXT(Row(3), "line 99");
    CHECK_EQUAL(screen.HistoryCount, 96);
    ScreenScroll(&screen, 10);
    CHECK_TEXT(Row(0), "line 86");
    Write("\r\nmore"); // the view stays at its text
    CHECK_TEXT(Row(0), "line 86");
    ScreenScroll(&screen, 1000);
    CHECK_TEXT(Row(0), "line 0");
    ScreenScroll(&screen, -1000);
    CHECK_TEXT(Row(3), "more");
    for (uint32_t i = 0; i < HISTORY_LINES + 50; i++)
        Write("\r\nx");
    CHECK_EQUAL(screen.HistoryCount, HISTORY_LINES);
    CHECK(screen.FirstLine > 100);
    Write("\x1B[2;3r\x1B[3;1H\r\n\r\n\r\n"); // a region scrolls without the history
    CHECK_EQUAL(screen.HistoryCount, HISTORY_LINES);
    CHECK_TEXT(Row(0), "x");
    CHECK_TEXT(Row(3), "x");
    ScreenClose(&screen);
}

static void TestAlternate(void)
{
    Open(20, 4);
    Write("ordinary\x1B[?1049h\x1B[Hother\r\n\r\n\r\n\r\n\r\n");
    CHECK_EQUAL(screen.Shown, 1);
    CHECK_EQUAL(screen.HistoryCount, 0);
    ScreenScroll(&screen, 5);
    CHECK_EQUAL(screen.Scrolled, 0);
    Write("\x1B[?1049l");
    CHECK_TEXT(Row(0), "ordinary");
    ScreenClose(&screen);
}

static void TestSizes(void)
{
    Open(10, 4);
    Write("a\r\nb\r\nc\r\nd");
    CHECK(ScreenResize(&screen, 10, 2));
    CHECK_TEXT(Row(1), "d");
    CHECK_EQUAL(screen.HistoryCount, 2);
    CHECK_EQUAL(screen.Cursor.row, 1);
    CHECK(ScreenResize(&screen, 30, 5));
    CHECK_TEXT(Row(0), "a");
    CHECK_TEXT(Row(3), "d");
    CHECK_EQUAL(screen.Cursor.row, 3);
    Write("\x1B[1;21Hfar");
    CHECK(ScreenResize(&screen, 5, 5));
    CHECK(ScreenResize(&screen, 30, 5));
    CHECK_TEXT(Row(0), "a                   far"); // what was cut off comes back
    CHECK(!ScreenResize(&screen, 0, 5) && !ScreenResize(&screen, 5, SCREEN_MAXIMUM + 1));
    CHECK(ScreenResize(&screen, 1, 1));
    Write("wide \xE4\xB8\xAD text\r\n\r\n");
    ScreenClose(&screen);
}

static const char *Copied(void)
{
    static char text[1000];
    size_t length;
    char *copy = ScreenCopy(&screen, &length);
    snprintf(text, sizeof text, "%s", copy == nullptr ? "(nothing)" : copy);
    free(copy);
    return text;
}

static void TestSelection(void)
{
    Open(10, 4);
    CHECK_TEXT(Copied(), "(nothing)");
    Write("one two\r\n/a/b.c x\r\n0123456789wrapped");
    ScreenSelect(&screen, 0, 4, SelectCells);
    ScreenExtend(&screen, 1, 1);
    CHECK_TEXT(Copied(), "two\n/a");
    ScreenExtend(&screen, 0, 1);
    CHECK_TEXT(Copied(), "ne t");
    ScreenSelect(&screen, 1, 3, SelectWords);
    CHECK_TEXT(Copied(), "/a/b.c");
    ScreenSelect(&screen, 2, 3, SelectLines);
    ScreenExtend(&screen, 3, 0);
    CHECK_TEXT(Copied(), "0123456789wrapped"); // no line break where the text went on
    ScreenSelect(&screen, 0, 0, SelectWords);
    Write("\r\nscrolls");
    CHECK_TEXT(Copied(), "one"); // the selection stays with its text
    ScreenScroll(&screen, 1);
    CHECK(ScreenIsSelected(&screen, ScreenLineNumber(&screen, 0), 1));
    Write("\x1B[2;1Hover");
    ScreenSelect(&screen, 3, 0, SelectLines);
    CHECK(screen.Selected);
    Write("\x1B[3;1Hnew");
    CHECK(!screen.Selected); // its text is gone
    ScreenClose(&screen);
}

static const char *Typed(uint16_t code, uint16_t modifiers, uint32_t character)
{
    replied[0] = '\0';
    KeysType(&screen, code, modifiers, character);
    return replied;
}

static void TestKeys(void)
{
    Open(10, 4);
    CHECK_TEXT(Typed(KeyA, 0, 'a'), "a");
    CHECK_TEXT(Typed(KeyA, ModifierControl, 0), "\x01");
    CHECK_TEXT(Typed(KeyX, ModifierAlt, 0), "\x1Bx");
    CHECK_TEXT(Typed(KeyUp, 0, 0), "\x1B[A");
    Write("\x1B[?1h");
    CHECK_TEXT(Typed(KeyUp, 0, 0), "\x1BOA");
    CHECK_TEXT(Typed(KeyLeft, ModifierControl, 0), "\x1B[1;5D");
    CHECK_TEXT(Typed(KeyEnter, ModifierShift, '\n'), "\r");
    CHECK_TEXT(Typed(KeyBackspace, 0, '\b'), "\x7F");
    CHECK_TEXT(Typed(KeyF1, 0, 0), "\x1BOP");
    CHECK_TEXT(Typed(KeyLeftBracket, ModifierControl, 0), "\x1B");
    CHECK_TEXT(Typed(KeyLeftShift, ModifierShift, 0), "");
    ScreenClose(&screen);
}

static void TestPixels(void)
{
    uint32_t width, height, columns, rows;
    Rect changed;
    PaintMeasure(12, 3, &width, &height);
    PaintFit(width, height, &columns, &rows);
    CHECK_EQUAL(columns, 12);
    CHECK_EQUAL(rows, 3);
    PaintFit(1, 1, &columns, &rows);
    CHECK_EQUAL(columns * rows, 1);
    Open(12, 3);
    uint32_t *memory =
        calloc((size_t)width * height, sizeof(uint32_t)); // ASan sees every step aside
    WindowBuffer buffer = {memory, width, height, width};
    Write("\x1B[41m \x1B[0;4mU\x1B[0m\xE2\x96\x88\x1B[3;12Hz\x1B[H");
    CHECK(PaintScreen(&screen, &buffer, true, &changed));
    CHECK_EQUAL(changed.Right, width);
    CHECK(!PaintScreen(&screen, &buffer, true, &changed));
    uint32_t *block = memory + (Padding + 10) * width + Padding + 2 * TheFont.CellWidth + 4;
    CHECK_EQUAL(*block, 0xD9DEEA); // a full block is ink all over
    Write("\x1B[2;1Hx");
    CHECK(PaintScreen(&screen, &buffer, false, &changed));
    CHECK_EQUAL(changed.Top, Padding);
    CHECK_EQUAL(changed.Bottom, Padding + 2 * TheFont.CellHeight);
    for (int i = 0; i < 10; i++)
        Write("\r\n");
    ScreenScroll(&screen, 3);
    CHECK(PaintScreen(&screen, &buffer, true, &changed));
    PaintFindCell(&screen, -50, 100000, &columns, &rows);
    CHECK_EQUAL(columns, 0);
    CHECK_EQUAL(rows, 2);
    free(memory);
    ScreenClose(&screen);
}

int main(void)
{
    static const UnitTest tests[] = {
        {"text", TestText},     {"history", TestHistory},     {"alternate screen", TestAlternate},
        {"sizes", TestSizes},   {"selection", TestSelection}, {"keys", TestKeys},
        {"pixels", TestPixels},
    };
    return UnitRun(tests, sizeof tests / sizeof tests[0]);
}
