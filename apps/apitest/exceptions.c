// exceptions.c - structured exceptions: faults and raised ones, filters, __finally, nesting,
// unwinds that collide, vectored handlers, continuing, and what ends a program.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <stdio.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

static volatile int trace[32];
static volatile int traced;

static void Note(int what)
{
    if (traced < (int)COUNT_OF(trace))
        trace[traced++] = what;
}

static bool Traced(int count, const int *expected)
{
    bool same = traced == count;
    for (int i = 0; same && i < count; i++)
        same = trace[i] == expected[i];
    traced = 0;
    return same;
}
#define TRACED(...) CHECK(Traced((int)COUNT_OF(((int[]){__VA_ARGS__})), (const int[]){__VA_ARGS__}))

static int *volatile nowhere;
static volatile int zero;

static NOINLINE void Write(volatile int *where)
{
    *where = 1;
}

static NOINLINE uint32_t CodeOf(void (*fail)(void))
{
    uint32_t code = 0;
    __try {
        fail();
    } __except (ExceptionExecuteHandler) {
        code = GetExceptionCode();
    }
    return code;
}

static void FailNull(void)
{
    Write(nowhere);
}
static void FailDivision(void)
{
    trace[0] = 1000 / zero;
}
static void FailInstruction(void)
{
    __asm__ volatile("ud2");
}
static void FailPrivileged(void)
{
    __asm__ volatile("hlt");
}
static void FailNonCanonical(void)
{
    Write(NON_CANONICAL_ADDRESS);
}
static void FailCall(void)
{
    ((void (*)(void))LOW_ADDRESS)();
}
static void FailBreakpoint(void)
{
    __asm__ volatile("int3");
}
static void FailCode(void)
{
    union {
        uint32_t (*function)(void (*)(void));
        volatile int *bytes;
    } code = {CodeOf};
    Write(code.bytes);
}
static void FailKernel(void)
{
    Write(KERNEL_ADDRESS);
}

static void Codes(void)
{
    EQUAL(CodeOf(FailNull), ExceptionAccessViolation);
    EQUAL(CodeOf(FailDivision), ExceptionIntegerDivideByZero);
    EQUAL(CodeOf(FailInstruction), ExceptionIllegalInstruction);
    EQUAL(CodeOf(FailPrivileged), ExceptionAccessViolation);
    EQUAL(CodeOf(FailNonCanonical), ExceptionAccessViolation);
    EQUAL(CodeOf(FailCall), ExceptionAccessViolation);
    EQUAL(CodeOf(FailBreakpoint), ExceptionBreakpoint);
    EQUAL(CodeOf(FailCode), ExceptionAccessViolation);
    EQUAL(CodeOf(FailKernel), ExceptionAccessViolation);
}

static int32_t Inspect(ExceptionPointers *exception, uint64_t address)
{
    const ExceptionRecord *record = exception->Record;
    EQUAL(record->Flags, 0);
    EQUAL(record->ParameterCount, 2);
    EQUAL(record->Parameters[0], 1);
    EQUAL(record->Parameters[1], address);
    EQUAL(exception->Context->Rip, (uint64_t)record->Address);
    return ExceptionExecuteHandler;
}

static void Parameters(void)
{
    __try {
        Write((int *)0x1230);
        CHECK(false);
    } __except (Inspect(GetExceptionInformation(), 0x1230)) {
        Note(1);
    }
    TRACED(1);
    uint64_t values[3] = {7, 8, 9}, sum = 0;
    __try {
        RaiseException(0xE0001234, 0, 3, values);
        CHECK(false);
    } __except (sum = GetExceptionInformation()->Record->Parameters[2], ExceptionExecuteHandler) {
        EQUAL(GetExceptionCode(), 0xE0001234);
    }
    EQUAL(sum, 9);
}

// ---- order
static NOINLINE void Finallies(void)
{
    __try {
        __try {
            RaiseException(0xE0000001, 0, 0, nullptr);
        } __finally {
            Note(AbnormalTermination() ? 2 : 99);
        }
    } __finally {
        Note(3);
    }
}

static int32_t NoteFilter(int what, int32_t answer)
{
    Note(what);
    return answer;
}

static void Order(void)
{
    __try {
        __try {
            Finallies();
        } __except (NoteFilter(0, ExceptionContinueSearch)) {
            Note(98);
        }
    } __except (NoteFilter(1, ExceptionExecuteHandler)) {
        Note(4);
    }
    TRACED(0, 1, 2, 3, 4);
    __try {
        Note(1);
    } __finally {
        Note(AbnormalTermination() ? 99 : 2);
    }
    TRACED(1, 2);
}

static NOINLINE int Deep(int depth)
{
    int result = 0;
    __try {
        result = depth == 0 ? *nowhere : Deep(depth - 1) + 1;
    } __finally {
        traced++;
    }
    return result;
}

static void Depth(void)
{
    traced = 0;
    __try {
        Deep(200);
        CHECK(false);
    } __except (ExceptionExecuteHandler) {
        EQUAL(traced, 201);
    }
    traced = 0;
}

// ---- saved registers
static NOINLINE double UseVectors(double a, double b, double c)
{
    double x = a * b, y = b * c, z = a * c;
    __try {
        Finallies();
    } __except (ExceptionExecuteHandler) {
        Note(5);
    }
    return x + y * 10 + z * 100;
}

static NOINLINE void Clobber(void)
{
    __asm__ volatile("xorps %%xmm6, %%xmm6\n\txorps %%xmm7, %%xmm7\n\txorps %%xmm8, %%xmm8\n\t"
                     "xorps %%xmm15, %%xmm15\n\txorl %%ebx, %%ebx\n\txorl %%r12d, %%r12d\n\t"
                     "xorl %%esi, %%esi\n\txorl %%edi, %%edi\n\txorl %%r15d, %%r15d"
                     :
                     :
                     : "xmm6", "xmm7", "xmm8", "xmm15", "rbx", "r12", "rsi", "rdi", "r15");
    Write(nowhere);
}

static NOINLINE bool Catch(void)
{
    bool caught = false;
    __try {
        Clobber();
    } __except (ExceptionExecuteHandler) {
        caught = true;
    }
    return caught;
}

static void Registers(void)
{
    CHECK(UseVectors(2, 3, 4) == 6 + 120 + 800);
    TRACED(2, 3, 5);
    register double a __asm__("xmm6") = 1.5;
    register double b __asm__("xmm15") = 2.5;
    register uint64_t c __asm__("rbx") = 3;
    register uint64_t d __asm__("r12") = 4;
    __asm__ volatile("" : "+x"(a), "+x"(b), "+r"(c), "+r"(d));
    bool caught = Catch();
    __asm__ volatile("" : "+x"(a), "+x"(b), "+r"(c), "+r"(d));
    CHECK(caught && a == 1.5 && b == 2.5 && c == 3 && d == 4);
}

// ---- nested and collided
static int32_t FailingFilter(void)
{
    __try {
        Write(nowhere);
    } __except (ExceptionExecuteHandler) {
        Note(1);
    }
    return ExceptionExecuteHandler;
}

static NOINLINE void RaiseInFinally(void)
{
    __try {
        __try {
            RaiseException(0xE0000001, 0, 0, nullptr);
        } __finally {
            Note(1);
            RaiseException(0xE0000002, 0, 0, nullptr);
        }
    } __finally {
        Note(2);
    }
}

static void Nesting(void)
{
    __try {
        RaiseException(0xE0000001, 0, 0, nullptr);
    } __except (FailingFilter()) {
        Note(2);
    }
    TRACED(1, 2);
    // The second exception replaces the first; no __finally runs twice.
    __try {
        __try {
            RaiseInFinally();
        } __finally {
            Note(3);
        }
    } __except (ExceptionExecuteHandler) {
        EQUAL(GetExceptionCode(), 0xE0000002);
        Note(4);
    }
    TRACED(1, 2, 3, 4);
    // An exception in an __except block is an ordinary one.
    __try {
        __try {
            Write(nowhere);
        } __except (ExceptionExecuteHandler) {
            Note(1);
            FailDivision();
        }
    } __except (ExceptionExecuteHandler) {
        EQUAL(GetExceptionCode(), ExceptionIntegerDivideByZero);
    }
    TRACED(1);
}

// ---- continuing
static int32_t MendAndContinue(ExceptionPointers *exception, void *page)
{
    Note((int)exception->Record->Parameters[0]);
    OK(VirtualProtect(page, 4096, MemoryReadWrite));
    return ExceptionContinueExecution;
}

static int32_t Skip(ExceptionPointers *exception)
{
    exception->Context->Rip += 2; // the ud2
    exception->Context->Rax = 77;
    exception->Context->Xmm[3].Low = 0x4008000000000000; // 3.0
    return ExceptionContinueExecution;
}

static void Continuing(void)
{
    void *page = nullptr;
    NEEDED(VirtualAlloc(&page, 4096, MemoryRead));
    __try {
        Write(page);
        Note(5);
    } __except (MendAndContinue(GetExceptionInformation(), page)) {
        CHECK(false);
    }
    TRACED(1, 5);
    EQUAL(*(int *)page, 1);
    OK(VirtualFree(page));
    uint64_t rax = 1;
    double kept = 1.25, changed = 0;
    void *handler = AddVectoredExceptionHandler(true, Skip);
    CHECK(handler != nullptr);
    __asm__ volatile("movsd %1, %%xmm9\n\tud2\n\tmovsd %%xmm9, %1\n\tmovsd %%xmm3, %2"
                     : "+a"(rax), "+m"(kept), "=m"(changed)
                     :
                     : "xmm3", "xmm9");
    EQUAL(rax, 77);
    CHECK(kept == 1.25 && changed == 3.0);
    OK(RemoveVectoredExceptionHandler(handler));
    STATUS(RemoveVectoredExceptionHandler(handler), StatusNotFound);
}

// The upper halves of ymm registers survive an exception that continues.
static void WideRegisters(void)
{
    uint32_t a = 1, b, c = 0, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c & 1u << 28)) // AVX
        return;
    uint64_t in[4] = {1, 2, 3, 4}, out[4] = {};
    uint64_t rax = 0;
    void *handler = AddVectoredExceptionHandler(false, Skip);
    __asm__ volatile("vmovups %1, %%ymm9\n\tud2\n\tvmovups %%ymm9, %2\n\tvzeroupper"
                     : "+a"(rax)
                     : "m"(in), "m"(out)
                     : "xmm3", "xmm9", "memory");
    CHECK(memcmp(in, out, sizeof in) == 0);
    OK(RemoveVectoredExceptionHandler(handler));
}

static int32_t First(ExceptionPointers *exception)
{
    Note(1);
    return ExceptionContinueSearch;
}
static int32_t Second(ExceptionPointers *exception)
{
    Note(2);
    return ExceptionContinueSearch;
}
static void *removing;
static int32_t RemoveItself(ExceptionPointers *exception)
{
    Note(3);
    OK(RemoveVectoredExceptionHandler(removing));
    return ExceptionContinueSearch;
}

static void Vectored(void)
{
    void *second = AddVectoredExceptionHandler(false, Second);
    void *first = AddVectoredExceptionHandler(true, First);
    removing = AddVectoredExceptionHandler(false, RemoveItself);
    CHECK(AddVectoredExceptionHandler(true, nullptr) == nullptr);
    EQUAL(CodeOf(FailNull), ExceptionAccessViolation);
    TRACED(1, 2, 3);
    EQUAL(CodeOf(FailNull), ExceptionAccessViolation);
    TRACED(1, 2);
    OK(RemoveVectoredExceptionHandler(first));
    OK(RemoveVectoredExceptionHandler(second));
    EQUAL(CodeOf(FailNull), ExceptionAccessViolation);
    EQUAL(traced, 0);
}

static int32_t ContinueOnlyMine(uint32_t code)
{
    return code == 0xE0000003 ? ExceptionContinueExecution : ExceptionContinueSearch;
}

static void ContinuingRaised(void)
{
    __try {
        RaiseException(0xE0000003, 0, 0, nullptr);
        Note(1);
    } __except (ContinueOnlyMine(GetExceptionCode())) {
        CHECK(false);
    }
    TRACED(1);
    uint32_t code = 0;
    __try {
        __try {
            RaiseException(0xE0000003, ExceptionFlagNoncontinuable, 0, nullptr);
        } __except (ContinueOnlyMine(GetExceptionCode())) {
            CHECK(false);
        }
    } __except (ExceptionExecuteHandler) {
        code = GetExceptionCode();
    }
    EQUAL(code, ExceptionNoncontinuable);
}

// ---- threads, and the end of a program
static uint32_t CatchInThread(void *argument)
{
    uint32_t caught = 0;
    for (int i = 0; i < 200; i++)
        caught += CodeOf(i % 2 ? FailNull : FailDivision) != 0;
    return caught;
}

static void InThreads(void)
{
    Handle threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        NEEDED(CreateThread(CatchInThread, nullptr, 0, &threads[i]));
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        uint32_t code = 0;
        OK(WaitForSingleObject(threads[i], 20000));
        OK(GetThreadExitCode(threads[i], &code));
        EQUAL(code, 200);
        OK(CloseHandle(threads[i]));
    }
}

static int32_t EndQuietly(ExceptionPointers *exception)
{
    return ExceptionExecuteHandler;
}

int ExceptionChild(const char *what)
{
    if (strcmp(what, "filter") == 0) {
        CHECK(SetUnhandledExceptionFilter(EndQuietly) == nullptr);
        CHECK(SetUnhandledExceptionFilter(EndQuietly) == EndQuietly);
    }
    if (strcmp(what, "stack") == 0)
        __asm__ volatile("movq $8, %%rsp\n\tpushq $1\n\tpushq $2" : : : "memory");
    if (strcmp(what, "raise") == 0)
        RaiseException(0xE0004321, 0, 0, nullptr);
    if (strcmp(what, "fastfail") == 0)
        __asm__ volatile("movl $3, %%ecx\n\tint $0x29" : : : "ecx");
    FailNull();
    return 0;
}

static void Ends(void)
{
    char said[2048];
    Handle reader, writer, process;
    static const struct {
        const char *Words, *Says;
        uint32_t Code;
    } ends[] = {
        {"exception null", "access violation writing 0x0", ExceptionAccessViolation},
        {"exception raise", "exception 0xE0004321", 0xE0004321},
        {"exception filter", nullptr, ExceptionAccessViolation},
        {"exception stack", nullptr, ExceptionAccessViolation},
        {"exception fastfail", nullptr, ExceptionFastFail},
    };
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        size_t size = 0, part = 0;
        NEEDED(CreatePipe(&reader, &writer));
        NEEDED(StartChild(ends[i].Words, InvalidHandle, InvalidHandle, writer, &process));
        OK(CloseHandle(writer));
        while (size < sizeof said - 1 &&
               ReadFile(reader, said + size, sizeof said - 1 - size, &part) == StatusSuccess &&
               part > 0)
            size += part;
        said[size] = 0;
        OK(CloseHandle(reader));
        EQUAL((uint32_t)EndChild(process), ends[i].Code);
        if (!ends[i].Says)
            EQUAL(size, 0);
        else if (!CHECK(strstr(said, ends[i].Says) && strstr(said, "apitest!ExceptionChild+") &&
                        strstr(said, "exceptions.c:") && strstr(said, "mosrt!RtStartProcess")))
            printf("%s\n", said);
    }
}

void TestExceptions(void)
{
    Codes();
    Parameters();
    Order();
    Depth();
    Registers();
    Nesting();
    Continuing();
    WideRegisters();
    Vectored();
    ContinuingRaised();
    InThreads();
    Ends();
}
