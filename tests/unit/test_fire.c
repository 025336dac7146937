// test_fire.c - the fire burns, stays in its grid, leans with the wind and goes out.
// SPDX-License-Identifier: MIT
#include "../../apps/fire/fire.h"
#include "unit.h"

static Fire fire;
static uint32_t pixels[FireHeight * FireScale][FireWidth * FireScale + 3];

static uint64_t Warmth(size_t top, size_t bottom)
{
    uint64_t sum = 0;
    for (size_t y = top; y < bottom; y++)
        for (size_t x = 0; x < FireWidth; x++)
            sum += fire.Heat[y][x];
    return sum;
}

static void TestBurns(void)
{
    FireStart(&fire, 7);
    for (int i = 0; i < 300; i++) {
        fire.Wind = i % 9 - 4;
        FireStep(&fire);
        for (size_t c = 0; c < sizeof(fire.Heat); c++)
            CHECK((&fire.Heat[0][0])[c] <= FireHottest);
    }
    CHECK(Warmth(0, FireHeight / 4) < Warmth(FireHeight / 4 * 3, FireHeight));
    CHECK(Warmth(FireHeight / 2, FireHeight) > 0);
}

static void TestGoesOut(void)
{
    FireLight(&fire, 0);
    for (int i = 0; i < 600; i++)
        FireStep(&fire);
    CHECK_EQUAL(Warmth(0, FireHeight), 0);
    FireLight(&fire, 1);
    FireStep(&fire);
    CHECK(Warmth(0, FireHeight) > 0);
}

static void TestDraws(void)
{
    FireDraw(&fire, &pixels[0][0], FireWidth * FireScale + 3);
    for (size_t y = 0; y < FireHeight * FireScale; y++)
        for (size_t x = 0; x < FireWidth * FireScale + 3; x++)
            CHECK_EQUAL(pixels[y][x], x < FireWidth * FireScale
                                          ? fire.Palette[fire.Heat[y / FireScale][x / FireScale]]
                                          : 0);
    CHECK_EQUAL(fire.Palette[FireHottest], 0xFFFFFF);
}

int main(void)
{
    static const UnitTest tests[] = {
        {"it burns", TestBurns}, {"it goes out", TestGoesOut}, {"it is drawn", TestDraws}};
    return UnitRun(tests, sizeof(tests) / sizeof(tests[0]));
}
