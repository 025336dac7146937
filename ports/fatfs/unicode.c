// unicode.c - the three character functions FatFs leaves to its port: code page 437 and upper case.
//
// Upper case is Unicode's simple mapping inside the Basic Multilingual Plane, kept as runs: Count
// characters from First on, Step apart, each with its capital Delta away. Sorted by First,
// disjoint.
// SPDX-License-Identifier: MIT
#include "ff.h"

typedef struct CaseRun {
    WORD First;
    BYTE Count, Step;
    int32_t Delta;
} CaseRun;

// clang-format off
static const CaseRun CaseRuns[] = {
    {0x00B5, 1, 1, 743}, {0x00E0, 23, 1, -32}, {0x00F8, 7, 1, -32}, {0x00FF, 1, 1, 121},
    {0x0101, 24, 2, -1}, {0x0131, 1, 1, -232}, {0x0133, 3, 2, -1}, {0x013A, 8, 2, -1},
    {0x014B, 23, 2, -1}, {0x017A, 3, 2, -1}, {0x017F, 1, 1, -300}, {0x0180, 1, 1, 195},
    {0x0183, 2, 2, -1}, {0x0188, 1, 1, -1}, {0x018C, 1, 1, -1}, {0x0192, 1, 1, -1},
    {0x0195, 1, 1, 97}, {0x0199, 1, 1, -1}, {0x019A, 1, 1, 163}, {0x019E, 1, 1, 130},
    {0x01A1, 3, 2, -1}, {0x01A8, 1, 1, -1}, {0x01AD, 1, 1, -1}, {0x01B0, 1, 1, -1},
    {0x01B4, 2, 2, -1}, {0x01B9, 1, 1, -1}, {0x01BD, 1, 1, -1}, {0x01BF, 1, 1, 56},
    {0x01C5, 1, 1, -1}, {0x01C6, 1, 1, -2}, {0x01C8, 1, 1, -1}, {0x01C9, 1, 1, -2},
    {0x01CB, 1, 1, -1}, {0x01CC, 1, 1, -2}, {0x01CE, 8, 2, -1}, {0x01DD, 1, 1, -79},
    {0x01DF, 9, 2, -1}, {0x01F2, 1, 1, -1}, {0x01F3, 1, 1, -2}, {0x01F5, 1, 1, -1},
    {0x01F9, 20, 2, -1}, {0x0223, 9, 2, -1}, {0x023C, 1, 1, -1}, {0x023F, 2, 1, 10815},
    {0x0242, 1, 1, -1}, {0x0247, 5, 2, -1}, {0x0250, 1, 1, 10783}, {0x0251, 1, 1, 10780},
    {0x0252, 1, 1, 10782}, {0x0253, 1, 1, -210}, {0x0254, 1, 1, -206}, {0x0256, 2, 1, -205},
    {0x0259, 1, 1, -202}, {0x025B, 1, 1, -203}, {0x025C, 1, 1, 42319}, {0x0260, 1, 1, -205},
    {0x0261, 1, 1, 42315}, {0x0263, 1, 1, -207}, {0x0265, 1, 1, 42280}, {0x0266, 1, 1, 42308},
    {0x0268, 1, 1, -209}, {0x0269, 1, 1, -211}, {0x026A, 1, 1, 42308}, {0x026B, 1, 1, 10743},
    {0x026C, 1, 1, 42305}, {0x026F, 1, 1, -211}, {0x0271, 1, 1, 10749}, {0x0272, 1, 1, -213},
    {0x0275, 1, 1, -214}, {0x027D, 1, 1, 10727}, {0x0280, 1, 1, -218}, {0x0282, 1, 1, 42307},
    {0x0283, 1, 1, -218}, {0x0287, 1, 1, 42282}, {0x0288, 1, 1, -218}, {0x0289, 1, 1, -69},
    {0x028A, 2, 1, -217}, {0x028C, 1, 1, -71}, {0x0292, 1, 1, -219}, {0x029D, 1, 1, 42261},
    {0x029E, 1, 1, 42258}, {0x0345, 1, 1, 84}, {0x0371, 2, 2, -1}, {0x0377, 1, 1, -1},
    {0x037B, 3, 1, 130}, {0x03AC, 1, 1, -38}, {0x03AD, 3, 1, -37}, {0x03B1, 17, 1, -32},
    {0x03C2, 1, 1, -31}, {0x03C3, 9, 1, -32}, {0x03CC, 1, 1, -64}, {0x03CD, 2, 1, -63},
    {0x03D0, 1, 1, -62}, {0x03D1, 1, 1, -57}, {0x03D5, 1, 1, -47}, {0x03D6, 1, 1, -54},
    {0x03D7, 1, 1, -8}, {0x03D9, 12, 2, -1}, {0x03F0, 1, 1, -86}, {0x03F1, 1, 1, -80},
    {0x03F2, 1, 1, 7}, {0x03F3, 1, 1, -116}, {0x03F5, 1, 1, -96}, {0x03F8, 1, 1, -1},
    {0x03FB, 1, 1, -1}, {0x0430, 32, 1, -32}, {0x0450, 16, 1, -80}, {0x0461, 17, 2, -1},
    {0x048B, 27, 2, -1}, {0x04C2, 7, 2, -1}, {0x04CF, 1, 1, -15}, {0x04D1, 48, 2, -1},
    {0x0561, 38, 1, -48}, {0x10D0, 43, 1, 3008}, {0x10FD, 3, 1, 3008}, {0x13F8, 6, 1, -8},
    {0x1C80, 1, 1, -6254}, {0x1C81, 1, 1, -6253}, {0x1C82, 1, 1, -6244}, {0x1C83, 2, 1, -6242},
    {0x1C85, 1, 1, -6243}, {0x1C86, 1, 1, -6236}, {0x1C87, 1, 1, -6181}, {0x1C88, 1, 1, 35266},
    {0x1D79, 1, 1, 35332}, {0x1D7D, 1, 1, 3814}, {0x1D8E, 1, 1, 35384}, {0x1E01, 75, 2, -1},
    {0x1E9B, 1, 1, -59}, {0x1EA1, 48, 2, -1}, {0x1F00, 8, 1, 8}, {0x1F10, 6, 1, 8},
    {0x1F20, 8, 1, 8}, {0x1F30, 8, 1, 8}, {0x1F40, 6, 1, 8}, {0x1F51, 4, 2, 8},
    {0x1F60, 8, 1, 8}, {0x1F70, 2, 1, 74}, {0x1F72, 4, 1, 86}, {0x1F76, 2, 1, 100},
    {0x1F78, 2, 1, 128}, {0x1F7A, 2, 1, 112}, {0x1F7C, 2, 1, 126}, {0x1FB0, 2, 1, 8},
    {0x1FBE, 1, 1, -7205}, {0x1FD0, 2, 1, 8}, {0x1FE0, 2, 1, 8}, {0x1FE5, 1, 1, 7},
    {0x214E, 1, 1, -28}, {0x2170, 16, 1, -16}, {0x2184, 1, 1, -1}, {0x24D0, 26, 1, -26},
    {0x2C30, 48, 1, -48}, {0x2C61, 1, 1, -1}, {0x2C65, 1, 1, -10795}, {0x2C66, 1, 1, -10792},
    {0x2C68, 3, 2, -1}, {0x2C73, 1, 1, -1}, {0x2C76, 1, 1, -1}, {0x2C81, 50, 2, -1},
    {0x2CEC, 2, 2, -1}, {0x2CF3, 1, 1, -1}, {0x2D00, 38, 1, -7264}, {0x2D27, 1, 1, -7264},
    {0x2D2D, 1, 1, -7264}, {0xA641, 23, 2, -1}, {0xA681, 14, 2, -1}, {0xA723, 7, 2, -1},
    {0xA733, 31, 2, -1}, {0xA77A, 2, 2, -1}, {0xA77F, 5, 2, -1}, {0xA78C, 1, 1, -1},
    {0xA791, 2, 2, -1}, {0xA794, 1, 1, 48}, {0xA797, 10, 2, -1}, {0xA7B5, 8, 2, -1},
    {0xA7C8, 2, 2, -1}, {0xA7D1, 1, 1, -1}, {0xA7D7, 2, 2, -1}, {0xA7F6, 1, 1, -1},
    {0xAB53, 1, 1, -928}, {0xAB70, 80, 1, -38864}, {0xFF41, 26, 1, -32},
};

static const WCHAR CodePage437[128] = { // characters 80h to FFh
    0x00C7, 0x00FC, 0x00E9, 0x00E2, 0x00E4, 0x00E0, 0x00E5, 0x00E7,
    0x00EA, 0x00EB, 0x00E8, 0x00EF, 0x00EE, 0x00EC, 0x00C4, 0x00C5,
    0x00C9, 0x00E6, 0x00C6, 0x00F4, 0x00F6, 0x00F2, 0x00FB, 0x00F9,
    0x00FF, 0x00D6, 0x00DC, 0x00A2, 0x00A3, 0x00A5, 0x20A7, 0x0192,
    0x00E1, 0x00ED, 0x00F3, 0x00FA, 0x00F1, 0x00D1, 0x00AA, 0x00BA,
    0x00BF, 0x2310, 0x00AC, 0x00BD, 0x00BC, 0x00A1, 0x00AB, 0x00BB,
    0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556,
    0x2555, 0x2563, 0x2551, 0x2557, 0x255D, 0x255C, 0x255B, 0x2510,
    0x2514, 0x2534, 0x252C, 0x251C, 0x2500, 0x253C, 0x255E, 0x255F,
    0x255A, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256C, 0x2567,
    0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256B,
    0x256A, 0x2518, 0x250C, 0x2588, 0x2584, 0x258C, 0x2590, 0x2580,
    0x03B1, 0x00DF, 0x0393, 0x03C0, 0x03A3, 0x03C3, 0x00B5, 0x03C4,
    0x03A6, 0x0398, 0x03A9, 0x03B4, 0x221E, 0x03C6, 0x03B5, 0x2229,
    0x2261, 0x00B1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00F7, 0x2248,
    0x00B0, 0x2219, 0x00B7, 0x221A, 0x207F, 0x00B2, 0x25A0, 0x00A0,
};
// clang-format on

DWORD ff_wtoupper(DWORD character)
{
    if (character < 0x80)
        return character >= 'a' && character <= 'z' ? character - ('a' - 'A') : character;
    UINT low = 0,
         high = sizeof(CaseRuns) / sizeof(CaseRuns[0]); // to the last run with First <= character
    while (low < high) {
        UINT middle = (low + high) / 2;
        if (CaseRuns[middle].First <= character)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return character;
    const CaseRun *run = &CaseRuns[low - 1];
    DWORD distance = character - run->First;
    if (distance % run->Step || distance / run->Step >= run->Count)
        return character;
    return character + (DWORD)run->Delta;
}

WCHAR ff_oem2uni(WCHAR character, WORD codePage)
{
    if (character < 0x80)
        return character;
    return character < 0x100 ? CodePage437[character - 0x80] : 0;
}

WCHAR ff_uni2oem(DWORD character, WORD codePage)
{
    if (character < 0x80)
        return (WCHAR)character;
    for (WCHAR i = 0; i < 128; i++) {
        if (CodePage437[i] == character)
            return (WCHAR)(i + 0x80);
    }
    return 0;
}
