// tlb.c - which page tables a processor has loaded, and making processors forget old entries.
//
// A processor remembers translations of the page tables in CR3 and, since they are global, the
// kernel's. Whoever takes rights away changes the entries first and then calls KeFlushTlb, which
// interrupts those processors that may remember: all of them for kernel addresses, for a user root
// only those that have it loaded. It waits until they have flushed.
//
// Who has a root loaded. PageTableRoot is what CR3 holds; LoadingRoot is stored before CR3 is
// written, PageTableRoot after. So at every moment the old root, or the new one, or both are
// visible. A flusher that sees neither in a processor's fields (its loads come after its changes
// of the entries) knows that the processor will read the new entries when it loads the root.
//
// Idle processors keep what was loaded last, for the same thread may come back. The first flush
// that reaches an idle one makes it load the kernel's own tables, so that it is asked only once;
// and before the page of a root is freed, KeForgetPageTables does the same for all that have it.
//
// The requests. A processor writes what it wants into its own KPrcb, sets its bit in FlushFrom of
// each processor concerned, and interrupts those whose FlushFrom was empty. They take all bits at
// once, flush, and count the requesters' FlushesLeft down. While it waits, a processor serves
// others if interrupts are off; so two that flush, in whatever state, cannot wait for each other.
// Hyper-V can do it in one call for all of them, without their help (hal_hyperv.h).
// A flusher may hold spin locks: those who spin for them do so with interrupts enabled, or hold
// nothing for longer than a few instructions.
// SPDX-License-Identifier: MIT
#include "hal_hyperv.h"
#include "ki.h"

#define CR4_PGE          (1ull << 7)
#define PAGES_ONE_BY_ONE 32u // from there on, forgetting everything costs less
#define EVERY_ROOT       UINT64_MAX

static void Load(KPrcb *prcb, uint64_t root)
{
    HalWriteCr3(root); // serialises: LoadingRoot is seen before the tables are read
    __atomic_store_n(&prcb->PageTableRoot, root, __ATOMIC_RELEASE);
}

void KiUsePageTables(KPrcb *prcb, uint64_t root)
{
    if (__atomic_load_n(&prcb->PageTableRoot, __ATOMIC_RELAXED) == root)
        return;
    __atomic_store_n(&prcb->LoadingRoot, root, __ATOMIC_RELEASE);
    Load(prcb, root);
}

static bool MayHave(const KPrcb *prcb, uint64_t root)
{
    return root == EVERY_ROOT || __atomic_load_n(&prcb->PageTableRoot, __ATOMIC_RELAXED) == root ||
           __atomic_load_n(&prcb->LoadingRoot, __ATOMIC_RELAXED) == root;
}

static void ForgetEverything(void)
{
    bool enabled = HalSaveInterrupts();
    uint64_t cr4 = HalReadCr4();
    HalWriteCr4(cr4 & ~CR4_PGE); // drops global entries too
    HalWriteCr4(cr4);
    HalRestoreInterrupts(enabled);
}

static void ForgetRange(uint64_t root, uint64_t start, uint64_t end)
{
    if (end - start <= PAGES_ONE_BY_ONE * PAGE_SIZE) {
        for (uint64_t address = start; address < end; address += PAGE_SIZE)
            HalInvalidatePage(address);
    } else if (root == EVERY_ROOT) {
        ForgetEverything();
    } else {
        HalWriteCr3(HalReadCr3());
    }
}

// What another processor asks of this one; interrupts off. A root that the running thread does not
// need is a left-over: of an idle processor, or of a switch that this interrupts, which has made
// its thread the running one before it looks at PageTableRoot, and loads what it needs afterwards.
static void Serve(KPrcb *prcb, const KPrcb *asker)
{
    uint64_t root = asker->FlushRoot, system = KeSystemProcess.PageTableRoot;
    if (prcb->PageTableRoot != root || prcb->Hal.Thread->Process->PageTableRoot == root) {
        ForgetRange(root, asker->FlushStart, asker->FlushEnd);
        return;
    }
    if (prcb->LoadingRoot == root)
        __atomic_store_n(&prcb->LoadingRoot, system, __ATOMIC_RELEASE);
    Load(prcb, system);
}

static void ServeAll(KPrcb *prcb)
{
    uint64_t from = __atomic_exchange_n(&prcb->FlushFrom, 0, __ATOMIC_ACQ_REL);
    while (from != 0) {
        KPrcb *asker = KiProcessors[__builtin_ctzll(from)];
        from &= from - 1;
        Serve(prcb, asker);
        prcb->Counters.Flushes++;
        __atomic_sub_fetch(&asker->FlushesLeft, 1, __ATOMIC_ACQ_REL);
    }
}

void KiFlushInterrupt(void *context)
{
    ServeAll(KiGetPrcb());
}

static void AskOthers(KPrcb *prcb, uint64_t root, uint64_t start, uint64_t end)
{
    uint32_t count = KiProcessorCount, self = prcb->Hal.Number;
    uint64_t targets = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); // the entries' changes before the roots are read
    for (uint32_t i = 0; i < count; i++)
        if (i != self && MayHave(KiProcessors[i], root))
            targets |= 1ull << i;
    if (targets == 0)
        return;
    if (HalFlushesByHypercall && start < end && // a root that is to be forgotten needs the others
        HalFlushProcessors(targets, root == EVERY_ROOT ? 0 : root, start, end))
        return;
    prcb->FlushRoot = root;
    prcb->FlushStart = start;
    prcb->FlushEnd = end;
    __atomic_store_n(&prcb->FlushesLeft, (uint32_t)__builtin_popcountll(targets), __ATOMIC_RELEASE);
    for (uint64_t left = targets; left != 0; left &= left - 1) {
        uint32_t number = (uint32_t)__builtin_ctzll(left);
        if (__atomic_fetch_or(&KiProcessors[number]->FlushFrom, 1ull << self, __ATOMIC_ACQ_REL) ==
            0)
            HalRequestFlush(number);
    }
}

static void WaitForOthers(KPrcb *prcb)
{
    while (__atomic_load_n(&prcb->FlushesLeft, __ATOMIC_ACQUIRE) != 0) {
        if (prcb->FlushFrom != 0 && !HalAreInterruptsEnabled())
            ServeAll(prcb);
        HalPause();
    }
}

void KeFlushTlb(uint64_t root, uint64_t start, uint64_t end)
{
    KE_ASSERT(KiGetIrql() <= DispatchLevel);
    if (start >> 63)
        root = EVERY_ROOT;
    uint8_t old = KiGetIrql();
    KiSetIrql(DispatchLevel);
    KPrcb *prcb = KiGetPrcb();
    bool others = KiProcessorCount > 1;
    if (others)
        AskOthers(prcb, root, start, end);
    if (root == EVERY_ROOT || prcb->PageTableRoot == root)
        ForgetRange(root, start, end);
    if (others)
        WaitForOthers(prcb);
    KeLowerIrql((KIrql)old);
}

void KeFlushTlbPageHere(uint64_t address)
{
    HalInvalidatePage(address);
}

void KeFlushTlbAll(void)
{
    KeFlushTlb(EVERY_ROOT, 0, RTL_ALIGN_DOWN(UINT64_MAX, PAGE_SIZE));
}

void KeForgetPageTables(uint64_t root)
{
    KE_ASSERT(KiGetIrql() <= DispatchLevel && root != KeSystemProcess.PageTableRoot);
    KeFlushTlb(root, 0, 0);
    KI_CHECK(KiGetPrcb()->PageTableRoot != root);
}
