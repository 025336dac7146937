// icount.c - a QEMU plugin that counts executed instructions and notes the count at every mark of
// lib/rtl/mark.h:
//
//     -plugin libicount.so,output=FILE      one line a mark: number, instructions since power-on
//
// Every instruction adds one, so an interrupted block counts only what it executed; an iteration of
// a repeated string instruction counts as one. For a machine with one processor: the sum is not
// atomic.
// SPDX-License-Identifier: MIT
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <qemu-plugin.h>

#include "mark.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

// nopl disp32(%rax): 0F 1F /0 with mod 10, rm 000.
static const uint8_t MarkPrefix[] = {0x0F, 0x1F, 0x80};
enum { MarkLength = sizeof(MarkPrefix) + sizeof(uint32_t) };

static uint64_t Count;
static FILE *Output;

static void NoteMark(unsigned int processor, void *number)
{
    (void)processor;
    fprintf(Output, "%u %" PRIu64 "\n", (unsigned)(uintptr_t)number, Count);
    fflush(Output);
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

static void Translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
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
    if (argc != 1 || strncmp(argv[0], "output=", 7) != 0) {
        fprintf(stderr, "icount: wants output=FILE\n");
        return 1;
    }
    Output = fopen(argv[0] + 7, "w");
    if (Output == NULL) {
        perror(argv[0] + 7);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, Translate);
    return 0;
}
