// ubsan.c - what code compiled with -fsanitize=undefined calls when it has done what C leaves
// undefined: the machine stops with the place and what happened.
//
// The compiler passes a description of the check, whose layouts are those of compiler-rt's
// ubsan_handlers.h: each begins with the place in the source, which is all that is read here. The
// operands follow in registers; they are the bugcheck's parameters.
//
// Only the test kernels are compiled that way (meson.build here).
// SPDX-License-Identifier: MIT
#include "ke.h"

typedef struct SourceLocation {
    const char *File;
    uint32_t Line, Column;
} SourceLocation;

static void Stop(const SourceLocation *where, const char *what, uint64_t left, uint64_t right)
{
    static char message[192]; // the machine stops; nobody else needs it
    RtlFormat(message, sizeof(message), "undefined behaviour: %s at %s:%u:%u", what,
              where->File != nullptr ? where->File : "?", where->Line, where->Column);
    KeBugCheckFrame(BugCheckUndefinedBehaviour, left, right, where->Line, 0, message, nullptr);
}

#define HANDLER(name, what)                                                                        \
    void __ubsan_handle_##name##_abort(const SourceLocation *where, uint64_t left,                 \
                                       uint64_t right);                                            \
    void __ubsan_handle_##name##_abort(const SourceLocation *where, uint64_t left, uint64_t right) \
    {                                                                                              \
        Stop(where, what, left, right);                                                            \
    }

HANDLER(add_overflow, "signed addition overflows")
HANDLER(sub_overflow, "signed subtraction overflows")
HANDLER(mul_overflow, "signed multiplication overflows")
HANDLER(negate_overflow, "negation overflows")
HANDLER(divrem_overflow, "division by zero or overflow")
HANDLER(shift_out_of_bounds, "shift by too much or of a negative value")
HANDLER(out_of_bounds, "index out of bounds")
HANDLER(vla_bound_not_positive, "array of no elements")
HANDLER(float_cast_overflow, "conversion out of range")
HANDLER(load_invalid_value, "value that its type does not have")
HANDLER(invalid_builtin, "argument that a builtin does not take")
HANDLER(nonnull_arg, "null argument where none may be")
HANDLER(pointer_overflow, "pointer arithmetic overflows")
HANDLER(type_mismatch_v1, "null, misaligned or too small object")
HANDLER(alignment_assumption, "misaligned where alignment was assumed")

// These have no other form, as they cannot be recovered from.
void __ubsan_handle_builtin_unreachable(const SourceLocation *where);
void __ubsan_handle_builtin_unreachable(const SourceLocation *where)
{
    Stop(where, "unreachable code was reached", 0, 0);
}

void __ubsan_handle_missing_return(const SourceLocation *where);
void __ubsan_handle_missing_return(const SourceLocation *where)
{
    Stop(where, "a function returned nothing", 0, 0);
}
