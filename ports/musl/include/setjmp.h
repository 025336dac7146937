// The compiler must know that setjmp returns twice, whatever compiler it claims to be.
// SPDX-License-Identifier: MIT
#include_next <setjmp.h>
#ifndef _METALOS_SETJMP_H
#define _METALOS_SETJMP_H
int setjmp(jmp_buf) __attribute__((__returns_twice__));
int _setjmp(jmp_buf) __attribute__((__returns_twice__));
// There are no signal masks to save, and a function that calls setjmp cannot return to its caller.
#define sigsetjmp(buffer, save) setjmp(buffer)
#endif
