// bitmap.c - bitmaps over caller's memory.
// SPDX-License-Identifier: MIT
#include "rtl/rtl.h"

bool RtlTestBit(const RtlBitmap *map, size_t bit)
{
    return bit < map->Bits && (map->Words[bit / 64] >> bit % 64 & 1);
}

void RtlSetBits(RtlBitmap *map, size_t start, size_t count, bool value)
{
    if (start >= map->Bits)
        return;
    size_t end = count > map->Bits - start ? map->Bits : start + count;
    while (start < end) {
        size_t shift = start % 64, take = RTL_MIN(64 - shift, end - start);
        uint64_t mask = (take == 64 ? ~0ull : (1ull << take) - 1) << shift;
        if (value)
            map->Words[start / 64] |= mask;
        else
            map->Words[start / 64] &= ~mask;
        start += take;
    }
}

size_t RtlFindClearBits(const RtlBitmap *map, size_t start, size_t count)
{
    size_t run = 0;
    if (!count)
        return start <= map->Bits ? start : SIZE_MAX;
    for (size_t bit = start; bit < map->Bits;) {
        uint64_t word = map->Words[bit / 64] >> bit % 64;
        if (bit % 64 == 0 && word == ~0ull) { // a full word ends any run
            run = 0;
            bit += 64;
            continue;
        }
        run = word & 1 ? 0 : run + 1;
        bit++;
        if (run == count)
            return bit - count;
    }
    return SIZE_MAX;
}
