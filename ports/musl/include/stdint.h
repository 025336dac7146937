// Where musl takes 64-bit pointers to mean a 64-bit `long`: MetalOS is LLP64.
// SPDX-License-Identifier: MIT
#include_next <stdint.h>
#ifndef _METALOS_STDINT_H
#define _METALOS_STDINT_H
#undef INT64_C
#undef UINT64_C
#undef INTMAX_C
#undef UINTMAX_C
#define INT64_C(c)   c##LL
#define UINT64_C(c)  c##ULL
#define INTMAX_C(c)  c##LL
#define UINTMAX_C(c) c##ULL
#undef WCHAR_MIN
#undef WCHAR_MAX
#define WCHAR_MIN 0
#define WCHAR_MAX 0xffff
#endif
