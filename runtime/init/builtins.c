// builtins.c - arithmetic that the compiler calls instead of compiling: complex products and
// quotients with infinities (C23 annex G.5.1) and 128-bit division.
// SPDX-License-Identifier: MIT

typedef unsigned __int128 U128;
typedef __int128 S128;

double _Complex __muldc3(double a, double b, double c, double d);
float _Complex __mulsc3(float a, float b, float c, float d);
double _Complex __divdc3(double a, double b, double c, double d);
float _Complex __divsc3(float a, float b, float c, float d);

#define COPYSIGN(x, y)      _Generic((x), float: __builtin_copysignf, double: __builtin_copysign)(x, y)
#define IS_NAN(x)           ((x) != (x))
#define IS_INF(x)           (!IS_NAN(x) && IS_NAN((x) - (x)))
#define BOX(x)              COPYSIGN(IS_INF(x) ? (typeof(x))1 : (typeof(x))0, x)
#define UNNAN(x)            (IS_NAN(x) ? COPYSIGN((typeof(x))0, x) : (x))
#define COMPLEX(type, x, y) ((type _Complex){x, y})

#define MULTIPLY(name, type)                                                                       \
    type _Complex name(type a, type b, type c, type d)                                             \
    {                                                                                              \
        type ac = a * c, bd = b * d, ad = a * d, bc = b * c, x = ac - bd, y = ad + bc;             \
        if (!IS_NAN(x) || !IS_NAN(y))                                                              \
            return COMPLEX(type, x, y);                                                            \
        bool again = false;                                                                        \
        if (IS_INF(a) || IS_INF(b)) {                                                              \
            a = BOX(a), b = BOX(b), c = UNNAN(c), d = UNNAN(d);                                    \
            again = true;                                                                          \
        }                                                                                          \
        if (IS_INF(c) || IS_INF(d)) {                                                              \
            c = BOX(c), d = BOX(d), a = UNNAN(a), b = UNNAN(b);                                    \
            again = true;                                                                          \
        }                                                                                          \
        if (!again && (IS_INF(ac) || IS_INF(bd) || IS_INF(ad) || IS_INF(bc))) {                    \
            a = UNNAN(a), b = UNNAN(b), c = UNNAN(c), d = UNNAN(d);                                \
            again = true;                                                                          \
        }                                                                                          \
        type infinity = (type)__builtin_inf();                                                     \
        return again ? COMPLEX(type, infinity * (a * c - b * d), infinity * (a * d + b * c))       \
                     : COMPLEX(type, x, y);                                                        \
    }

MULTIPLY(__muldc3, double)
MULTIPLY(__mulsc3, float)

// Smith's method keeps the intermediate values in range.
#define DIVIDE(name, type)                                                                         \
    type _Complex name(type a, type b, type c, type d)                                             \
    {                                                                                              \
        type x, y, r, n, infinity = (type)__builtin_inf();                                         \
        if (__builtin_fabs(c) >= __builtin_fabs(d)) {                                              \
            r = d / c, n = c + d * r;                                                              \
            x = (a + b * r) / n, y = (b - a * r) / n;                                              \
        } else {                                                                                   \
            r = c / d, n = c * r + d;                                                              \
            x = (a * r + b) / n, y = (b * r - a) / n;                                              \
        }                                                                                          \
        if (!IS_NAN(x) || !IS_NAN(y))                                                              \
            return COMPLEX(type, x, y);                                                            \
        if (c == 0 && d == 0 && (!IS_NAN(a) || !IS_NAN(b)))                                        \
            return COMPLEX(type, COPYSIGN(infinity, c) * a, COPYSIGN(infinity, c) * b);            \
        if ((IS_INF(a) || IS_INF(b)) && !IS_INF(c) && !IS_INF(d) && !IS_NAN(c) && !IS_NAN(d)) {    \
            a = BOX(a), b = BOX(b);                                                                \
            return COMPLEX(type, infinity * (a * c + b * d), infinity * (b * c - a * d));          \
        }                                                                                          \
        if ((IS_INF(c) || IS_INF(d)) && !IS_INF(a) && !IS_INF(b) && !IS_NAN(a) && !IS_NAN(b)) {    \
            c = BOX(c), d = BOX(d);                                                                \
            return COMPLEX(type, (type)0 * (a * c + b * d), (type)0 * (b * c - a * d));            \
        }                                                                                          \
        return COMPLEX(type, x, y);                                                                \
    }

DIVIDE(__divdc3, double)
DIVIDE(__divsc3, float)

static U128 Divide(U128 n, U128 d, U128 *rest)
{
    U128 quotient = 0, r = 0;
    if (n < d) {
        *rest = n;
        return 0;
    }
    if ((n >> 64) == 0) {
        *rest = (unsigned long long)n % (unsigned long long)d;
        return (unsigned long long)n / (unsigned long long)d;
    }
    for (int bit = 127; bit >= 0; bit--) {
        bool carry = r >> 127;
        r = r << 1 | (n >> bit & 1);
        if (carry || r >= d) {
            r -= d;
            quotient |= (U128)1 << bit;
        }
    }
    *rest = r;
    return quotient;
}

// The Microsoft x64 convention returns a 128-bit integer in xmm0 and passes it by address; the
// compiler declares its helpers with vectors for that reason.
typedef unsigned long long V128 __attribute__((vector_size(16)));
static V128 Pack(U128 value)
{
    return (V128){(unsigned long long)value, (unsigned long long)(value >> 64)};
}

V128 __udivti3(U128 n, U128 d);
V128 __umodti3(U128 n, U128 d);
V128 __divti3(S128 n, S128 d);
V128 __modti3(S128 n, S128 d);

static U128 Magnitude(S128 value)
{
    return value < 0 ? -(U128)value : (U128)value;
}

V128 __udivti3(U128 n, U128 d)
{
    U128 rest;
    return Pack(Divide(n, d, &rest));
}

V128 __umodti3(U128 n, U128 d)
{
    U128 rest;
    Divide(n, d, &rest);
    return Pack(rest);
}

V128 __divti3(S128 n, S128 d)
{
    U128 rest, quotient = Divide(Magnitude(n), Magnitude(d), &rest);
    return Pack((n < 0) != (d < 0) ? -quotient : quotient);
}

V128 __modti3(S128 n, S128 d)
{
    U128 rest;
    Divide(Magnitude(n), Magnitude(d), &rest);
    return Pack(n < 0 ? -rest : rest);
}
