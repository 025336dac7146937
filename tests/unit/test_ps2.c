// Tests of lib/input/scancode.c and kernel/drivers/ps2/decode.c: keys in both scan code sets, mouse
// packets, noise.
// SPDX-License-Identifier: MIT
#include "../../kernel/drivers/ps2/decode.h"
#include "MetalKeys.h"
#include "input/input.h"
#include "unit.h"

// Feeds hexadecimal bytes and writes the events as "+04 -04 ".
static const char *Keys(InputKeyDecoder *decoder, const char *bytes)
{
    static char text[256];
    char *end;
    size_t used = 0;
    text[0] = 0;
    for (; *bytes; bytes = end) {
        uint8_t byte = (uint8_t)strtoul(bytes, &end, 16);
        uint16_t key;
        bool pressed;
        if (InputDecodeKey(decoder, byte, &key, &pressed))
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%c%02X ",
                                     pressed ? '+' : '-', key);
        while (*end == ' ')
            end++;
    }
    return text;
}

static void Set1(void)
{
    InputKeyDecoder decoder = {};
    CHECK_TEXT(Keys(&decoder, "1E 9E"), "+04 -04 ");
    CHECK_TEXT(Keys(&decoder, "E0 48 E0 C8 48 C8"), "+52 -52 +60 -60 ");
    CHECK_TEXT(Keys(&decoder, "2A AA 36 B6"), "+E1 -E1 +E5 -E5 ");
    CHECK_TEXT(Keys(&decoder, "E0 2A E0 37 E0 B7 E0 AA"), "+46 -46 ");
    CHECK_TEXT(Keys(&decoder, "E1 1D 45 E1 9D C5 1D 9D"), "+48 -48 +E0 -E0 ");
    CHECK_TEXT(Keys(&decoder, "E0 FF 1E"), "+04 ");
    CHECK_TEXT(Keys(&decoder, "7F E0 01"), "");
}

static void Set2(void)
{
    InputKeyDecoder decoder = {.Set2 = true};
    CHECK_TEXT(Keys(&decoder, "1C F0 1C"), "+04 -04 ");
    CHECK_TEXT(Keys(&decoder, "E0 75 E0 F0 75 75 F0 75"), "+52 -52 +60 -60 ");
    CHECK_TEXT(Keys(&decoder, "E0 12 E0 7C E0 F0 7C E0 F0 12"), "+46 -46 ");
    CHECK_TEXT(Keys(&decoder, "E1 14 77 E1 F0 14 F0 77 14 F0 14"), "+48 -48 +E0 -E0 ");
    CHECK_TEXT(Keys(&decoder, "83 F0 83 84"), "+40 -40 +46 ");
    CHECK_TEXT(Keys(&decoder, "F0 00 1C"), "+04 ");
}

// Both sets know the same keys.
static void SetsAgree(void)
{
    bool known[2][256] = {};
    for (int set = 0; set < 2; set++) {
        for (int code = 1; code < (set ? 0xE0 : 0x80); code++) {
            for (int extended = 0; extended < 2; extended++) {
                InputKeyDecoder decoder = {.Set2 = set, .Extended = extended};
                uint16_t key;
                bool pressed;
                if (InputDecodeKey(&decoder, (uint8_t)code, &key, &pressed))
                    known[set][key] = true;
            }
        }
    }
    for (int key = 0; key < 256; key++)
        CHECK_EQUAL(known[0][key], known[1][key]);
    for (int key = KeyA; key <= KeyApplication; key++)
        CHECK(known[0][key] || key == 0x32 || key == KeyPause); // 32h: no such key on PS/2
    for (int key = KeyLeftControl; key <= KeyRightSuper; key++)
        CHECK(known[0][key]);
}

static Ps2MouseDecoder Mouse;
static uint64_t Time;

static const char *Packets(const char *bytes)
{
    static char text[256];
    char *end;
    size_t used = 0;
    text[0] = 0;
    for (; *bytes; bytes = end) {
        Ps2MouseEvent event;
        uint8_t byte = (uint8_t)strtoul(bytes, &end, 16);
        if (Ps2DecodeMouse(&Mouse, byte, Time += 1000000, &event))
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%d,%d,%d,%u ", event.X,
                                     event.Y, event.Wheel, event.Buttons);
        while (*end == ' ')
            end++;
    }
    return text;
}

static void MousePackets(void)
{
    Mouse = (Ps2MouseDecoder){};
    CHECK_TEXT(Packets("08 0A 05 09 00 00 38 FF FE"), "10,-5,0,0 0,0,0,1 -1,2,0,0 ");
    CHECK_TEXT(Packets("C8 FF FF 08 01 00"), "0,0,0,0 1,0,0,0 ");
    Mouse = (Ps2MouseDecoder){.Id = 3};
    CHECK_TEXT(Packets("0C 00 00 FF 08 00 00 01"), "0,0,1,4 0,0,-1,0 ");
    Mouse = (Ps2MouseDecoder){.Id = 4};
    CHECK_TEXT(Packets("08 00 00 1F 08 00 00 21 08 00 00 00"), "0,0,1,8 0,0,-1,16 0,0,0,0 ");
}

static void MouseResync(void)
{
    Mouse = (Ps2MouseDecoder){.Id = 3};
    CHECK_TEXT(Packets("00 01 08 01 02 00"), "1,-2,0,0 "); // what cannot begin a packet is skipped
    CHECK_TEXT(Packets("09 FF"), "");
    Time += 500000000; // a virtual machine stood still within a packet: a held button stays held
    CHECK_TEXT(Packets("02 00 09 FF 02 00"), "255,-2,0,1 255,-2,0,1 ");
    CHECK_TEXT(Packets("08 05"), "");
    Time += 2000000000; // the rest never came
    CHECK_TEXT(Packets("08 01 02 00"), "1,-2,0,0 ");
}

static void Noise(void)
{
    uint64_t seed = 7;
    InputKeyDecoder sets[2] = {{}, {.Set2 = true}};
    for (int i = 0; i < 1000000; i++) {
        uint64_t random = UnitRandom(&seed);
        uint16_t key;
        bool pressed;
        Ps2MouseEvent event;
        if (InputDecodeKey(&sets[i & 1], (uint8_t)(random >> 20), &key, &pressed) &&
            (key == KeyNone || key > KeyRightSuper)) {
            CHECK(key != KeyNone && key <= KeyRightSuper);
            return;
        }
        if (i % 5000 == 0)
            Mouse = (Ps2MouseDecoder){.Id = (uint8_t)(i / 5000 % 5)};
        if (Ps2DecodeMouse(&Mouse, (uint8_t)(random >> 30), Time += random >> 36, &event) &&
            (abs(event.X) > 256 || abs(event.Y) > 256 || abs(event.Wheel) > 128 ||
             event.Buttons > 31)) {
            CHECK(false);
            return;
        }
    }
}

int main(void)
{
    static const UnitTest tests[] = {
        {"scan code set 1", Set1},
        {"scan code set 2", Set2},
        {"both sets know the same keys", SetsAgree},
        {"mouse packets", MousePackets},
        {"mouse resync", MouseResync},
        {"noise", Noise},
    };
    return UnitRun(tests, sizeof(tests) / sizeof(tests[0]));
}
