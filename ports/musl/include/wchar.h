// wchar_t has 16 bits here.
// SPDX-License-Identifier: MIT
#include_next <wchar.h>
#undef WCHAR_MIN
#undef WCHAR_MAX
#define WCHAR_MIN 0
#define WCHAR_MAX 0xffff
