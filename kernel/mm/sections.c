// sections.c - memory that several address spaces and the kernel can map. All pages of a memory
// section are present from the start and stay until the last reference goes, so that nothing about
// it can fail later. A file section has no pages of its own: views.c.
// SPDX-License-Identifier: MIT
#include "mi.h"

#define TAG_SECTION     MM_TAG('M', 'm', 'S', 'c')
#define MAXIMUM_SECTION (1ull << 36)

static void FreeSection(MmSection *section, size_t pages)
{
    if (section->Pager)
        section->Pager->Release(section->Context);
    else
        MiFreePages(section->Frames, pages);
    MmFreeHeap(section);
}

Status MmCreateSection(size_t size, MmPageUse use, MmSection **result)
{
    if (size == 0 || size > MAXIMUM_SECTION)
        return size ? StatusNoMemory : StatusInvalidParameter;
    size_t pages = (size + PAGE_SIZE - 1) / PAGE_SIZE;
    Status status = MiChargeCommit(pages);
    if (status != StatusSuccess)
        return status;
    MmSection *section =
        MmAllocateHeap(sizeof(*section) + pages * sizeof(section->Frames[0]), TAG_SECTION);
    if (!section) {
        MiReturnCommit(pages);
        return StatusNoMemory;
    }
    section->References = 1;
    section->Use = use;
    section->Size = size;
    section->Pages = pages;
    for (size_t i = 0; i < pages; i++) {
        if (MiAllocateCommittedPage(use, true, &section->Frames[i]) != StatusSuccess) {
            MiReturnCommit(pages - i);
            FreeSection(section, i);
            return StatusNoMemory;
        }
    }
    *result = section;
    return StatusSuccess;
}

Status MmCreateFileSection(size_t size, const MmPager *pager, void *context, MmSection **result)
{
    if (size == 0 || size > MAXIMUM_SECTION)
        return size ? StatusNoMemory : StatusInvalidParameter;
    MmSection *section = MmAllocateHeap(sizeof(*section), TAG_SECTION);
    if (!section)
        return StatusNoMemory;
    *section = (MmSection){.References = 1,
                           .Use = PageCache,
                           .Size = size,
                           .Pages = (size + PAGE_SIZE - 1) / PAGE_SIZE,
                           .Pager = pager,
                           .Context = context};
    *result = section;
    return StatusSuccess;
}

void MmReferenceSection(MmSection *section)
{
    __atomic_fetch_add(&section->References, 1, __ATOMIC_RELAXED);
}

void MmDereferenceSection(MmSection *section)
{
    uint32_t before = __atomic_fetch_sub(&section->References, 1, __ATOMIC_ACQ_REL);
    KE_ASSERT(before != 0);
    if (before == 1)
        FreeSection(section, section->Pages);
}

size_t MmGetSectionSize(const MmSection *section)
{
    return section->Size;
}

// pages: which pages of the section, in order; nullptr: all of them.
static Status MapInKernel(MmSection *section, const uint32_t *pages, size_t count, void **mapping)
{
    if (section->Pager)
        return StatusNotSupported;
    uint64_t base;
    Status status = MiReserveKernelSpace(count, PAGE_SIZE, 0, TAG_SECTION, &base);
    if (status != StatusSuccess)
        return status;
    for (size_t i = 0; i < count && status == StatusSuccess; i++) {
        size_t page = pages != nullptr ? pages[i] : i;
        KE_ASSERT(page < section->Pages);
        status = MiMapKernelPage(base + i * PAGE_SIZE, section->Frames[page],
                                 PTE_WRITE | PTE_NO_EXECUTE);
    }
    if (status != StatusSuccess) {
        MiReleaseKernelSpace(base, TAG_SECTION, nullptr);
        return status;
    }
    MmReferenceSection(section);
    *mapping = (void *)base;
    return StatusSuccess;
}

Status MmMapSectionInKernel(MmSection *section, void **mapping)
{
    return MapInKernel(section, nullptr, section->Pages, mapping);
}

Status MmMapSectionPages(MmSection *section, const uint32_t *pages, size_t count, void **mapping)
{
    return MapInKernel(section, pages, count, mapping);
}

void MmUnmapSectionPages(MmSection *section, void *mapping)
{
    uint64_t pages = MiReleaseKernelSpace((uint64_t)mapping, TAG_SECTION, nullptr);
    KE_ASSERT(pages != 0);
    MmDereferenceSection(section);
}

void MmUnmapSectionInKernel(MmSection *section, void *mapping)
{
    uint64_t pages = MiReleaseKernelSpace((uint64_t)mapping, TAG_SECTION, nullptr);
    KE_ASSERT(pages == section->Pages);
    MmDereferenceSection(section);
}

Status MmWriteSection(MmSection *section, size_t offset, const void *data, size_t size)
{
    if (section->Pager || offset > section->Size || size > section->Size - offset)
        return StatusInvalidParameter;
    const char *from = data;
    while (size) {
        size_t within = offset % PAGE_SIZE;
        size_t part = RTL_MIN(size, PAGE_SIZE - within);
        memcpy((char *)MmPhysicalToVirtual(section->Frames[offset / PAGE_SIZE]) + within, from,
               part);
        offset += part;
        from += part;
        size -= part;
    }
    return StatusSuccess;
}
