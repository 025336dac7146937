// audit.c - does the kernel half keep its promises? Walks every page the kernel's tables map and
// reports what is user-accessible, both writable and executable, executable outside the kernel
// image and the firmware's runtime code, or a writable alias of a read-only page of the kernel
// image.
//
// The alias: all RAM is mapped writable in the direct map, the kernel's text included.
// MiProtectImageAlias takes the write permission away there, page by page, as the image's own
// mapping has it.
//
// MmReadUserPage and MmRunUserPage are the other half of the proof: mistakes the processor must
// stop the kernel for.
// SPDX-License-Identifier: MIT
#include "mi.h"

#define REPORTS 16 // lines in the log before it goes quiet

typedef struct Audit {
    uint64_t ImageBase, ImageSize;
    PhysicalAddress ImagePhysical;
    uint64_t Pages; // leaf entries seen
    uint64_t Findings;
} Audit;

static uint64_t imageBase, imageSize; // of moskrnl.exe, for the audit

// Whether the image's own mapping lets the page at offset be written.
static bool IsImagePageWritable(uint64_t offset)
{
    unsigned level;
    const MiPte *leaf = MiFindLeaf(MiKernelRoot, imageBase + offset, &level);
    return leaf && (*leaf & PTE_WRITE);
}

void MiProtectImageAlias(const LoaderParams *loader)
{
    imageBase = loader->KernelBase;
    imageSize = loader->KernelSize;
    uint64_t alias = DIRECT_MAP_BASE + loader->KernelPhysical;
    if (MiSplitLargePages(MiKernelRoot, alias, imageSize) != StatusSuccess)
        return; // the image stays writable through the direct map; the audit says so
    for (uint64_t offset = 0; offset < imageSize; offset += PAGE_SIZE) {
        MiPte *pte = MiFindPte(MiKernelRoot, alias + offset);
        if (pte && !IsImagePageWritable(offset))
            *(volatile MiPte *)pte = *pte & ~PTE_WRITE;
    }
    KeFlushTlbAll();
}

static void Report(Audit *audit, uint64_t address, MiPte rights, const char *what)
{
    if (audit->Findings++ < REPORTS)
        KeLog(LogError, "audit: page at %llx (entry %llx) is %s", (unsigned long long)address,
              (unsigned long long)rights, what);
}

static bool MayExecute(uint64_t address)
{
    bool image = address - imageBase < imageSize;
    bool firmware = address >= RUNTIME_SERVICES_BASE && address < KERNEL_DYNAMIC_BASE;
    return image || firmware;
}

// Whether a direct-map page of the given size reaches read-only image pages.
static bool AliasesReadOnlyImage(const Audit *audit, uint64_t address, uint64_t size)
{
    if (!MiIsDirect(address))
        return false;
    PhysicalAddress start = address - DIRECT_MAP_BASE, end = start + size;
    for (uint64_t offset = 0; offset < audit->ImageSize; offset += PAGE_SIZE) {
        PhysicalAddress page = audit->ImagePhysical + offset;
        if (page >= start && page < end && !IsImagePageWritable(offset))
            return true;
    }
    return false;
}

// rights: WRITE and USER are allowed by all levels above, NO_EXECUTE set by any.
static void CheckLeaf(Audit *audit, uint64_t address, uint64_t size, MiPte rights)
{
    bool writable = rights & PTE_WRITE, executable = !(rights & PTE_NO_EXECUTE);
    audit->Pages++;
    if (rights & PTE_USER)
        Report(audit, address, rights, "open to user mode");
    if (writable && executable)
        Report(audit, address, rights, "writable and executable");
    if (executable && !MayExecute(address))
        Report(audit, address, rights, "executable outside the kernel image");
    PhysicalAddress imageStart = audit->ImagePhysical, imageEnd = imageStart + audit->ImageSize;
    PhysicalAddress start = address - DIRECT_MAP_BASE;
    if (writable && start < imageEnd && start + size > imageStart &&
        AliasesReadOnlyImage(audit, address, size))
        Report(audit, address, rights, "a writable alias of kernel code or constants");
}

static void CheckTable(Audit *audit, const MiPte *table, unsigned level, uint64_t base, MiPte above)
{
    uint64_t span = 1ull << (PAGE_SHIFT + 9 * (level - 1));
    for (unsigned i = level == 4 ? KERNEL_FIRST_SLOT : 0; i < ENTRIES_PER_TABLE; i++) {
        MiPte entry = table[i];
        if (!(entry & PTE_PRESENT))
            continue;
        uint64_t address = base + i * span;
        MiPte rights =
            (above & entry & (PTE_WRITE | PTE_USER)) | ((above | entry) & PTE_NO_EXECUTE);
        if (level == 1 || (level < 4 && (entry & PTE_LARGE)))
            CheckLeaf(audit, address, span, rights);
        else
            CheckTable(audit, MiTableAt(entry & PTE_ADDRESS), level - 1, address, rights);
    }
}

Status MmAuditKernelPages(const LoaderParams *loader)
{
    Audit audit = {
        .ImageBase = imageBase, .ImageSize = imageSize, .ImagePhysical = loader->KernelPhysical};
    CheckTable(&audit, MiTableAt(MiKernelRoot), 4, 0xFFFF000000000000ull, PTE_WRITE | PTE_USER);
    KeLog(audit.Findings ? LogError : LogInfo, "mm: page-table audit: %llu entries, %llu findings",
          (unsigned long long)audit.Pages, (unsigned long long)audit.Findings);
    return audit.Findings ? StatusCorrupt : StatusSuccess;
}

// Enters a page of user memory that holds a return instruction.
static void *EnterUserPage(MemoryProtection protection)
{
    PhysicalAddress page;
    MiPte *pte = MiMakePte(MiKernelRoot, MM_USER_LOWEST);
    if (pte == nullptr || MmAllocatePage(PageProcess, true, &page) != StatusSuccess)
        return nullptr;
    memset(MmPhysicalToVirtual(page), 0xC3, 1);
    MiSetPte(pte, page | PTE_OWNED | MiPteFlags(protection));
    return (void *)MM_USER_LOWEST;
}

void MmReadUserPage(void)
{
    const volatile uint8_t *page = EnterUserPage(MemoryReadWrite);
    (void)*page;
    __asm__ volatile("" : : : "memory"); // a frame of its own on the stack, here and below
}

void MmRunUserPage(void)
{
    void (*volatile code)(void) = (void (*)(void))(uint64_t)EnterUserPage(MemoryReadExecute);
    code();
    __asm__ volatile("" : : : "memory");
}
