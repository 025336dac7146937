// kdmp.cc - reads a crash dump with kdmp-parser, which is not ours, and prints what it finds there.
//
//     kdmp DUMP KERNEL-BASE
// SPDX-License-Identifier: MIT
#include "kdmp-parser.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

int main(int argc, char **argv)
{
    kdmpparser::KernelDumpParser parser;
    if (argc != 3 || !parser.Parse(argv[1]))
        return 1;
    const auto &code = parser.GetBugCheckParameters();
    const auto &context = parser.GetContext();
    printf("bugcheck %x %llx\n", unsigned(code.BugCheckCode),
           (unsigned long long)code.BugCheckCodeParameter[0]);
    printf("rip %llx rsp %llx\n", (unsigned long long)context.Rip,
           (unsigned long long)context.Rsp);
    printf("pages %zu\n", size_t(parser.GetPhysmem().size()));
    const uint8_t *page = parser.GetVirtualPage(strtoull(argv[2], nullptr, 16));
    printf("kernel %.2s\n", page ? (const char *)page : "??");
    const uint64_t stack = context.Rsp & ~7ull;
    for (uint64_t at = stack, n = 0; n < 512; at += 8, n++) {
        const uint8_t *bytes = parser.GetVirtualPage(at & ~0xFFFull);
        uint64_t word;
        if (!bytes)
            break;
        memcpy(&word, bytes + (at & 0xFFF), sizeof word);
        printf("stack %llx\n", (unsigned long long)word);
    }
    return 0;
}
