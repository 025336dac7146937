// user_copy.c - the only code that dereferences user addresses.
//
// Each routine below is a few instructions between two labels that ke knows as a fault range: a
// page fault inside that nobody resolves continues at the routine's exit, which reports failure.
// The callers check the range first, so the routines see addresses of the user half only, and lift
// SMAP around them.
//
// The routines take their arguments in registers as the Microsoft x64 convention passes them, use
// no stack and so need no unwind data.
// SPDX-License-Identifier: MIT
#include "mi.h"

// Copies size bytes. 0, or 1 after a fault. rcx to, rdx from, r8 size.
uint64_t MiCopyUser(void *to, const void *from, uint64_t size);
// Copies up to and including the first NUL, at most size bytes. Returns the bytes copied, or
// UINT64_MAX after a fault. rcx to, rdx from, r8 size > 0.
uint64_t MiCopyUserString(char *to, const char *from, uint64_t size);
// 0 and *value, or 1 after a fault. rcx value, rdx from.
uint64_t MiReadUser32(uint32_t *value, const uint32_t *from);
extern const char MiCopyUserBegin[], MiCopyUserEnd[], MiCopyUserResume[];
extern const char MiCopyStringBegin[], MiCopyStringEnd[], MiCopyStringResume[];
extern const char MiReadUserBegin[], MiReadUserEnd[], MiReadUserResume[];

// Short copies go by words in a loop; long ones by rep movsq, which every processor does a cache
// line at a time.
__asm__(".intel_syntax noprefix\n"
        ".text\n"
        ".p2align 4\n"
        ".globl MiCopyUser\n"
        "MiCopyUser:\n"
        "    mov r9, rdi\n"
        "    mov r10, rsi\n"
        "    mov rdi, rcx\n"
        "    mov rsi, rdx\n"
        "    mov rcx, r8\n"
        "    and r8d, 7\n"
        "    shr rcx, 3\n"
        ".globl MiCopyUserBegin\n"
        "MiCopyUserBegin:\n"
        "    cmp rcx, 8\n"
        "    ja 2f\n"
        "    jrcxz 3f\n"
        "1:  mov rax, [rsi]\n"
        "    mov [rdi], rax\n"
        "    add rsi, 8\n"
        "    add rdi, 8\n"
        "    dec rcx\n"
        "    jnz 1b\n"
        "    jmp 3f\n"
        "2:  rep movsq\n"
        "3:  mov ecx, r8d\n"
        "    rep movsb\n"
        ".globl MiCopyUserEnd\n"
        "MiCopyUserEnd:\n"
        "    mov rdi, r9\n"
        "    mov rsi, r10\n"
        "    xor eax, eax\n"
        "    ret\n"
        ".globl MiCopyUserResume\n"
        "MiCopyUserResume:\n"
        "    mov rdi, r9\n"
        "    mov rsi, r10\n"
        "    mov eax, 1\n"
        "    ret\n"
        ".p2align 4\n"
        ".globl MiCopyUserString\n"
        "MiCopyUserString:\n"
        "    xor eax, eax\n"
        ".globl MiCopyStringBegin\n"
        "MiCopyStringBegin:\n"
        "1:  movzx r9d, byte ptr [rdx + rax]\n"
        "    mov [rcx + rax], r9b\n"
        "    inc rax\n"
        "    test r9d, r9d\n"
        "    jz 2f\n"
        "    cmp rax, r8\n"
        "    jb 1b\n"
        ".globl MiCopyStringEnd\n"
        "MiCopyStringEnd:\n"
        "2:  ret\n"
        ".globl MiCopyStringResume\n"
        "MiCopyStringResume:\n"
        "    mov rax, -1\n"
        "    ret\n"
        ".p2align 4\n"
        ".globl MiReadUser32\n"
        "MiReadUser32:\n"
        ".globl MiReadUserBegin\n"
        "MiReadUserBegin:\n"
        "    mov eax, [rdx]\n"
        ".globl MiReadUserEnd\n"
        "MiReadUserEnd:\n"
        "    mov [rcx], eax\n"
        "    xor eax, eax\n"
        "    ret\n"
        ".globl MiReadUserResume\n"
        "MiReadUserResume:\n"
        "    mov eax, 1\n"
        "    ret\n"
        ".att_syntax prefix\n");

void MiInitializeUserCopy(void)
{
    KeRegisterFaultRange((uint64_t)MiCopyUserBegin, (uint64_t)MiCopyUserEnd,
                         (uint64_t)MiCopyUserResume);
    KeRegisterFaultRange((uint64_t)MiCopyStringBegin, (uint64_t)MiCopyStringEnd,
                         (uint64_t)MiCopyStringResume);
    KeRegisterFaultRange((uint64_t)MiReadUserBegin, (uint64_t)MiReadUserEnd,
                         (uint64_t)MiReadUserResume);
}

Status MmCheckUserRange(UserPointer address, size_t size)
{
    bool inside = address >= MM_USER_LOWEST && address <= MM_USER_HIGHEST &&
                  size <= MM_USER_HIGHEST - address + 1;
    return inside ? StatusSuccess : StatusInvalidAddress;
}

static Status Copy(void *to, const void *from, size_t size)
{
    KE_ASSERT(KeGetCurrentIrql() == PassiveLevel);
    HalAllowUserAccess();
    uint64_t failed = MiCopyUser(to, from, size);
    HalForbidUserAccess();
    return failed ? StatusInvalidAddress : StatusSuccess;
}

Status MmCopyFromUser(void *to, UserPointer from, size_t size)
{
    if (size == 0)
        return StatusSuccess;
    Status status = MmCheckUserRange(from, size);
    return status == StatusSuccess ? Copy(to, (const void *)from, size) : status;
}

Status MmCopyToUser(UserPointer to, const void *from, size_t size)
{
    if (size == 0)
        return StatusSuccess;
    Status status = MmCheckUserRange(to, size);
    return status == StatusSuccess ? Copy((void *)to, from, size) : status;
}

Status MmCopyStringFromUser(char *to, size_t size, UserPointer from)
{
    if (size == 0)
        return StatusInvalidParameter;
    to[0] = 0;
    Status status = MmCheckUserRange(from, 1);
    if (status != StatusSuccess)
        return status;
    uint64_t room = MM_USER_HIGHEST - from + 1;
    uint64_t most = RTL_MIN(room, size);
    KE_ASSERT(KeGetCurrentIrql() == PassiveLevel);
    HalAllowUserAccess();
    uint64_t copied = MiCopyUserString(to, (const char *)from, most);
    HalForbidUserAccess();
    if (copied == UINT64_MAX || (copied == most && to[copied - 1] != 0)) {
        to[0] = 0;
        return copied == UINT64_MAX || most < size ? StatusInvalidAddress : StatusNameTooLong;
    }
    return StatusSuccess;
}

Status MmReadUserWord(UserPointer address, uint32_t *value)
{
    if (address % sizeof(uint32_t) != 0)
        return StatusInvalidParameter;
    Status status = MmCheckUserRange(address, sizeof(uint32_t));
    if (status != StatusSuccess)
        return status;
    HalAllowUserAccess();
    uint64_t failed = MiReadUser32(value, (const uint32_t *)address);
    HalForbidUserAccess();
    return failed ? StatusInvalidAddress : StatusSuccess;
}
