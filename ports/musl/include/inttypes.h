// Where musl takes 64-bit pointers to mean a 64-bit `long`: MetalOS is LLP64.
// SPDX-License-Identifier: MIT
#include_next <inttypes.h>
#include <stdint.h>
#ifndef _METALOS_INTTYPES_H
#define _METALOS_INTTYPES_H
#undef __PRI64
#undef __PRIPTR
#define __PRI64  "ll"
#define __PRIPTR "ll"
#endif
