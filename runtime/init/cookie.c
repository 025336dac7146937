// Stack cookies: what -fstack-protector-strong refers to, per image.
// SPDX-License-Identifier: MIT
#include "init.h"

extern uint64_t __security_cookie;
uint64_t __security_cookie = 0x2B992DDFA23249D6ull; // replaced before the image's first C code

void __security_check_cookie(uint64_t cookie);

__attribute__((no_stack_protector)) void __security_check_cookie(uint64_t cookie)
{
    if (cookie != __security_cookie)
        RtReportStackSmash();
}
