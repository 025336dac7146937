// Floating-point environment: SSE does the arithmetic, the x87 unit is kept in step.
// SPDX-License-Identifier: MIT
#include <features.h>
#include <fenv.h>

#define MXCSR_MASK_SHIFT  7
#define MXCSR_ROUND_SHIFT 3
#define MXCSR_DEFAULT     0x1f80
#define X87_DEFAULT       0x037f

static unsigned GetMxcsr(void)
{
    return __builtin_ia32_stmxcsr();
}

static unsigned short GetX87Control(void)
{
    unsigned short word;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    return word;
}

static unsigned short GetX87Status(void)
{
    unsigned short word;
    __asm__ volatile("fnstsw %0" : "=am"(word));
    return word;
}

int fetestexcept(int mask)
{
    return (GetMxcsr() | GetX87Status()) & mask & FE_ALL_EXCEPT;
}

int feclearexcept(int mask)
{
    mask &= FE_ALL_EXCEPT;
    unsigned mxcsr = GetMxcsr(), status = GetX87Status() & FE_ALL_EXCEPT;
    if (status & mask) {
        // The x87 flags are cleared together; those to keep live on in MXCSR.
        __asm__ volatile("fnclex");
        mxcsr |= status;
    }
    __builtin_ia32_ldmxcsr(mxcsr & ~mask);
    return 0;
}

int feraiseexcept(int mask)
{
    __builtin_ia32_ldmxcsr(GetMxcsr() | (mask & FE_ALL_EXCEPT));
    return 0;
}

int fegetround(void)
{
    return GetMxcsr() >> MXCSR_ROUND_SHIFT & FE_TOWARDZERO;
}

hidden int __fesetround(int mode)
{
    unsigned short control = (GetX87Control() & ~FE_TOWARDZERO) | mode;
    __asm__ volatile("fldcw %0" : : "m"(control));
    __builtin_ia32_ldmxcsr((GetMxcsr() & ~(FE_TOWARDZERO << MXCSR_ROUND_SHIFT)) |
                           mode << MXCSR_ROUND_SHIFT);
    return 0;
}

int fegetenv(fenv_t *environment)
{
    environment->__control_word = GetX87Control();
    environment->__status_word = GetX87Status();
    environment->__mxcsr = GetMxcsr();
    return 0;
}

int fesetenv(const fenv_t *environment)
{
    fenv_t initial = {X87_DEFAULT, 0, MXCSR_DEFAULT};
    if (environment == FE_DFL_ENV)
        environment = &initial;
    __asm__ volatile("fnclex; fldcw %0" : : "m"(environment->__control_word));
    __builtin_ia32_ldmxcsr(environment->__mxcsr | (environment->__status_word & FE_ALL_EXCEPT));
    return 0;
}
