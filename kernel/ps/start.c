// start.c - the ProcessBlock: what a program finds when it starts.
//
// Layout of the region: the ProcessBlock, the environment's pointers with a null at the end, then
// the strings. It is filled through the section, before anybody runs in the address space.
// SPDX-License-Identifier: MIT
#include "psi.h"

typedef struct Layout {
    size_t EnvironmentCount;
    size_t Pointers, Path, CommandLine, Environment; // offsets
    size_t Size;
} Layout;

static Layout PlanLayout(const PsProcess *process, const PsCreateParameters *parameters)
{
    Layout layout = {0};
    for (size_t i = 0; i < parameters->EnvironmentSize; i++)
        layout.EnvironmentCount += parameters->Environment[i] == '\0';
    layout.Pointers = sizeof(ProcessBlock);
    layout.Path = layout.Pointers + (layout.EnvironmentCount + 1) * sizeof(uint64_t);
    layout.CommandLine = layout.Path + strlen(process->Program->Path) + 1;
    layout.Environment = layout.CommandLine + strlen(parameters->CommandLine) + 1;
    layout.Size = layout.Environment + parameters->EnvironmentSize;
    return layout;
}

static Status WriteEnvironment(MmSection *section, const Layout *layout,
                               const PsCreateParameters *parameters, uint64_t base)
{
    Status status = StatusSuccess;
    if (parameters->EnvironmentSize != 0)
        status = MmWriteSection(section, layout->Environment, parameters->Environment,
                                parameters->EnvironmentSize);
    size_t offset = 0;
    for (size_t i = 0; status == StatusSuccess && i < layout->EnvironmentCount; i++) {
        uint64_t address = base + layout->Environment + offset;
        status = MmWriteSection(section, layout->Pointers + i * sizeof(address), &address,
                                sizeof(address));
        offset += strlen(parameters->Environment + offset) + 1;
    }
    return status;
}

static Status WriteBlock(PsProcess *process, MmSection *section, const Layout *layout,
                         const PsCreateParameters *parameters, const Handle standard[3])
{
    uint64_t base = process->BlockBase;
    ProcessBlock block = {
        .Magic = PROCESS_BLOCK_MAGIC,
        .Version = PROCESS_ABI_VERSION,
        .Size = sizeof(block),
        .ProcessId = process->Id,
        .StandardHandles = {standard[0], standard[1], standard[2]},
        .ProgramBase = process->Program->Base,
        .RuntimeBase = process->Runtime->Base,
        .ProgramPath = (const char *)(base + layout->Path),
        .CommandLine = (const char *)(base + layout->CommandLine),
        .Environment = (const char *const *)(base + layout->Pointers),
    };
    KeGetRandomBytes(block.RandomSeed, sizeof(block.RandomSeed));
    const char *path = process->Program->Path, *commandLine = parameters->CommandLine;
    Status status = MmWriteSection(section, 0, &block, sizeof(block));
    if (status == StatusSuccess)
        status = MmWriteSection(section, layout->Path, path, strlen(path) + 1);
    if (status == StatusSuccess)
        status = MmWriteSection(section, layout->CommandLine, commandLine, strlen(commandLine) + 1);
    if (status == StatusSuccess)
        status = WriteEnvironment(section, layout, parameters, base);
    return status;
}

Status PsiBuildProcessBlock(PsProcess *process, const PsCreateParameters *parameters,
                            const Handle standard[3])
{
    KE_ASSERT(parameters->EnvironmentSize == 0 ||
              parameters->Environment[parameters->EnvironmentSize - 1] == '\0');
    Layout layout = PlanLayout(process, parameters);
    size_t size = RTL_ALIGN_UP(layout.Size, PAGE_SIZE);
    MmSection *section;
    Status status = MmCreateSection(size, PageProcess, &section);
    if (status != StatusSuccess)
        return status;
    status = MmMapSection(process->Space, section, 0, size, &process->BlockBase, MemoryReadWrite,
                          RegionSection, false);
    if (status == StatusSuccess)
        status = WriteBlock(process, section, &layout, parameters, standard);
    MmDereferenceSection(section); // the mapping holds its own
    return status;
}
