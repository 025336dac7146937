// kmemleak.h - utobject.c of this copy of ACPICA includes it for one annotation, which means
// nothing here.
// SPDX-License-Identifier: MIT
#pragma once
#define kmemleak_not_leak(pointer) ((void)(pointer))
