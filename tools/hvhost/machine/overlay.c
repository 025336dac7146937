// overlay.c - overlay pages: pages of the hypervisor's own that cover a page of guest memory while
// an MSR says so (TLFS "GPA Overlay Pages"). Their content moves along with them, and the memory
// below reappears untouched; a guest that expects its own data or zeros there finds neither.
// SPDX-License-Identifier: MIT
#include "hvhost.h"

#include "exec/address-spaces.h"
#include "exec/cputlb.h"
#include "exec/exec-all.h"

enum { OverlayPriority = 500 };

// ------------------------------------------------------------------------------- the safe moment

typedef struct Deferred {
    void (*function)(void *);
    void *opaque;
} Deferred;

static void RunDeferred(CPUState *cpu, run_on_cpu_data data)
{
    Deferred *deferred = data.host_ptr;
    bool locked = qemu_mutex_iothread_locked();

    if (!locked)
        qemu_mutex_lock_iothread();
    deferred->function(deferred->opaque);
    if (!locked)
        qemu_mutex_unlock_iothread();
    g_free(deferred);
}

void HvWhileStopped(void (*function)(void *), void *opaque)
{
    Deferred *deferred = g_new(Deferred, 1);

    deferred->function = function;
    deferred->opaque = opaque;
    async_safe_run_on_cpu(current_cpu ? current_cpu : first_cpu, RunDeferred,
                          RUN_ON_CPU_HOST_PTR(deferred));
}

// ------------------------------------------------------------------------------------ the pages

static uint64_t ReadOver(void *opaque, hwaddr address, unsigned size)
{
    return ~0ull;
}

static void WriteOver(void *opaque, hwaddr address, uint64_t value, unsigned size)
{
    HvOverlay *overlay = opaque;

    StrictViolation("overlay-write", "a write to the read-only page %s",
                    memory_region_name(&overlay->region));
}

static const MemoryRegionOps ReadOnlyOps = {
    .read = ReadOver,
    .write = WriteOver,
    .endianness = DEVICE_LITTLE_ENDIAN,
};

void HvOverlayInit(HvOverlay *overlay, Object *owner, const char *name, bool readOnly)
{
    overlay->readOnly = readOnly;
    if (readOnly)
        memory_region_init_rom_device_nomigrate(&overlay->region, owner, &ReadOnlyOps, overlay,
                                                name, HvPageSize, &error_fatal);
    else
        memory_region_init_ram_nomigrate(&overlay->region, owner, name, HvPageSize, &error_fatal);
    overlay->made = true;
}

void *HvOverlayContent(HvOverlay *overlay)
{
    return memory_region_get_ram_ptr(&overlay->region);
}

static void Remap(void *opaque)
{
    HvOverlay *overlay = opaque;

    if (overlay->mapped == overlay->wanted && overlay->at == overlay->wantedAt)
        return;
    memory_region_transaction_begin();
    if (overlay->mapped)
        memory_region_del_subregion(get_system_memory(), &overlay->region);
    if (overlay->wanted)
        memory_region_add_subregion_overlap(get_system_memory(), overlay->wantedAt,
                                            &overlay->region, OverlayPriority);
    memory_region_transaction_commit();
    overlay->mapped = overlay->wanted;
    overlay->at = overlay->wantedAt;
}

void HvOverlaySet(HvOverlay *overlay, uint64_t msr)
{
    overlay->wanted = msr & 1;
    overlay->wantedAt = msr & ~(uint64_t)(HvPageSize - 1);
    HvWhileStopped(Remap, overlay);
}
