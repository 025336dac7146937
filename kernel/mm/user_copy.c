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

#define WIDE_COPY 512u // bytes from which keeping registers is worth while

// Copies size bytes. 0, or 1 after a fault. rcx to, rdx from, r8 size.
uint64_t MiCopyUser(void *to, const void *from, uint64_t size);
// The same for a multiple of 256 bytes, not 0, by vector registers. r9: where to keep four of them.
uint64_t MiCopyUserWide(void *to, const void *from, uint64_t size, uint8_t registers[128]);
// Copies up to and including the first NUL, at most size bytes. Returns the bytes copied, or
// UINT64_MAX after a fault. rcx to, rdx from, r8 size > 0.
uint64_t MiCopyUserString(char *to, const char *from, uint64_t size);
// 0 and *value, or 1 after a fault. rcx value, rdx from.
uint64_t MiReadUser32(uint32_t *value, const uint32_t *from);
extern const char MiCopyUserBegin[], MiCopyUserEnd[], MiCopyUserResume[];
extern const char MiCopyWideBegin[], MiCopyWideEnd[], MiCopyWideResume[];
extern const char MiCopyStringBegin[], MiCopyStringEnd[], MiCopyStringResume[];
extern const char MiReadUserBegin[], MiReadUserEnd[], MiReadUserResume[];

// A word is a case of its own: every call returns some. Short copies go by words in a loop; long
// ones by rep movsq, which every processor does a cache line at a time.
__asm__(".intel_syntax noprefix\n"
        ".text\n"
        ".p2align 4\n"
        ".globl MiCopyUser\n"
        "MiCopyUser:\n"
        "    mov r9, rdi\n"
        "    mov r10, rsi\n"
        ".globl MiCopyUserBegin\n"
        "MiCopyUserBegin:\n"
        "    cmp r8, 8\n"
        "    jne 4f\n"
        "    mov rax, [rdx]\n"
        "    mov [rcx], rax\n"
        "    xor eax, eax\n"
        "    ret\n"
        "4:  mov rdi, rcx\n"
        "    mov rsi, rdx\n"
        "    mov rcx, r8\n"
        "    and r8d, 7\n"
        "    shr rcx, 3\n"
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
        ".globl MiCopyUserWide\n"
        "MiCopyUserWide:\n"
        "    vmovdqu [r9], ymm0\n"
        "    vmovdqu [r9 + 0x20], ymm1\n"
        "    vmovdqu [r9 + 0x40], ymm2\n"
        "    vmovdqu [r9 + 0x60], ymm3\n"
        "    add rcx, r8\n"
        "    add rdx, r8\n"
        "    neg r8\n"
        "    xor eax, eax\n"
        ".globl MiCopyWideBegin\n"
        "MiCopyWideBegin:\n"
        "1:  vmovdqu ymm0, [rdx + r8]\n"
        "    vmovdqu ymm1, [rdx + r8 + 0x20]\n"
        "    vmovdqu ymm2, [rdx + r8 + 0x40]\n"
        "    vmovdqu ymm3, [rdx + r8 + 0x60]\n"
        "    vmovdqu [rcx + r8], ymm0\n"
        "    vmovdqu [rcx + r8 + 0x20], ymm1\n"
        "    vmovdqu [rcx + r8 + 0x40], ymm2\n"
        "    vmovdqu [rcx + r8 + 0x60], ymm3\n"
        "    vmovdqu ymm0, [rdx + r8 + 0x80]\n"
        "    vmovdqu ymm1, [rdx + r8 + 0xA0]\n"
        "    vmovdqu ymm2, [rdx + r8 + 0xC0]\n"
        "    vmovdqu ymm3, [rdx + r8 + 0xE0]\n"
        "    vmovdqu [rcx + r8 + 0x80], ymm0\n"
        "    vmovdqu [rcx + r8 + 0xA0], ymm1\n"
        "    vmovdqu [rcx + r8 + 0xC0], ymm2\n"
        "    vmovdqu [rcx + r8 + 0xE0], ymm3\n"
        "    add r8, 0x100\n"
        "    jnz 1b\n"
        ".globl MiCopyWideEnd\n"
        "MiCopyWideEnd:\n"
        "2:  vmovdqu ymm0, [r9]\n"
        "    vmovdqu ymm1, [r9 + 0x20]\n"
        "    vmovdqu ymm2, [r9 + 0x40]\n"
        "    vmovdqu ymm3, [r9 + 0x60]\n"
        "    ret\n"
        ".globl MiCopyWideResume\n"
        "MiCopyWideResume:\n"
        "    mov eax, 1\n"
        "    jmp 2b\n"
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
    KeRegisterFaultRange((uint64_t)MiCopyWideBegin, (uint64_t)MiCopyWideEnd,
                         (uint64_t)MiCopyWideResume);
    KeRegisterFaultRange((uint64_t)MiCopyStringBegin, (uint64_t)MiCopyStringEnd,
                         (uint64_t)MiCopyStringResume);
    KeRegisterFaultRange((uint64_t)MiReadUserBegin, (uint64_t)MiReadUserEnd,
                         (uint64_t)MiReadUserResume);
}

Status MmCheckUserRange(UserPointer address, size_t size)
{
    constexpr uint64_t space = MM_USER_HIGHEST - MM_USER_LOWEST + 1; // bytes
    bool inside = size <= space && address - MM_USER_LOWEST <= space - size;
    return inside ? StatusSuccess : StatusInvalidAddress;
}

// The steps of 256 bytes; the caller copies the rest. Whether it faulted.
__attribute__((noinline)) static bool CopyWide(void *to, const void *from, size_t size)
{
    uint8_t registers[128];
    return MiCopyUserWide(to, from, size & ~(size_t)255, registers) != 0;
}

static Status Copy(void *to, const void *from, size_t size)
{
    KE_ASSERT(KeGetCurrentIrql() == PassiveLevel);
    HalAllowUserAccess();
    uint64_t failed = 0;
    size_t wide = 0;
    if (size >= WIDE_COPY && HalWideCopies && KeHasUserState(KeGetCurrentThread())) {
        wide = size & ~(size_t)255;
        failed = CopyWide(to, from, size);
    }
    if (!failed)
        failed = MiCopyUser((uint8_t *)to + wide, (const uint8_t *)from + wide, size - wide);
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
