// icount.c - a QEMU plugin that counts executed instructions and notes the count at every mark of
// lib/rtl/mark.h:
//
//     -plugin libicount.so,output=FILE      one line a mark: number, instructions since power-on
//     ...,profile=FILE                      what was executed between MarkTraceBegin and the last
//                                           MarkTraceEnd: one line a block of code, its address and
//                                           its instructions
//
// Every instruction adds one, so an interrupted block counts only what it executed; an iteration of
// a repeated string instruction counts as one. For a machine with one processor: the sum is not
// atomic.
// SPDX-License-Identifier: MIT
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <qemu-plugin.h>

#include "mark.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

// nopl disp32(%rax): 0F 1F /0 with mod 10, rm 000.
static const uint8_t MarkPrefix[] = {0x0F, 0x1F, 0x80};
enum { MarkLength = sizeof(MarkPrefix) + sizeof(uint32_t) };

static uint64_t Count;
static FILE *Output, *Profile;

// A block of code as QEMU translated it; one that it forgets and translates again has several.
typedef struct Block {
    struct Block *Next;
    uint64_t Address, Executed; // instructions
} Block;
static Block *Blocks;

static void NoteProfile(unsigned number)
{
    if (number != MarkTraceBegin && number != MarkTraceEnd)
        return;
    rewind(Profile);
    for (Block *block = Blocks; block != NULL; block = block->Next) {
        if (number == MarkTraceBegin)
            block->Executed = 0;
        else if (block->Executed != 0)
            fprintf(Profile, "%" PRIx64 " %" PRIu64 "\n", block->Address, block->Executed);
    }
    fflush(Profile);
}

static void NoteMark(unsigned int processor, void *number)
{
    (void)processor;
    fprintf(Output, "%u %" PRIu64 "\n", (unsigned)(uintptr_t)number, Count);
    fflush(Output);
    if (Profile != NULL)
        NoteProfile((unsigned)(uintptr_t)number);
}

// The mark's number, or 0 for any other instruction.
static unsigned MarkOf(const struct qemu_plugin_insn *instruction)
{
    const uint8_t *bytes = qemu_plugin_insn_data(instruction);
    uint32_t displacement;
    if (qemu_plugin_insn_size(instruction) != MarkLength ||
        memcmp(bytes, MarkPrefix, sizeof(MarkPrefix)) != 0)
        return 0;
    memcpy(&displacement, bytes + sizeof(MarkPrefix), sizeof(displacement));
    return displacement - MarkBase <= UINT8_MAX ? displacement - MarkBase : 0;
}

static void CountBlock(struct qemu_plugin_tb *translated)
{
    Block *block = calloc(1, sizeof(*block));
    if (block == NULL)
        return;
    block->Address = qemu_plugin_tb_vaddr(translated);
    block->Next = Blocks;
    Blocks = block;
    qemu_plugin_register_vcpu_tb_exec_inline(translated, QEMU_PLUGIN_INLINE_ADD_U64,
                                             &block->Executed, qemu_plugin_tb_n_insns(translated));
}

static void Translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    if (Profile != NULL)
        CountBlock(block);
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        unsigned number = MarkOf(instruction);
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, &Count,
                                                   1);
        if (number != 0)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, NoteMark, QEMU_PLUGIN_CB_NO_REGS,
                                                   (void *)(uintptr_t)number);
    }
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
                                           char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        FILE **file = strncmp(argv[i], "output=", 7) == 0    ? &Output
                      : strncmp(argv[i], "profile=", 8) == 0 ? &Profile
                                                             : NULL;
        if (file == NULL || (*file = fopen(strchr(argv[i], '=') + 1, "w")) == NULL) {
            fprintf(stderr, "icount: %s: not an option, or not a file to write\n", argv[i]);
            return 1;
        }
    }
    if (Output == NULL) {
        fprintf(stderr, "icount: wants output=FILE\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, Translate);
    return 0;
}
