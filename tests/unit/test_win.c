// test_win.c - the pure parts of the window system: regions, drawing, text, queue, keys, and the
// desktop under random use, whose screen must always equal the same picture painted the simple way.
// SPDX-License-Identifier: MIT
#include "MetalKeys.h"
#include "desk.h"
#include "hal.h"
#include "unit.h"

enum { ScreenWidth = 400, ScreenHeight = 300, Side = 64 };

void HalCopy(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}

static uint64_t seed;

static int32_t Random(int32_t low, int32_t high) // both included
{
    return low + (int32_t)(UnitRandom(&seed) % (uint64_t)(high - low + 1));
}

static Rect RandomRect(int32_t low, int32_t high)
{
    int32_t x = Random(low, high), y = Random(low, high);
    return (Rect){x, y, x + Random(0, high - low), y + Random(0, high - low)};
}

// ---- regions

static void Mark(uint8_t *map, Rect r, uint8_t add)
{
    r = GfxIntersect(r, (Rect){0, 0, Side, Side});
    for (int32_t y = r.Top; y < r.Bottom; y++)
        for (int32_t x = r.Left; x < r.Right; x++)
            map[y * Side + x] = (uint8_t)(map[y * Side + x] + add);
}

static void TestSubtract(void)
{
    seed = 1;
    for (int i = 0; i < 3000; i++) {
        Rect from = RandomRect(0, 40), hole = RandomRect(-10, 50), pieces[4];
        uint8_t expected[Side * Side] = {}, actual[Side * Side] = {};
        Mark(expected, from, 1);
        Rect cut = GfxIntersect(from, hole);
        for (int32_t y = cut.Top; y < cut.Bottom; y++)
            for (int32_t x = cut.Left; x < cut.Right; x++)
                if (x < Side && y < Side)
                    expected[y * Side + x] = 0;
        size_t count = GfxSubtract(from, hole, pieces);
        for (size_t j = 0; j < count; j++) {
            CHECK(!GfxIsEmpty(pieces[j]));
            Mark(actual, pieces[j], 1);
        }
        CHECK(memcmp(expected, actual, sizeof(expected)) == 0);
    }
}

static void TestRegion(void)
{
    seed = 2;
    for (int i = 0; i < 500; i++) {
        GfxRegion region = {};
        uint8_t expected[Side * Side] = {}, actual[Side * Side] = {};
        int count = Random(1, 40);
        for (int j = 0; j < count; j++) {
            Rect r = GfxIntersect(RandomRect(0, Random(1, 60)), (Rect){0, 0, Side, Side});
            GfxRegionAdd(&region, r);
            Mark(expected, r, 1);
        }
        CHECK(region.Count <= GFX_REGION_CAPACITY);
        for (size_t j = 0; j < region.Count; j++)
            Mark(actual, region.Rects[j], 1);
        for (int p = 0; p < Side * Side; p++) {
            CHECK(actual[p] <= 1); // disjoint
            CHECK(expected[p] == 0 || actual[p] == 1);
        }
    }
}

static void TestRegionOverflow(void)
{
    GfxRegion region = {};
    for (int32_t i = 0; i < 1000; i++)
        GfxRegionAdd(&region, (Rect){i * 7 % 977, i * 13 % 991, i * 7 % 977 + 1, i * 13 % 991 + 1});
    CHECK(region.Count <= GFX_REGION_CAPACITY);
    for (int32_t i = 0; i < 1000; i++) {
        bool inside = false;
        for (size_t j = 0; j < region.Count; j++)
            inside = inside || GfxContainsPoint(region.Rects[j], i * 7 % 977, i * 13 % 991);
        CHECK(inside);
    }
}

// ---- drawing

// A surface whose surroundings must stay untouched: a block of `Side` rows around a smaller window.
static uint32_t canvas[Side * Side];

static GfxSurface Window(void)
{
    for (int i = 0; i < Side * Side; i++)
        canvas[i] = 0x5A5A5A;
    return (GfxSurface){
        .Pixels = canvas + 16 * Side + 16, .Stride = Side, .Bounds = {100, 200, 132, 232}};
}

static bool MarginIntact(void)
{
    for (int y = 0; y < Side; y++)
        for (int x = 0; x < Side; x++)
            if ((x < 16 || x >= 48 || y < 16 || y >= 48) && canvas[y * Side + x] != 0x5A5A5A)
                return false;
    return true;
}

static void TestClipping(void)
{
    static const char text[] = "Clipped \xC3\xA4\xE2\x80\xA6 text";
    seed = 3;
    for (int i = 0; i < 4000; i++) {
        GfxSurface to = Window();
        Rect r = RandomRect(-60, 300);
        int32_t x = Random(-100, 300), y = Random(-100, 400);
        GfxFill(&to, r, 0x102030);
        GfxTint(&to, r, 0xFF0000, (uint32_t)Random(0, 256));
        GfxFillGradient(&to, r, 0, 0xFFFFFF);
        GfxRoundRect(&to, r, Random(0, 16), 0x00FF00, (uint32_t)Random(0, 256));
        GfxRoundFrame(&to, r, Random(0, 16), 0x00FF00, (uint32_t)Random(0, 256));
        GfxShadow(&to, r, RandomRect(-60, 300), (uint32_t)Random(0, 256));
        GfxDrawImage(&to, x, y, WiIcons[Random(0, IconCount - 1)][Random(0, 3)]);
        GfxDrawSymbol(&to, x, y, &WiImagePower, 0xFFFFFF, 256);
        GfxDrawText(&to, &GfxFontLarge, x, y, Random(-5, 200), text, sizeof(text) - 1, 0xFFFFFF,
                    256);
        uint32_t pixels[16 * 16] = {};
        GfxSurface from = {.Pixels = pixels, .Stride = 16, .Bounds = {x, y, x + 16, y + 16}};
        GfxCopy(&to, r, &from);
        GfxSurface part = GfxClip(&to, r);
        GfxFill(&part, (Rect){-1000, -1000, 1000, 1000}, 1);
        CHECK(MarginIntact());
    }
}

static void TestMix(void)
{
    seed = 4;
    for (int i = 0; i < 100000; i++) {
        uint32_t a = (uint32_t)UnitRandom(&seed) & 0xFFFFFF,
                 b = (uint32_t)UnitRandom(&seed) & 0xFFFFFF;
        uint32_t alpha = (uint32_t)Random(0, 256), mixed = GfxMix(a, b, alpha);
        for (int shift = 0; shift < 24; shift += 8) {
            int32_t ca = a >> shift & 255, cb = b >> shift & 255, c = mixed >> shift & 255;
            int32_t exact = ca + (cb - ca) * (int32_t)alpha / 256;
            CHECK(c - exact <= 1 && exact - c <= 1);
        }
    }
    CHECK_EQUAL(GfxMix(0x123456, 0xFEDCBA, 0), 0x123456);
    CHECK_EQUAL(GfxMix(0x123456, 0xFEDCBA, 256), 0xFEDCBA);
}

static void TestFillCopy(void)
{
    seed = 5;
    for (int i = 0; i < 1000; i++) {
        GfxSurface to = Window();
        Rect r = GfxIntersect(RandomRect(90, 240), to.Bounds);
        GfxFill(&to, r, 0xABCDEF);
        for (int32_t y = 200; y < 232; y++)
            for (int32_t x = 100; x < 132; x++)
                CHECK_EQUAL(*GfxPixel(&to, x, y), GfxContainsPoint(r, x, y) ? 0xABCDEF : 0x5A5A5A);
    }
    uint32_t swapped[3], colors[3] = {0x112233, 0xFF0000, 0x0000FF};
    GfxCopyPixelsSwapped(swapped, colors, 3);
    CHECK(swapped[0] == 0x332211 && swapped[1] == 0x0000FF && swapped[2] == 0xFF0000);
}

static void TestText(void)
{
    CHECK_EQUAL(GfxMeasureText(&GfxFontText, "", 0), 0);
    int32_t one = GfxMeasureText(&GfxFontText, "m", 1),
            ten = GfxMeasureText(&GfxFontText, "mmmmmmmmmm", 10);
    CHECK(one > 5 && ten > 9 * one && ten <= 10 * one);
    CHECK(GfxMeasureText(&GfxFontText, "i", 1) < one);
    // Malformed UTF-8 and unknown characters end and show something.
    CHECK(GfxMeasureText(&GfxFontText, "\xFF\xFE\xC3", 3) > 0);
    CHECK(GfxMeasureText(&GfxFontText, "\xF0\x9F\x98\x80", 4) > 0);
    // A cut text stays inside its width.
    static uint32_t pixels[200 * 40];
    GfxSurface to = {.Pixels = pixels, .Stride = 200, .Bounds = {0, 0, 200, 40}};
    GfxDrawText(&to, &GfxFontText, 0, 20, 60, "A rather long window title", 26, 0xFFFFFF, 256);
    bool left = false;
    for (int y = 0; y < 40; y++)
        for (int x = 0; x < 200; x++) {
            left = left || (x < 60 && pixels[y * 200 + x] != 0);
            CHECK(x < 62 || pixels[y * 200 + x] == 0);
        }
    CHECK(left);
}

static void
TestWallpaper(void) // at any size, and smooth: neighbours differ little, columns are no stripes
{
    static const int32_t sizes[][2] = {{1, 1}, {7, 3}, {64, 64}, {65, 201}, {401, 301}, {639, 10}};
    for (size_t i = 0; i < RTL_COUNT_OF(sizes); i++) {
        int32_t width = sizes[i][0], height = sizes[i][1];
        uint32_t *pixels = malloc((size_t)(width * height) * sizeof(uint32_t));
        memset(pixels, 0xFF, (size_t)(width * height) * sizeof(uint32_t));
        GfxSurface to = {
            .Pixels = pixels, .Stride = (size_t)width, .Bounds = {0, 0, width, height}};
        WiPaintWallpaper(&to);
        for (int32_t p = 0; p < width * height; p++) {
            CHECK(pixels[p] <= 0xFFFFFF);
            for (int shift = 0; shift < 24 && p % width != 0; shift += 8) {
                int32_t a = pixels[p - 1] >> shift & 255, b = pixels[p] >> shift & 255;
                CHECK(height < 200 || (a - b <= 64 && b - a <= 64));
            }
        }
        free(pixels);
    }
}

// ---- queue and keys

static Message Move(Handle window, int32_t x, int32_t y)
{
    Message message = {.Type = MessageMouseMove, .Window = window};
    message.Mouse.X = x;
    message.Mouse.Y = y;
    return message;
}

static void TestQueue(void)
{
    static WiQueue queue;
    Message out, close = {.Type = MessageClose, .Window = 4};
    CHECK(!WiQueuePop(&queue, &out));
    Message a = Move(4, 1, 1), b = Move(4, 5, 6), other = Move(8, 2, 2);
    WiQueuePush(&queue, &a, false);
    WiQueuePush(&queue, &b, false);
    WiQueuePush(&queue, &other, false);
    CHECK_EQUAL(queue.Count, 2);
    CHECK(WiQueuePop(&queue, &out) && out.Mouse.X == 5 && out.Mouse.Y == 6);
    CHECK(WiQueuePop(&queue, &out) && out.Window == 8);
    WiQueuePush(&queue, &a, true);
    WiQueuePush(&queue, &b, true); // deltas add up
    CHECK(WiQueuePop(&queue, &out) && out.Mouse.X == 6 && out.Mouse.Y == 7);
    WiQueuePush(&queue, &close, false);
    WiQueuePush(&queue, &a, false);
    WiQueuePush(&queue, &close, false);
    CHECK_EQUAL(queue.Count, 2);
    Message small = {.Type = MessageResize, .Window = 4, .Size = {10, 20}},
            large = {.Type = MessageResize, .Window = 4, .Size = {30, 40}};
    WiQueuePush(&queue, &small, false);
    WiQueuePush(&queue, &large, false); // the latest size only
    CHECK_EQUAL(queue.Count, 3);
    CHECK(WiQueuePop(&queue, &out) && WiQueuePop(&queue, &out) && WiQueuePop(&queue, &out));
    CHECK(out.Size.Width == 30 && out.Size.Height == 40);
    WiQueuePush(&queue, &close, false);
    WiQueuePush(&queue, &a, false);
    for (uint32_t i = 0; i < 1000; i++) {
        Message key = {.Type = i % 2 ? MessageKeyUp : MessageKeyDown, .Window = 4, .Time = i};
        WiQueuePush(&queue, &key, false);
    }
    CHECK_EQUAL(queue.Count, WI_QUEUE_CAPACITY);
    CHECK_EQUAL(queue.Dropped, 1002 - WI_QUEUE_CAPACITY);
    uint64_t last = 0;
    while (WiQueuePop(&queue, &out)) {
        CHECK(out.Type == MessageKeyDown || out.Type == MessageKeyUp);
        CHECK(out.Time >= last);
        last = out.Time;
    }
    CHECK_EQUAL(last, 999);
    WiQueuePush(&queue, &a, false);
    WiQueuePush(&queue, &other, false);
    WiQueuePush(&queue, &close, false);
    WiQueuePurge(&queue, 4);
    CHECK(WiQueuePop(&queue, &out) && out.Window == 8 && !WiQueuePop(&queue, &out));
}

static void TestKeys(void)
{
    CHECK_EQUAL(WiTranslateKey(KeyA, 0), 'a');
    CHECK_EQUAL(WiTranslateKey(KeyA, ModifierShift), 'A');
    CHECK_EQUAL(WiTranslateKey(KeyZ, ModifierCapsLock), 'Z');
    CHECK_EQUAL(WiTranslateKey(KeyZ, ModifierCapsLock | ModifierShift), 'z');
    CHECK_EQUAL(WiTranslateKey(KeyA, ModifierControl), 0);
    CHECK_EQUAL(WiTranslateKey(Key1, ModifierShift), '!');
    CHECK_EQUAL(WiTranslateKey(Key0, ModifierShift), ')');
    CHECK_EQUAL(WiTranslateKey(Key0, 0), '0');
    CHECK_EQUAL(WiTranslateKey(KeySlash, 0), '/');
    CHECK_EQUAL(WiTranslateKey(KeySlash, ModifierShift), '?');
    CHECK_EQUAL(WiTranslateKey(KeyApostrophe, ModifierShift), '"');
    CHECK_EQUAL(WiTranslateKey(KeyBackslash, 0), '\\');
    CHECK_EQUAL(WiTranslateKey(KeyGrave, ModifierShift), '~');
    CHECK_EQUAL(WiTranslateKey(KeyPad7, ModifierNumLock), '7');
    CHECK_EQUAL(WiTranslateKey(KeyPad7, 0), 0);
    CHECK_EQUAL(WiTranslateKey(KeyPadEnter, 0), '\n');
    CHECK_EQUAL(WiTranslateKey(KeyPadPeriod, ModifierNumLock), '.');
    CHECK_EQUAL(WiTranslateKey(KeyF1, 0), 0);
    for (uint32_t code = 0; code < 65536; code++)
        CHECK(WiTranslateKey((uint16_t)code, (uint16_t)(code * 7)) < 128);
}

// ---- the desktop

typedef struct Seen {
    WiWindow *Window;
    Message Message;
} Seen;

static struct {
    uint32_t Large[2 * ScreenWidth * 2 * ScreenHeight],
        LargeExpected[2 * ScreenWidth * 2 * ScreenHeight];
    uint32_t Screen[ScreenWidth * ScreenHeight], Expected[ScreenWidth * ScreenHeight];
    uint32_t Wallpaper[ScreenWidth * ScreenHeight], Scratch[2048];
    WiDesk Desk;
    WiWindow Windows[12];
    uint32_t Pixels[12][160 * 120];
    Seen Seen[512];
    size_t SeenCount;
    char Started[64];
    int Powered, MenusOpened;
} T;

static void Post(WiWindow *window, const Message *message, bool relative)
{
    CHECK(window->Added);
    if (T.SeenCount < RTL_COUNT_OF(T.Seen))
        T.Seen[T.SeenCount++] = (Seen){window, *message};
}
static void Start(const char *command)
{
    RtlCopyString(T.Started, sizeof(T.Started), command);
}
static void Power(ShutdownAction action)
{
    T.Powered = 1 + (int)action;
}
static void MenuOpened(void)
{
    T.MenusOpened++;
}

static void NewDesk(bool wallpaper)
{
    static const WiOperations operations = {Post, Start, Power, MenuOpened};
    static const WiProgram programs[] = {
        {"DOOM", "doom", IconDoom}, {"Fire", "fire", IconFire}, {"Other", "other", IconProgram}};
    Rect screen = {0, 0, ScreenWidth, ScreenHeight};
    memset(&T, 0, sizeof(T));
    T.Desk.Output = (GfxSurface){T.Screen, ScreenWidth, screen};
    T.Desk.Scratch = T.Scratch;
    T.Desk.ScratchPixels = RTL_COUNT_OF(T.Scratch);
    T.Desk.Operations = &operations;
    WiDeskStart(&T.Desk);
    WiDeskSetTime(&T.Desk, 1'700'000'000ull * 1'000'000'000);
    WiDeskSetPrograms(&T.Desk, programs, 3);
    if (wallpaper) {
        GfxSurface picture = {T.Wallpaper, ScreenWidth, screen};
        WiPrepareWallpaper(&T.Desk, &picture);
        WiDeskSetWallpaper(&T.Desk, &picture);
    }
}

static void ScreenEqualsSimplePicture(void)
{
    GfxSurface expected = {T.Expected, ScreenWidth, T.Desk.Output.Bounds};
    WiDeskCompose(&T.Desk);
    CHECK_EQUAL(T.Desk.Damage.Count, 0);
    WiDeskPaintAll(&T.Desk, &expected);
    if (memcmp(T.Screen, T.Expected, sizeof(T.Screen)) == 0)
        return;
    for (int i = 0; i < ScreenWidth * ScreenHeight; i++)
        if (T.Screen[i] != T.Expected[i]) {
            printf("# first difference at %d,%d\n", i % ScreenWidth, i / ScreenWidth);
            break;
        }
    CHECK(!"the screen differs from the simple picture");
}

static WiWindow *NewWindow(int index, int32_t x, int32_t y, int32_t width, int32_t height,
                           uint32_t flags)
{
    WiWindow *window = &T.Windows[index];
    *window = (WiWindow){.Client = {x, y, x + width, y + height},
                         .Flags = flags,
                         .Pixels = T.Pixels[index],
                         .Stride = 160};
    RtlFormat(window->Title, sizeof(window->Title), "Window %d", index);
    window->Icon = (WiIcon)(index % IconCount);
    for (int i = 0; i < 160 * 120; i++)
        T.Pixels[index][i] = (uint32_t)(index * 0x123457 + i * 97) & 0xFFFFFF;
    WiDeskAdd(&T.Desk, window);
    return window;
}

static void Key(uint16_t code, bool pressed)
{
    WiDeskInput(&T.Desk, &(WiInput){.Kind = WiInputKey, .Code = code, .Pressed = pressed});
}

static void Mouse(int32_t x, int32_t y, uint32_t buttons) // to an absolute place
{
    WiDeskInput(&T.Desk, &(WiInput){.Kind = WiInputRelative,
                                    .X = x - T.Desk.X,
                                    .Y = y - T.Desk.Y,
                                    .Buttons = buttons});
}

static const Seen *LastSeen(uint32_t type)
{
    for (size_t i = T.SeenCount; i-- > 0;)
        if (T.Seen[i].Message.Type == type)
            return &T.Seen[i];
    return nullptr;
}

// Something a user, a program or chance might do.
static void RandomStep(void)
{
    static const uint16_t keys[] = {KeyLeftSuper, KeyLeftAlt,  KeyTab,   KeyLeftControl, KeyEscape,
                                    KeyDown,      KeyUp,       KeyEnter, KeyA,           KeyF4,
                                    KeyLeftShift, KeyCapsLock, KeyRight};
    static const uint32_t flags[] = {0,
                                     WindowFrame,
                                     WindowFrame,
                                     WindowFrame | WindowNoActivate,
                                     WindowFrame | WindowRelativeMouse,
                                     WindowFrame | WindowResizable,
                                     WindowFrame | WindowResizable};
    int index = Random(0, 11);
    WiWindow *window = &T.Windows[index];
    switch (Random(0, 15)) {
    case 0:
        if (!window->Added)
            NewWindow(index, Random(-100, 420), Random(-100, 320), Random(1, 160), Random(1, 120),
                      flags[Random(0, 6)]);
        break;
    case 1:
        if (Random(0, 2) == 0)
            WiDeskRemove(&T.Desk, window);
        break;
    case 2:
        if (window->Added)
            WiDeskMove(&T.Desk, window, Random(-200, 500), Random(-200, 400));
        break;
    case 3:
        if (window->Added)
            WiDeskActivate(&T.Desk, window);
        break;
    case 4:
        if (window->Added)
            WiDeskSetTitle(&T.Desk, window,
                           Random(0, 1) ? "\xE2\x80\x94 another title that is long" : "x");
        break;
    case 5:
        if (window->Added)
            WiDeskSetFlags(&T.Desk, window, flags[Random(0, 6)]);
        break;
    case 6:
        if (window->Added) { // a program draws and shows it
            Rect area = RandomRect(-20, 160);
            Rect inside = GfxIntersect(
                area, (Rect){0, 0, GfxWidth(window->Client), GfxHeight(window->Client)});
            for (int32_t y = inside.Top; y < inside.Bottom; y++)
                for (int32_t x = inside.Left; x < inside.Right; x++)
                    window->Pixels[(size_t)y * window->Stride + (size_t)x] =
                        (uint32_t)UnitRandom(&seed) & 0xFFFFFF;
            WiDeskInvalidate(&T.Desk, window, area);
        }
        break;
    case 7: {
        uint16_t key = keys[Random(0, RTL_COUNT_OF(keys) - 1)];
        Key(key, Random(0, 2) != 0);
        break;
    }
    case 8:
        WiDeskSetTime(&T.Desk, UnitRandom(&seed) >> 2);
        break;
    case 9:
        WiDeskInput(&T.Desk, &(WiInput){.Kind = WiInputAbsolute,
                                        .X = Random(-10, 65600),
                                        .Y = Random(-10, 65600),
                                        .Buttons = T.Desk.Buttons});
        break;
    case 10:
        WiDeskNotify(&T.Desk,
                     Random(0, 1) ? "/apps/x.exe could not be started: it is no program." : "");
        break;
    case 11:
        if (window->Added)
            WiDeskResize(&T.Desk, window, window->Pixels, 160, Random(1, 160), Random(1, 120));
        break;
    default:
        WiDeskInput(&T.Desk,
                    &(WiInput){.Time = (uint64_t)Random(0, 3) * 300'000'000,
                               .Kind = WiInputRelative,
                               .X = Random(-60, 60),
                               .Y = Random(-60, 60),
                               .Wheel = Random(0, 9) == 0 ? Random(-2, 2) : 0,
                               .Buttons = (uint32_t)(Random(0, 3) == 0 ? Random(0, 7)
                                                                       : (int32_t)T.Desk.Buttons)});
        break;
    }
}

static void Storm(uint64_t start, int steps, bool wallpaper)
{
    seed = start;
    NewDesk(wallpaper);
    for (int i = 0; i < steps && !UnitFailed; i++) {
        T.SeenCount = 0;
        RandomStep();
        if (Random(0, 2) != 0)
            ScreenEqualsSimplePicture();
    }
}

static void TestStorm(void)
{
    for (uint64_t i = 1; i <= 6; i++)
        Storm(i * 77, 400, i != 3);
}

static void TestManyWindows(void) // more pieces than the work list holds
{
    NewDesk(true);
    for (int i = 0; i < 12; i++)
        NewWindow(i, 10 + i * 20, 50 + i * 11, 150 - i, 110, WindowFrame);
    ScreenEqualsSimplePicture();
    for (int i = 0; i < 12; i++)
        WiDeskRemove(&T.Desk, &T.Windows[i]);
    ScreenEqualsSimplePicture();
    CHECK_EQUAL(T.Desk.WindowCount, 0);
    CHECK(T.Desk.Focus == nullptr);
}

static void TestSwappedOutput(void) // RGBX frame buffers
{
    NewDesk(true);
    T.Desk.SwapOutput = true;
    NewWindow(0, 50, 80, 100, 60, WindowFrame);
    WiDeskCompose(&T.Desk);
    GfxSurface expected = {T.Expected, ScreenWidth, T.Desk.Output.Bounds};
    WiDeskPaintAll(&T.Desk, &expected);
    for (int i = 0; i < ScreenWidth * ScreenHeight; i++) {
        uint32_t p = T.Expected[i];
        CHECK_EQUAL(T.Screen[i], (p & 255) << 16 | (p & 0xFF00) | p >> 16);
    }
}

static void TestIdle(void)
{
    NewDesk(true);
    NewWindow(0, 50, 80, 100, 60, WindowFrame);
    WiDeskCompose(&T.Desk);
    uint64_t before = T.Desk.Counters.Compositions;
    for (int i = 0; i < 100; i++) {
        WiDeskSetTime(&T.Desk, 1'700'000'000ull * 1'000'000'000 + (uint64_t)i * 100'000'000);
        Mouse(T.Desk.X, T.Desk.Y, 0);
        WiDeskCompose(&T.Desk);
    }
    CHECK_EQUAL(T.Desk.Counters.Compositions, before);
}

static void TestStraightCopy(void)
{
    NewDesk(true);
    WiWindow *window = NewWindow(0, 60, 60, 160, 120, WindowFrame);
    Mouse(399, 0, 0);
    WiDeskCompose(&T.Desk);
    WiCounters before = T.Desk.Counters;
    WiDeskInvalidate(&T.Desk, window, (Rect){-5, -5, 100000, 100000});
    WiDeskCompose(&T.Desk);
    CHECK_EQUAL(T.Desk.Counters.PixelsBlended - before.PixelsBlended,
                2 * WI_FRAME_RADIUS * WI_FRAME_RADIUS);
    CHECK_EQUAL(T.Desk.Counters.PixelsCopied - before.PixelsCopied,
                160 * 120 - 2 * WI_FRAME_RADIUS * WI_FRAME_RADIUS);
}

static void TestFocus(void)
{
    NewDesk(false);
    WiWindow *a = NewWindow(0, 20, 60, 100, 60, WindowFrame),
             *b = NewWindow(1, 200, 60, 100, 60, WindowFrame);
    CHECK(T.Desk.Focus == b);
    Key(KeyW, true);
    Key(KeyW, true);
    CHECK(LastSeen(MessageKeyDown)->Window == b &&
          LastSeen(MessageKeyDown)->Message.Key.Repeat == 1);
    T.SeenCount = 0;
    Mouse(50, 100, 0);
    Mouse(50, 100, MouseButtonLeft); // a click into the other window
    CHECK(T.Desk.Focus == a && T.Desk.Windows.Next == &a->Link);
    CHECK_EQUAL(T.Seen[1].Message.Type, MessageKeyUp); // after the move, what b held is released
    CHECK(T.Seen[1].Window == b && T.Seen[1].Message.Key.Code == KeyW);
    CHECK(T.Seen[2].Window == b && T.Seen[2].Message.Type == MessageBlur);
    CHECK(T.Seen[3].Window == a && T.Seen[3].Message.Type == MessageFocus);
    CHECK(T.Seen[4].Window == a && T.Seen[4].Message.Type == MessageMouseDown);
    CHECK_EQUAL(T.Seen[4].Message.Mouse.X, 30);
    CHECK_EQUAL(T.Seen[4].Message.Mouse.Y, 40);
    Key(KeyW, true); // the repeat of a key a never got
    Key(KeyW, false);
    CHECK(LastSeen(MessageKeyDown) == nullptr && LastSeen(MessageKeyUp)->Window == b);
    Mouse(390, 290, MouseButtonLeft); // dragged out of the window, it still hears
    CHECK(LastSeen(MessageMouseMove)->Window == a &&
          LastSeen(MessageMouseMove)->Message.Mouse.X == 370);
    Mouse(390, 290, 0);
    CHECK(LastSeen(MessageMouseUp)->Window == a);
    WiDeskRemove(&T.Desk, a);
    CHECK(T.Desk.Focus == b && LastSeen(MessageFocus)->Window == b);
}

static void TestDrag(void)
{
    static const int32_t corners[][2] = {{-9999, 0},     {0, -9999},   {9999, 0},    {0, 9999},
                                         {-9999, -9999}, {9999, 9999}, {-9999, 9999}};
    NewDesk(true);
    WiWindow *window = NewWindow(0, 100, 100, 120, 80, WindowFrame);
    for (size_t i = 0; i < RTL_COUNT_OF(corners); i++) {
        WiDeskMove(&T.Desk, window, 100, 100);
        Mouse(130, 80, 0);
        Mouse(130, 80, MouseButtonLeft);
        CHECK(T.Desk.Dragged == window);
        for (int step = 0; step < 5; step++) {
            Mouse(T.Desk.X + corners[i][0] / 5, T.Desk.Y + corners[i][1] / 5, MouseButtonLeft);
            ScreenEqualsSimplePicture();
        }
        Mouse(T.Desk.X, T.Desk.Y, 0);
        CHECK(T.Desk.Dragged == nullptr);
        Rect title = {window->Client.Left, window->Client.Top - WI_TITLE_HEIGHT,
                      window->Client.Right, window->Client.Top};
        Rect work = {0, 0, ScreenWidth, ScreenHeight - WI_PANEL_HEIGHT},
             seen = GfxIntersect(title, work);
        CHECK(GfxWidth(seen) >= 40 && GfxHeight(seen) >= 12); // enough to get it back
    }
}

// The program answers MessageResize with a picture of that size, or of the one it likes.
static void Answer(WiWindow *window, int32_t width, int32_t height)
{
    WiDeskResize(&T.Desk, window, window->Pixels, 160, width, height);
}

static void TestResize(void)
{
    static const struct {
        int32_t X, Y, DX, DY; // where the edge is taken, and how far it is dragged
        WiPointer Pointer;
        Rect After;
    } drags[] = {
        {223, 140, 20, 10, PointerHorizontal, {100, 100, 240, 180}},
        {97, 140, -10, 9, PointerHorizontal, {90, 100, 220, 180}},
        {160, 183, 7, 25, PointerVertical, {100, 100, 220, 205}},
        {160, 64, 0, -20, PointerVertical, {100, 80, 220, 180}},
        {223, 183, 20, 25, PointerDown, {100, 100, 240, 205}},
        {97, 64, -20, -16, PointerDown, {80, 84, 220, 180}},
        {97, 183, -20, 10, PointerUp, {80, 100, 220, 190}},
        {223, 140, -300, 0, PointerHorizontal, {100, 100, 220, 180}}, // not below its smallest
        {160, 64, 0, -9999, PointerVertical, {100, 60, 220, 180}},    // see below
    };
    for (size_t i = 0; i < RTL_COUNT_OF(drags); i++) {
        NewDesk(true);
        WiWindow *window = NewWindow(0, 100, 100, 120, 80, WindowFrame | WindowResizable);
        Mouse(drags[i].X, drags[i].Y, 0);
        CHECK_EQUAL(T.Desk.Pointer, drags[i].Pointer);
        ScreenEqualsSimplePicture();
        Mouse(drags[i].X, drags[i].Y, MouseButtonLeft);
        Mouse(drags[i].X + drags[i].DX, drags[i].Y + drags[i].DY, MouseButtonLeft);
        const Seen *seen = LastSeen(MessageResize);
        CHECK_EQUAL(GfxWidth(window->Client), 120); // the program has the say
        int32_t width = seen != nullptr ? (int32_t)seen->Message.Size.Width : 120,
                height = seen != nullptr ? (int32_t)seen->Message.Size.Height : 80;
        if (drags[i].DY == -9999) { // up to the screen's edge; the program stops at 120
            CHECK_EQUAL(height, 144);
            height = 120;
        }
        Answer(window, width, height);
        ScreenEqualsSimplePicture();
        Rect after = window->Client, expected = drags[i].After;
        CHECK(memcmp(&after, &expected, sizeof(after)) == 0);
        Mouse(T.Desk.X, T.Desk.Y, 0);
        CHECK(T.Desk.Dragged == nullptr);
        ScreenEqualsSimplePicture();
    }
    NewDesk(true); // one that cannot be resized has no edges
    NewWindow(0, 100, 100, 120, 80, WindowFrame);
    Mouse(223, 140, 0);
    CHECK_EQUAL(T.Desk.Pointer, PointerArrow);
}

static void TitlePress(int32_t x, int32_t y, uint64_t time)
{
    Mouse(x, y, 0);
    WiDeskInput(&T.Desk,
                &(WiInput){.Kind = WiInputRelative, .Buttons = MouseButtonLeft, .Time = time});
    WiDeskInput(&T.Desk, &(WiInput){.Kind = WiInputRelative, .Time = time});
}

static void TestLarge(void) // a double click on the title bar, and another
{
    constexpr uint64_t millisecond = 1'000'000;
    NewDesk(true);
    WiWindow *window = NewWindow(0, 100, 100, 120, 80, WindowFrame | WindowResizable);
    TitlePress(130, 80, 1000 * millisecond);
    TitlePress(130, 80, 1900 * millisecond); // too late
    CHECK(LastSeen(MessageResize) == nullptr);
    TitlePress(130, 80, 2100 * millisecond);
    const Seen *seen = LastSeen(MessageResize);
    CHECK(seen != nullptr && seen->Message.Size.Width == ScreenWidth &&
          seen->Message.Size.Height == ScreenHeight - WI_PANEL_HEIGHT - WI_TITLE_HEIGHT);
    Answer(window, 150, 110); // as large as it likes
    CHECK(window->Client.Left == 0 && window->Client.Top == WI_TITLE_HEIGHT);
    ScreenEqualsSimplePicture();
    TitlePress(60, 10, 3000 * millisecond);
    TitlePress(60, 10, 3100 * millisecond);
    seen = LastSeen(MessageResize);
    CHECK(seen->Message.Size.Width == 120 && seen->Message.Size.Height == 80);
    Answer(window, 120, 80);
    CHECK(window->Client.Left == 100 && window->Client.Top == 100);
    ScreenEqualsSimplePicture();
}

static void TestFarAway(void)
{
    NewDesk(true);
    WiWindow *window = NewWindow(0, 100, 100, 120, 80, WindowFrame);
    static const int32_t far[] = {INT32_MIN, INT32_MIN + 1, -70000,
                                  70000,     INT32_MAX - 1, INT32_MAX};
    for (size_t i = 0; i < RTL_COUNT_OF(far); i++)
        for (size_t j = 0; j < RTL_COUNT_OF(far); j++) {
            WiDeskMove(&T.Desk, window, far[i], far[j]);
            CHECK_EQUAL(GfxWidth(window->Client), 120);
            WiDeskInvalidate(&T.Desk, window, (Rect){INT32_MIN, INT32_MIN, INT32_MAX, INT32_MAX});
            ScreenEqualsSimplePicture();
        }
    Rect task = WiTaskRect(&T.Desk, window); // its button brings it back
    Mouse(task.Left + 2, task.Top + 2, 0);
    Mouse(task.Left + 2, task.Top + 2, MouseButtonLeft);
    Mouse(task.Left + 2, task.Top + 2, 0);
    CHECK(GfxOverlap(window->Client, T.Desk.Output.Bounds) ||
          GfxOverlap(WiOuterRect(window), T.Desk.Output.Bounds));
    ScreenEqualsSimplePicture();
}

static void TestClose(void)
{
    NewDesk(false);
    WiWindow *window = NewWindow(0, 100, 100, 120, 80, WindowFrame);
    Rect close = WiCloseRect(window);
    Mouse(close.Left + 5, close.Top + 5, 0);
    CHECK_EQUAL(T.Desk.Hover.Part, PartClose);
    ScreenEqualsSimplePicture();
    Mouse(close.Left + 5, close.Top + 5, MouseButtonLeft);
    ScreenEqualsSimplePicture();
    Mouse(10, 10, MouseButtonLeft); // released elsewhere: nothing
    Mouse(10, 10, 0);
    CHECK(LastSeen(MessageClose) == nullptr);
    Mouse(close.Left + 5, close.Top + 5, 0);
    Mouse(close.Left + 5, close.Top + 5, MouseButtonLeft);
    Mouse(close.Left + 5, close.Top + 5, 0);
    CHECK(LastSeen(MessageClose) != nullptr && LastSeen(MessageClose)->Window == window);
    T.SeenCount = 0;
    Key(KeyLeftAlt, true);
    Key(KeyF4, true);
    CHECK(LastSeen(MessageClose) != nullptr);
}

static void TestMenu(void)
{
    NewDesk(true);
    WiWindow *window = NewWindow(0, 100, 100, 120, 80, WindowFrame);
    Key(KeyLeftSuper, true);
    Key(KeyLeftSuper, false);
    CHECK(T.Desk.MenuOpen && T.Desk.Receiver == nullptr && T.MenusOpened == 1);
    CHECK(LastSeen(MessageBlur)->Window == window);
    ScreenEqualsSimplePicture();
    Key(KeyDown, true);
    Key(KeyDown, true);
    ScreenEqualsSimplePicture();
    Key(KeyEnter, true);
    CHECK_TEXT(T.Started, "fire");
    CHECK(!T.Desk.MenuOpen && T.Desk.Receiver == window);
    ScreenEqualsSimplePicture();
    Rect launcher = WiLauncherRect(&T.Desk);
    Mouse(launcher.Left + 4, launcher.Top + 4, 0);
    Mouse(launcher.Left + 4, launcher.Top + 4, MouseButtonLeft);
    Mouse(launcher.Left + 4, launcher.Top + 4, 0);
    CHECK(T.Desk.MenuOpen);
    Rect power = WiMenuItemRect(&T.Desk, 4);
    Mouse(power.Left + 4, power.Top + 4, 0);
    CHECK_EQUAL(T.Desk.MenuSelection, 4);
    ScreenEqualsSimplePicture();
    Mouse(power.Left + 4, power.Top + 4, MouseButtonLeft);
    Mouse(power.Left + 4, power.Top + 4, 0);
    CHECK_EQUAL(T.Powered, 1 + ShutdownPowerOff);
    Key(KeyLeftSuper, true);
    Key(KeyLeftSuper, false);
    Mouse(390, 5, 0);
    Mouse(390, 5, MouseButtonLeft); // a click beside it closes it
    CHECK(!T.Desk.MenuOpen);
}

static void TestManyPrograms(void)
{
    static WiProgram programs[WI_MAXIMUM_PROGRAMS];
    NewDesk(true);
    for (int i = 0; i < WI_MAXIMUM_PROGRAMS; i++)
        RtlFormat(programs[i].Name, sizeof(programs[i].Name), "Program %d", i);
    Key(KeyLeftSuper, true);
    WiDeskSetPrograms(&T.Desk, programs, WI_MAXIMUM_PROGRAMS);
    CHECK(GfxContains(T.Desk.Output.Bounds, WiMenuRect(&T.Desk)));
    for (int i = 0; i < WI_MAXIMUM_PROGRAMS + 4; i++) {
        Key(KeyDown, true);
        if (T.Desk.MenuSelection < WI_MAXIMUM_PROGRAMS)
            CHECK(!GfxIsEmpty(WiMenuItemRect(&T.Desk, T.Desk.MenuSelection)));
        if (i % 8 == 0)
            ScreenEqualsSimplePicture();
    }
    WiDeskSetPrograms(&T.Desk, programs, 0);
    ScreenEqualsSimplePicture();
}

static void TestSwitcher(void)
{
    NewDesk(true);
    WiWindow *a = NewWindow(0, 10, 60, 100, 60, WindowFrame),
             *b = NewWindow(1, 150, 60, 100, 60, WindowFrame);
    Key(KeyLeftAlt, true);
    Key(KeyTab, true);
    CHECK(T.Desk.SwitcherOpen && T.Desk.Receiver == nullptr);
    ScreenEqualsSimplePicture();
    Key(KeyTab, false);
    CHECK(T.Desk.Focus == b);
    Key(KeyLeftAlt, false);
    CHECK(T.Desk.Focus == a && !T.Desk.SwitcherOpen && T.Desk.Receiver == a);
    ScreenEqualsSimplePicture();
    Key(KeyLeftAlt, true); // twice around: back to the start
    for (int i = 0; i < 2; i++) {
        Key(KeyTab, true);
        Key(KeyTab, false);
    }
    Key(KeyLeftAlt, false);
    CHECK(T.Desk.Focus == a);
    Key(KeyLeftAlt, true);
    Key(KeyTab, true);
    WiDeskRemove(&T.Desk, b);
    WiDeskRemove(&T.Desk, a); // nothing left to switch to
    CHECK(!T.Desk.SwitcherOpen);
    ScreenEqualsSimplePicture();
}

static void TestRelativeMouse(void)
{
    NewDesk(true);
    WiWindow *game = NewWindow(0, 60, 60, 120, 80, WindowFrame | WindowRelativeMouse);
    ScreenEqualsSimplePicture();
    CHECK(!T.Desk.PointerShown);
    int32_t x = T.Desk.X, y = T.Desk.Y;
    WiDeskInput(&T.Desk, &(WiInput){.Kind = WiInputRelative, .X = 17, .Y = -5});
    CHECK(T.Desk.X == x && T.Desk.Y == y);
    CHECK(LastSeen(MessageMouseMove)->Message.Mouse.X == 17 &&
          LastSeen(MessageMouseMove)->Message.Mouse.Y == -5);
    Key(KeyLeftControl, true);
    Key(KeyLeftAlt, true);
    CHECK(T.Desk.PointerShown);
    Key(KeyLeftAlt, false);
    Key(KeyLeftControl, false);
    CHECK(T.Desk.PointerShown);
    ScreenEqualsSimplePicture();
    Mouse(100, 50, 0);
    Mouse(100, 50, MouseButtonLeft); // the title can be dragged
    Mouse(150, 70, MouseButtonLeft);
    Mouse(150, 70, 0);
    CHECK_EQUAL(game->Client.Left, 110);
    CHECK(T.Desk.PointerShown);
    Mouse(150, 120, 0);
    Mouse(150, 120, MouseButtonLeft); // a click into the game gives it the mouse again
    Mouse(150, 120, 0);
    CHECK(!T.Desk.PointerShown);
    ScreenEqualsSimplePicture();
    Key(KeyLeftSuper, true);
    CHECK(T.Desk.PointerShown && T.Desk.MenuOpen);
    ScreenEqualsSimplePicture();
}

// Each pixel can be pointed at, also where a device and its driver have rounded down before.
static void TestAbsolutePlaces(void)
{
    NewDesk(true);
    for (int32_t x = 0; x < ScreenWidth; x++) {
        int32_t device = x * 32767 / (ScreenWidth - 1), driver = device * 65535 / 32767;
        WiDeskInput(&T.Desk, &(WiInput){.Kind = WiInputAbsolute, .X = driver});
        CHECK_EQUAL(T.Desk.X, x);
    }
}

// Movements cost nothing while the display shows the pointer.
static void TestPointerOfTheDisplay(void)
{
    NewDesk(true);
    Mouse(100, 100, 0);
    ScreenEqualsSimplePicture();
    WiDeskSetPointerPainted(&T.Desk, false);
    ScreenEqualsSimplePicture();
    WiCounters before = T.Desk.Counters;
    Mouse(130, 120, 0);
    CHECK(T.Desk.PointerShown && T.Desk.X == 130 && T.Desk.Y == 120);
    ScreenEqualsSimplePicture();
    CHECK_EQUAL(T.Desk.Counters.Compositions, before.Compositions);
    WiDeskSetPointerPainted(&T.Desk, true);
    ScreenEqualsSimplePicture();
    CHECK_EQUAL(T.Desk.Counters.Compositions, before.Compositions + 1);
}

static void TestFullScreen(void)
{
    static uint32_t pixels[ScreenWidth * ScreenHeight];
    NewDesk(true);
    WiWindow *window = NewWindow(0, 10, 60, 100, 60, WindowFrame);
    static WiWindow full;
    full = (WiWindow){
        .Client = T.Desk.Output.Bounds, .Pixels = pixels, .Stride = ScreenWidth, .Title = "Full"};
    WiDeskAdd(&T.Desk, &full);
    CHECK(!WiPanelShown(&T.Desk));
    ScreenEqualsSimplePicture();
    WiDeskActivate(&T.Desk, window);
    CHECK(WiPanelShown(&T.Desk));
    ScreenEqualsSimplePicture();
    WiDeskActivate(&T.Desk, &full);
    ScreenEqualsSimplePicture();
    WiDeskRemove(&T.Desk, &full);
    ScreenEqualsSimplePicture();
}

static void TestPlacing(void)
{
    NewDesk(false);
    int32_t x, y;
    WiDeskPlace(&T.Desk, 120, 60, WindowFrame, &x, &y);
    WiWindow *a = NewWindow(0, x, y, 120, 60, WindowFrame);
    WiDeskPlace(&T.Desk, 120, 60, WindowFrame, &x, &y);
    CHECK(!GfxOverlap(WiOuterRect(a), (Rect){x, y - WI_TITLE_HEIGHT, x + 120, y + 60}));
    WiDeskPlace(&T.Desk, 16384, 16384, WindowFrame, &x, &y);
    CHECK(x >= 0 && y >= WI_TITLE_HEIGHT);
    WiDeskPlace(&T.Desk, ScreenWidth, ScreenHeight, 0, &x, &y);
    CHECK(x == 0 && y == 0);
}

static void TestClock(void)
{
    NewDesk(false);
    WiDeskSetTime(&T.Desk, 0);
    CHECK_TEXT(T.Desk.Clock, "00:00");
    CHECK_TEXT(T.Desk.Date, "Thu 1 Jan");
    WiDeskSetTime(&T.Desk, 1'709'208'000ull * 1'000'000'000); // 2024-02-29 12:00
    CHECK_TEXT(T.Desk.Date, "Thu 29 Feb");
    CHECK_TEXT(T.Desk.Clock, "12:00");
    WiDeskSetTime(&T.Desk, 1'735'689'599ull * 1'000'000'000); // 2024-12-31 23:59:59
    CHECK_TEXT(T.Desk.Date, "Tue 31 Dec");
    CHECK_TEXT(T.Desk.Clock, "23:59");
    for (uint64_t i = 0; i < 200000; i++)
        WiDeskSetTime(&T.Desk, i * 86'400ull * 1'000'000'000);
}

// The desktop goes to a larger display, which goes away, and back to the small one.
static void TestOutput(void)
{
    NewDesk(true);
    WiWindow *window = NewWindow(0, 50, 60, 100, 80, WindowFrame);
    (void)NewWindow(1, 200, 100, 100, 80, WindowFrame);
    Rect large = {0, 0, 2 * ScreenWidth, 2 * ScreenHeight};
    GfxSurface output = {T.Large, 2 * ScreenWidth, large},
               expected = {T.LargeExpected, 2 * ScreenWidth, large},
               small = {T.Screen, ScreenWidth, {0, 0, ScreenWidth, ScreenHeight}};
    WiDeskSetOutput(&T.Desk, &output, false);
    WiDeskMove(&T.Desk, window, 2 * ScreenWidth - 120, 2 * ScreenHeight - 200);
    Mouse(2 * ScreenWidth - 1, 2 * ScreenHeight - 1, 0);
    WiDeskCompose(&T.Desk);
    WiDeskPaintAll(&T.Desk, &expected);
    CHECK(memcmp(T.Large, T.LargeExpected, sizeof(T.Large)) == 0);

    GfxSurface unseen = {.Bounds = large};
    WiDeskSetOutput(&T.Desk, &unseen, false);
    WiDeskInvalidate(&T.Desk, window, (Rect){0, 0, 100, 100});
    WiDeskCompose(&T.Desk);
    CHECK_EQUAL(T.Desk.Damage.Count, 0);

    WiDeskSetOutput(&T.Desk, &small, false);
    CHECK(T.Desk.X < ScreenWidth && T.Desk.Y < ScreenHeight);
    CHECK(window->Client.Left < ScreenWidth && window->Client.Top < ScreenHeight);
    ScreenEqualsSimplePicture();
}

int main(void)
{
    static const UnitTest tests[] = {
        {"rectangles taken apart", TestSubtract},
        {"regions cover and stay disjoint", TestRegion},
        {"regions overflow to bounds", TestRegionOverflow},
        {"every drawing function clips", TestClipping},
        {"mixing is exact to one step", TestMix},
        {"fills and swapped copies", TestFillCopy},
        {"text is measured and cut", TestText},
        {"the wallpaper at any size", TestWallpaper},
        {"message queues join and drop", TestQueue},
        {"the US layout", TestKeys},
        {"random use equals the simple picture", TestStorm},
        {"more windows than the work list", TestManyWindows},
        {"frame buffers with red and blue exchanged", TestSwappedOutput},
        {"an idle desktop composes nothing", TestIdle},
        {"a topmost window is copied straight", TestStraightCopy},
        {"focus, held keys, mouse capture", TestFocus},
        {"dragging past every edge", TestDrag},
        {"dragging edges", TestResize},
        {"a double click makes a window large", TestLarge},
        {"windows far away", TestFarAway},
        {"the close button", TestClose},
        {"the launcher menu", TestMenu},
        {"a menu longer than the screen", TestManyPrograms},
        {"switching with Alt+Tab", TestSwitcher},
        {"games hold the mouse", TestRelativeMouse},
        {"absolute places", TestAbsolutePlaces},
        {"a pointer that the display shows", TestPointerOfTheDisplay},
        {"full-screen windows hide the panel", TestFullScreen},
        {"another display, of another size", TestOutput},
        {"placing new windows", TestPlacing},
        {"the clock and the date", TestClock},
    };
    return UnitRun(tests, RTL_COUNT_OF(tests));
}
