// Functions with __attribute__((constructor)) and ((destructor)). The compiler puts pointers to
// them into .CRT$XC? and .CRT$XT?, which the linker sorts between the bounds here.
// SPDX-License-Identifier: MIT
#include "init.h"

__attribute__((section(".CRT$XCA"))) InitFunction *const InitConstructors[1] = {nullptr};
__attribute__((section(".CRT$XCZ"))) InitFunction *const InitConstructorsEnd[1] = {nullptr};
__attribute__((section(".CRT$XTA"))) InitFunction *const InitDestructors[1] = {nullptr};
__attribute__((section(".CRT$XTZ"))) InitFunction *const InitDestructorsEnd[1] = {nullptr};
