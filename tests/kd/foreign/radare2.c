// radare2.c - attaches radare2's KD client, which is not ours, to a machine: lists processes and
// modules, reads memory and registers, sets a breakpoint, goes, comes to it, steps, goes on.
//
//     radare2 SOCKET RVA BASE     RVA: of a kernel function that will be called; BASE: the kernel's
// SPDX-License-Identifier: MIT
#include "shim.h"

#include "kd.h"
#include "transport.h"
#include "winkd.h"

#define CHECK(expression)                                                                          \
    ((expression) ? (void)0 : (printf("FAILED in line %d: %s\n", __LINE__, #expression), exit(1)))

io_backend_t iob_net; // the other transport, by network

static ut64 WaitForStop(WindCtx *ctx, uint32_t code)
{
    for (;;) {
        kd_packet_t *packet = NULL;
        CHECK(winkd_wait_packet(ctx, KD_PACKET_TYPE_STATE_CHANGE64, &packet) == KD_E_OK);
        const kd_stc_64 *stop = (const kd_stc_64 *)packet->data;
        winkd_set_cpu(ctx, stop->cpu);
        if (stop->state == DbgKdExceptionStateChange) {
            CHECK(stop->exception.code == code);
            return stop->pc;
        }
        winkd_continue(ctx); // an image came or went
    }
}

static ut64 ReadRip(WindCtx *ctx)
{
    static ut8 context[4096];
    CHECK(winkd_read_reg(ctx, context, sizeof context) > 0xF8 + 8);
    return r_read_le64(context + 0xF8);
}

static void ListProcesses(WindCtx *ctx)
{
    RListIter *iter;
    WindProc *process;
    RList *list = winkd_list_process(ctx);
    CHECK(list != NULL);
    r_list_foreach(list, iter, process) printf("process %u %s\n", process->uniqueid, process->name);
    r_list_foreach(list, iter,
                   process) if (process->peb && winkd_set_target(ctx, process->uniqueid)) break;
}

static void ListModules(WindCtx *ctx)
{
    RListIter *iter;
    WindModule *module;
    RList *list = winkd_list_modules(ctx);
    CHECK(list != NULL);
    r_list_foreach(list, iter, module)
        printf("module %" PRIx64 " %" PRIx64 " %s\n", module->addr, module->size, module->name);
}

int main(int argc, char **argv)
{
    ut8 bytes[16];
    int handle = 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    CHECK(argc == 4);
    void *line = iob_pipe.open(argv[1]);
    CHECK(line != NULL);
    WindCtx *ctx = winkd_ctx_new(io_desc_new(&iob_pipe, line));
    CHECK(winkd_sync(ctx) == 1 && winkd_read_ver(ctx));
    printf("attached, %d processors\n", winkd_get_cpus(ctx));
    ut64 base = strtoull(argv[3], NULL, 16), function = base + strtoull(argv[2], NULL, 16);
    CHECK(winkd_read_at(ctx, bytes, base, 2) == 2 && memcmp(bytes, "MZ", 2) == 0);
    ListProcesses(ctx);
    ListModules(ctx);
    printf("rip %" PRIx64 "\n", ReadRip(ctx));
    CHECK(winkd_bkpt(ctx, function, 1, 0, &handle) == KD_E_OK && handle != 0);
    CHECK(winkd_continue(ctx));
    CHECK(WaitForStop(ctx, 0x80000003) == function && ReadRip(ctx) == function);
    printf("breakpoint\n");
    CHECK(winkd_bkpt(ctx, function, 0, 0, &handle) == KD_E_OK);
    CHECK(winkd_step(ctx));
    ut64 next = WaitForStop(ctx, 0x80000004);
    CHECK(next > function && next <= function + 15 && ReadRip(ctx) == next);
    printf("step\n");
    CHECK(winkd_continue(ctx));
    printf("gone on\n");
    iob_pipe.close(line);
    return 0;
}
