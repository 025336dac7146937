// The copy of dlmalloc we use takes its function names through this header: here they are the C
// library's own, without a prefix.
// SPDX-License-Identifier: MIT
#pragma once
#define UCM_MALLOC_PREFIX
#define UCS_PP_JOIN(a, b)       a##b
#define UCS_PP_TOKENPASTE(a, b) UCS_PP_JOIN(a, b)
