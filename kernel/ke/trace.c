// trace.c - the event trace: what happened when, noted where it happens.
//
// A place worth noting asks KeIsTracing, one test of a variable in memory and a branch that is not
// taken, and then calls KeTrace. System calls cost nothing at all while nobody traces them: the
// entry code's table is exchanged for one whose entries lead through HalTracedSystemCall.
//
// Each processor has a ring of records that only it writes, with interrupts off, so that a record
// is whole and in order; the newest take the oldest one's place. What does not fit into a record of
// 32 bytes follows in continuations, which a reader that begins in the middle can tell from
// records.
//
// Samples are taken in the clock interrupt, for which each processor's clock comes at SampleDue as
// it does for a quantum. kd walks the stack (KeRegisterSampler).
//
// Starting and stopping belong to one caller at a time (sys). The end waits until no processor is
// in the middle of a record; Writing and Groups are ordered by full fences on both sides.
// SPDX-License-Identifier: MIT
#include "LoaderParams.h"
#include "ki.h"

typedef struct TraceRing {
    TraceRecord *Records;
    uint64_t Written;      // since the start
    volatile bool Writing; // a record is being written
} __attribute__((aligned(64))) TraceRing;

extern const char __ImageBase[]; // the linker's

volatile uint32_t KeTraceGroups;
static TraceRing Rings[KE_MAXIMUM_PROCESSORS];
static uint32_t RingSize; // records, a power of two
static uint64_t SamplePeriod;
static size_t (*WalkStack)(const KTrapFrame *, uint64_t *, size_t);

void KeRegisterSampler(size_t (*walk)(const KTrapFrame *frame, uint64_t *addresses,
                                      size_t capacity))
{
    WalkStack = walk;
}

uint64_t KeHideSlide(uint64_t address)
{
    uint64_t rva = address - (uint64_t)__ImageBase;
    return rva < KERNEL_IMAGE_MAX_SLIDE ? KERNEL_IMAGE_BASE + rva : address;
}

static TraceRecord *NextRecord(TraceRing *ring)
{
    return &ring->Records[ring->Written++ & (RingSize - 1)];
}

static void WriteMore(TraceRing *ring, uint8_t processor, const uint8_t *bytes, size_t size)
{
    while (size != 0) {
        uint64_t words[3] = {};
        size_t part = RTL_MIN(size, sizeof(words));
        memcpy(words, bytes, part);
        TraceContinuation more = {.First = words[0],
                                  .Kind = TraceMore,
                                  .Processor = processor,
                                  .Second = words[1],
                                  .Third = words[2]};
        memcpy(NextRecord(ring), &more, sizeof(more));
        bytes += part;
        size -= part;
    }
}
static_assert(sizeof(TraceContinuation) == sizeof(TraceRecord) &&
              offsetof(TraceContinuation, Kind) == offsetof(TraceRecord, Kind));

static void Write(const TraceRecord *record, const void *more, size_t size)
{
    bool enabled = HalSaveInterrupts();
    const KPrcb *prcb = KiGetPrcb();
    uint8_t processor = (uint8_t)prcb->Hal.Number;
    TraceRing *ring = &Rings[processor];
    ring->Writing = true;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (KeTraceGroups != 0 && ring->Records != nullptr) {
        TraceRecord *place = NextRecord(ring);
        *place = *record;
        place->Time = KeQueryTime();
        place->Processor = processor;
        WriteMore(ring, processor, more, size);
    }
    __atomic_store_n(&ring->Writing, false, __ATOMIC_RELEASE);
    HalRestoreInterrupts(enabled);
}

void KeTrace(TraceKind kind, uint32_t value, uint64_t a, uint64_t b)
{
    KeTraceMore(kind, value, a, b, nullptr, 0);
}

void KeTraceMore(TraceKind kind, uint32_t value, uint64_t a, uint64_t b, const void *more,
                 size_t size)
{
    const KThread *thread = HalGetCurrentThread();
    TraceRecord record = {.Thread = thread != nullptr ? thread->Id : 0,
                          .Value = (uint16_t)value,
                          .Kind = (uint8_t)kind,
                          .A = a,
                          .B = b};
    Write(&record, more, size);
}

void KeTraceOf(uint32_t id, TraceKind kind, uint64_t a, uint64_t b, const char *name)
{
    size_t length = name == nullptr ? 0 : strlen(name);
    TraceRecord record = {
        .Thread = id, .Value = (uint16_t)length, .Kind = (uint8_t)kind, .A = a, .B = b};
    Write(&record, name, length);
}

// ---- system calls: the entry code calls these around a call, interrupts on

void KiTraceCall(uint64_t number, uint64_t a, uint64_t b)
{
    KeTrace(TraceCallBegin, (uint32_t)number, a, b);
}

void KiTraceCallEnd(uint64_t status)
{
    KeTrace(TraceCallEnd, 0, (uint32_t)status, 0);
}

// ---- samples

static void ArmSample(KPrcb *prcb)
{
    if (prcb->SampleDue >= prcb->ArmedDeadline)
        return;
    prcb->ArmedDeadline = prcb->SampleDue;
    HalArmTimer(prcb->SampleDue);
}

void KiBeginSampling(KPrcb *prcb)
{
    bool wanted = KeIsTracing(TraceSamples);
    if (wanted && prcb->SampleDue == KE_INFINITE)
        prcb->SampleDue = KeQueryTime() + SamplePeriod;
    if (wanted)
        ArmSample(prcb);
}

void KiTakeSample(KPrcb *prcb, uint64_t now)
{
    uint64_t addresses[TraceMaximumStack];
    if (now < prcb->SampleDue)
        return;
    if (!KeIsTracing(TraceSamples)) {
        prcb->SampleDue = KE_INFINITE;
        return;
    }
    const KTrapFrame *frame = prcb->InterruptFrame;
    size_t count = 0;
    if (prcb->Hal.Thread != prcb->IdleThread && WalkStack != nullptr)
        count = WalkStack(frame, addresses, RTL_COUNT_OF(addresses));
    for (size_t i = 0; i < count; i++)
        addresses[i] = KeHideSlide(addresses[i]);
    KeTraceMore(TraceSample, (uint32_t)count, KeHideSlide(frame->Rip),
                prcb->Hal.Thread->OwnProcess->Id, addresses, count * sizeof(addresses[0]));
    // From here on: a slow walk must not find itself.
    prcb->SampleDue = KeQueryTime() + SamplePeriod;
}

// ---- start and end

void KeTraceThread(const KThread *thread)
{
    KeTraceOf(0, TraceThread, thread->Id, thread->OwnProcess->Id, thread->Name);
}

size_t KeTraceMemory(uint32_t records)
{
    return (size_t)records * sizeof(TraceRecord) * KiProcessorCount;
}

void KeStartTrace(uint32_t groups, uint32_t records, uint64_t samplePeriod, void *memory)
{
    RingSize = records;
    SamplePeriod = samplePeriod;
    for (uint32_t i = 0; i < KiProcessorCount; i++) {
        Rings[i].Records = (TraceRecord *)memory + (size_t)i * records;
        Rings[i].Written = 0;
    }
    __atomic_store_n(&KeTraceGroups, groups | KE_TRACE_ALWAYS, __ATOMIC_SEQ_CST);
    KiTraceSystemCalls((groups & TraceSystemCalls) != 0);
    if (!(groups & TraceSamples))
        return;
    bool enabled = HalSaveInterrupts();
    for (uint32_t i = 0; i < KiProcessorCount; i++)
        if (KiProcessors[i] != KiGetPrcb())
            HalRequestReschedule(i);
    KiBeginSampling(KiGetPrcb());
    HalRestoreInterrupts(enabled);
}

void KeLimitTrace(void)
{
    KiTraceSystemCalls(false);
    __atomic_store_n(&KeTraceGroups, KE_TRACE_ALWAYS, __ATOMIC_SEQ_CST);
}

void KeStopTrace(void)
{
    KiTraceSystemCalls(false);
    __atomic_store_n(&KeTraceGroups, 0, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < KiProcessorCount; i++)
        while (__atomic_load_n(&Rings[i].Writing, __ATOMIC_ACQUIRE)) // a record takes no time
            HalPause();
    for (uint32_t i = 0; i < KiProcessorCount; i++)
        Rings[i].Records = nullptr;
}

uint64_t KeQueryTraceWritten(uint32_t processor)
{
    return processor < KE_MAXIMUM_PROCESSORS ? Rings[processor].Written : 0;
}
