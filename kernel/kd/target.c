// target.c - what a remote debugger sees of this machine (remote.h), while all of it stands still.
//
// Each processor's registers are captured once at the stop, on the processor itself, and what the
// debugger has changed is loaded before it goes on. The general registers are those of the trap
// frame, in place. Debug registers have one truth, the special registers'; the copies in a CONTEXT
// count only where the debugger changed what it was given. Debug breakpoints are off while the
// machine stands still.
//
// What would take the machine down rather than change it is refused: control registers, descriptor
// tables, addresses that are not canonical, the ports that the debugger itself comes through.
// SPDX-License-Identifier: MIT
#include "target.h"
#include "kdi.h"
#include "remote.h"

#define RFLAGS_EDITABLE    0x250FD5u // CF PF AF ZF SF TF IF DF OF RF AC ID
#define RFLAGS_TRAP        0x100u
#define RFLAGS_INTERRUPT   0x200u
#define RFLAGS_RESUME      0x10000u
#define DR7_EDITABLE       0xFFFF03FFu
#define DR7_ALWAYS         0x400u
#define DR6_IDLE           0xFFFF0FF0u
#define CR4_OSXSAVE        (1ull << 18)
#define MSR_STAR           0xC0000081u
#define MSR_LSTAR          0xC0000082u
#define MSR_CSTAR          0xC0000083u
#define MSR_SFMASK         0xC0000084u
#define MSR_GS_BASE        0xC0000101u
#define MSR_KERNEL_GS_BASE 0xC0000102u
#define FXSAVE_MXCSR       24
#define FXSAVE_MXCSR_MASK  28
#define FXSAVE_XMM         160
#define PORT_PCI_ADDRESS   0xCF8u
#define PORT_PCI_DATA      0xCFCu

typedef struct Processor {
    alignas(16) uint8_t FloatSave[512];
    bool Present; // answers, and has a frame
    bool FloatChanged;
    KTrapFrame *Frame;
    KdSpecialRegisters Special;
    uint64_t SentDr[6]; // Dr0-3, 6, 7 as last given in a CONTEXT
    uint16_t Ds, Es, Fs, Gs;
} Processor;

static Processor processors[KE_MAXIMUM_PROCESSORS]; // while the machine stands still
static uint16_t ownPorts;                           // the first of the debugger's eight

static Processor *Find(uint32_t number)
{
    return number < KeGetProcessorCount() && processors[number].Present ? &processors[number]
                                                                        : nullptr;
}

// ------------------------------------------------------------------------------- stop and go on

typedef struct __attribute__((packed)) TableRegister {
    uint16_t Limit;
    uint64_t Base;
} TableRegister;

#define READ_DR(number, to)     __asm__ volatile("movq %%dr" #number ", %0" : "=r"(to))
#define WRITE_DR(number, value) __asm__ volatile("movq %0, %%dr" #number : : "r"((uint64_t)(value)))

static uint64_t ReadXcr0(void)
{
    uint32_t low = 0, high = 0;
    if (HalReadCr4() & CR4_OSXSAVE)
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static void CaptureDebugRegisters(KdSpecialRegisters *special)
{
    READ_DR(0, special->KernelDr0);
    READ_DR(1, special->KernelDr1);
    READ_DR(2, special->KernelDr2);
    READ_DR(3, special->KernelDr3);
    READ_DR(6, special->KernelDr6);
    READ_DR(7, special->KernelDr7);
    WRITE_DR(7, DR7_ALWAYS);
    WRITE_DR(6, DR6_IDLE);
}

// Runs on the processor itself.
static void Capture(void *context)
{
    Processor *processor = context;
    KdSpecialRegisters *special = &processor->Special;
    TableRegister gdtr, idtr;
    *special = (KdSpecialRegisters){.Cr0 = HalReadCr0(),
                                    .Cr2 = HalReadCr2(),
                                    .Cr3 = HalReadCr3(),
                                    .Cr4 = HalReadCr4(),
                                    .Xcr0 = ReadXcr0(),
                                    .MsrGsBase = HalReadMsr(MSR_GS_BASE),
                                    .MsrGsSwap = HalReadMsr(MSR_KERNEL_GS_BASE),
                                    .MsrStar = HalReadMsr(MSR_STAR),
                                    .MsrLStar = HalReadMsr(MSR_LSTAR),
                                    .MsrCStar = HalReadMsr(MSR_CSTAR),
                                    .MsrSyscallMask = HalReadMsr(MSR_SFMASK)};
    CaptureDebugRegisters(special);
    __asm__ volatile("sgdt %0" : "=m"(gdtr));
    __asm__ volatile("sidt %0" : "=m"(idtr));
    special->Gdtr = (KdDescriptorTable){.Limit = gdtr.Limit, .Base = gdtr.Base};
    special->Idtr = (KdDescriptorTable){.Limit = idtr.Limit, .Base = idtr.Base};
    __asm__ volatile("str %0" : "=r"(special->Tr));
    __asm__ volatile("sldt %0" : "=r"(special->Ldtr));
    __asm__ volatile("movq %%cr8, %0" : "=r"(special->Cr8));
    __asm__ volatile("movw %%ds, %0" : "=r"(processor->Ds));
    __asm__ volatile("movw %%es, %0" : "=r"(processor->Es));
    __asm__ volatile("movw %%fs, %0" : "=r"(processor->Fs));
    __asm__ volatile("movw %%gs, %0" : "=r"(processor->Gs));
    __asm__ volatile("fxsave64 (%0)" : : "r"(processor->FloatSave) : "memory");
    memcpy(&special->MxCsr, processor->FloatSave + FXSAVE_MXCSR, sizeof special->MxCsr);
    if (HalTrapFromUser(processor->Frame)) {
        uint64_t kernel = special->MsrGsBase;
        special->MsrGsBase = special->MsrGsSwap;
        special->MsrGsSwap = kernel;
    }
    processor->FloatChanged = false;
}

static void Load(void *context)
{
    const Processor *processor = context;
    const KdSpecialRegisters *special = &processor->Special;
    WRITE_DR(0, special->KernelDr0);
    WRITE_DR(1, special->KernelDr1);
    WRITE_DR(2, special->KernelDr2);
    WRITE_DR(3, special->KernelDr3);
    WRITE_DR(6, DR6_IDLE);
    WRITE_DR(7, (special->KernelDr7 & DR7_EDITABLE) | DR7_ALWAYS);
    if (processor->FloatChanged)
        __asm__ volatile("fxrstor64 (%0)" : : "r"(processor->FloatSave) : "memory");
}

void KdiTargetStop(KTrapFrame *frame)
{
    uint32_t self = KeGetCurrentProcessorNumber();
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
        Processor *processor = &processors[i];
        processor->Frame = nullptr;
        if (i == self)
            processor->Frame = frame;
        else if (!KeGetFrozenFrame(i, &processor->Frame))
            processor->Frame = nullptr;
        processor->Present = processor->Frame != nullptr && KeCallFrozen(i, Capture, processor);
    }
}

// Dr7 of a go is for every processor, but hosts give the addresses to one.
static void SpreadBreakpoints(uint32_t from, uint64_t dr7)
{
    const KdSpecialRegisters *source = &processors[from].Special;
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
        KdSpecialRegisters *special = &processors[i].Special;
        if (!processors[i].Present)
            continue;
        special->KernelDr7 = dr7;
        uint64_t *const to[] = {&special->KernelDr0, &special->KernelDr1, &special->KernelDr2,
                                &special->KernelDr3};
        const uint64_t values[] = {source->KernelDr0, source->KernelDr1, source->KernelDr2,
                                   source->KernelDr3};
        for (size_t slot = 0; slot < RTL_COUNT_OF(to); slot++) {
            if (dr7 >> slot * 2 & 3)
                *to[slot] = values[slot];
        }
    }
}

void KdiTargetGo(const KdiExit *exit)
{
    if (exit->SetTrace && Find(exit->Processor) != nullptr) {
        KTrapFrame *frame = processors[exit->Processor].Frame;
        frame->Rflags &= ~(uint64_t)RFLAGS_TRAP;
        frame->Rflags |= exit->TraceFlag ? RFLAGS_TRAP : 0;
        SpreadBreakpoints(exit->Processor, exit->Dr7);
    }
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
        if (!processors[i].Present)
            continue;
        processors[i].Frame->Rflags |= RFLAGS_RESUME; // not the same code breakpoint again
        (void)KeCallFrozen(i, Load, &processors[i]);
        processors[i].Present = false;
    }
}

void KdiTargetForbidPorts(uint16_t first)
{
    ownPorts = first;
}

// --------------------------------------------------------------------------------------- registers

uint32_t KdiTargetProcessorCount(void)
{
    return KeGetProcessorCount();
}

bool KdiTargetGetContext(uint32_t number, KdContext *context)
{
    Processor *processor = Find(number);
    if (processor == nullptr)
        return false;
    const KTrapFrame *frame = processor->Frame;
    const KdSpecialRegisters *special = &processor->Special;
    *context = (KdContext){
        .ContextFlags = KD_CONTEXT_ALL,
        .SegCs = (uint16_t)frame->Cs,
        .SegDs = processor->Ds,
        .SegEs = processor->Es,
        .SegFs = processor->Fs,
        .SegGs = processor->Gs,
        .SegSs = (uint16_t)frame->Ss,
        .EFlags = (uint32_t)frame->Rflags,
        .Dr0 = special->KernelDr0,
        .Dr1 = special->KernelDr1,
        .Dr2 = special->KernelDr2,
        .Dr3 = special->KernelDr3,
        .Dr6 = special->KernelDr6,
        .Dr7 = special->KernelDr7,
        .Rax = frame->Rax,
        .Rcx = frame->Rcx,
        .Rdx = frame->Rdx,
        .Rbx = frame->Rbx,
        .Rsp = frame->Rsp,
        .Rbp = frame->Rbp,
        .Rsi = frame->Rsi,
        .Rdi = frame->Rdi,
        .R8 = frame->R8,
        .R9 = frame->R9,
        .R10 = frame->R10,
        .R11 = frame->R11,
        .R12 = frame->R12,
        .R13 = frame->R13,
        .R14 = frame->R14,
        .R15 = frame->R15,
        .Rip = frame->Rip,
    };
    memcpy(context->FloatSave, processor->FloatSave, sizeof context->FloatSave);
    memcpy(&context->MxCsr, processor->FloatSave + FXSAVE_MXCSR, sizeof context->MxCsr);
    const uint64_t sent[] = {context->Dr0, context->Dr1, context->Dr2,
                             context->Dr3, context->Dr6, context->Dr7};
    memcpy(processor->SentDr, sent, sizeof sent);
    return true;
}

static bool IsCanonical(uint64_t address)
{
    return (int64_t)(address << 16) >> 16 == (int64_t)address;
}

static void SetDebugRegisters(Processor *processor, const KdContext *context)
{
    KdSpecialRegisters *special = &processor->Special;
    const uint64_t given[] = {context->Dr0, context->Dr1, context->Dr2,
                              context->Dr3, context->Dr6, context->Dr7};
    uint64_t *const to[] = {&special->KernelDr0, &special->KernelDr1, &special->KernelDr2,
                            &special->KernelDr3, &special->KernelDr6, &special->KernelDr7};
    for (size_t i = 0; i < RTL_COUNT_OF(to); i++) {
        if (given[i] != processor->SentDr[i])
            *to[i] = given[i];
    }
    memcpy(processor->SentDr, given, sizeof given);
}

static void SetFloatingPoint(Processor *processor, const KdContext *context)
{
    uint32_t mask, mxcsr;
    if (memcmp(processor->FloatSave, context->FloatSave, sizeof processor->FloatSave) == 0)
        return;
    memcpy(&mask, processor->FloatSave + FXSAVE_MXCSR_MASK, sizeof mask);
    memcpy(processor->FloatSave, context->FloatSave, sizeof processor->FloatSave);
    memcpy(&mxcsr, processor->FloatSave + FXSAVE_MXCSR, sizeof mxcsr);
    mxcsr &= mask != 0 ? mask : 0xFFBFu; // the others fault (SDM vol. 1, 11.6.6)
    memcpy(processor->FloatSave + FXSAVE_MXCSR, &mxcsr, sizeof mxcsr);
    memcpy(processor->FloatSave + FXSAVE_MXCSR_MASK, &mask, sizeof mask);
    processor->FloatChanged = true;
}

bool KdiTargetSetContext(uint32_t number, const KdContext *context)
{
    Processor *processor = Find(number);
    if (processor == nullptr || !IsCanonical(context->Rip) || !IsCanonical(context->Rsp))
        return false;
    KTrapFrame *frame = processor->Frame;
    uint32_t editable =
        HalTrapFromUser(frame) ? RFLAGS_EDITABLE & ~RFLAGS_INTERRUPT : RFLAGS_EDITABLE;
    KTrapFrame edited = {
        .Rax = context->Rax,
        .Rcx = context->Rcx,
        .Rdx = context->Rdx,
        .Rbx = context->Rbx,
        .Rbp = context->Rbp,
        .Rsi = context->Rsi,
        .Rdi = context->Rdi,
        .R8 = context->R8,
        .R9 = context->R9,
        .R10 = context->R10,
        .R11 = context->R11,
        .R12 = context->R12,
        .R13 = context->R13,
        .R14 = context->R14,
        .R15 = context->R15,
        .Vector = frame->Vector,
        .ErrorCode = frame->ErrorCode,
        .Rip = context->Rip,
        .Cs = frame->Cs,
        .Rflags = (frame->Rflags & ~(uint64_t)editable) | (context->EFlags & editable),
        .Rsp = context->Rsp,
        .Ss = frame->Ss,
    };
    *frame = edited;
    SetDebugRegisters(processor, context);
    SetFloatingPoint(processor, context);
    return true;
}

bool KdiTargetGetSpecial(uint32_t number, KdSpecialRegisters *special)
{
    const Processor *processor = Find(number);
    if (processor == nullptr)
        return false;
    *special = processor->Special;
    return true;
}

bool KdiTargetSetSpecial(uint32_t number, const KdSpecialRegisters *special)
{
    Processor *processor = Find(number);
    if (processor == nullptr)
        return false;
    KdSpecialRegisters *own = &processor->Special;
    own->KernelDr0 = special->KernelDr0;
    own->KernelDr1 = special->KernelDr1;
    own->KernelDr2 = special->KernelDr2;
    own->KernelDr3 = special->KernelDr3;
    own->KernelDr6 = special->KernelDr6;
    own->KernelDr7 = special->KernelDr7;
    return special->Cr0 == own->Cr0 && special->Cr3 == own->Cr3 && special->Cr4 == own->Cr4 &&
           special->Gdtr.Base == own->Gdtr.Base && special->Idtr.Base == own->Idtr.Base &&
           special->Tr == own->Tr;
}

bool KdiTargetGetAddress(uint32_t number, uint64_t index, uint64_t *address)
{
    enum { SpacePcr = 0, SpacePrcb = 1, SpaceThread = 3 };
    const KPrcb *prcb = KeGetPrcb(number);
    if (prcb == nullptr || (index != SpacePcr && index != SpacePrcb && index != SpaceThread))
        return false;
    *address = index == SpaceThread ? (uint64_t)prcb->Hal.Thread : (uint64_t)prcb;
    return true;
}

// ---- model specific registers: those that are not there fault, and the fault is caught.
typedef struct MsrAccess {
    uint32_t Msr;
    bool Write, Good;
    uint64_t Value;
} MsrAccess;

// bool AccessMsr(uint32_t msr, uint64_t *value, bool write): false: it faulted.
__attribute__((naked)) static bool AccessMsr(uint32_t msr, uint64_t *value, bool write)
{
    __asm__("movq %rdx, %r9");
    __asm__("movl (%r9), %eax");
    __asm__("movl 4(%r9), %edx");
    __asm__("testb %r8b, %r8b");
    __asm__("jnz 1f");
    __asm__(".globl KdiMsrBegin\nKdiMsrBegin: rdmsr");
    __asm__("jmp 2f");
    __asm__("1: wrmsr");
    __asm__(".globl KdiMsrEnd\nKdiMsrEnd: 2: movl %eax, (%r9)");
    __asm__("movl %edx, 4(%r9)");
    __asm__("movb $1, %al");
    __asm__("retq");
    __asm__(".globl KdiMsrFault\nKdiMsrFault: xorl %eax, %eax");
    __asm__("retq");
}
extern const uint8_t KdiMsrBegin[], KdiMsrEnd[], KdiMsrFault[];

static void RunMsrAccess(void *context)
{
    MsrAccess *access = context;
    access->Good = AccessMsr(access->Msr, &access->Value, access->Write);
}

void KdiInitializeTarget(void)
{
    KeRegisterFaultRange((uint64_t)KdiMsrBegin, (uint64_t)KdiMsrEnd, (uint64_t)KdiMsrFault);
}

bool KdiTargetReadMsr(uint32_t number, uint32_t msr, uint64_t *value)
{
    MsrAccess access = {.Msr = msr};
    if (Find(number) == nullptr || !KeCallFrozen(number, RunMsrAccess, &access) || !access.Good)
        return false;
    *value = access.Value;
    return true;
}

bool KdiTargetWriteMsr(uint32_t number, uint32_t msr, uint64_t value)
{
    MsrAccess access = {.Msr = msr, .Write = true, .Value = value};
    return Find(number) != nullptr && KeCallFrozen(number, RunMsrAccess, &access) && access.Good;
}

// ------------------------------------------------------------------------------------------ memory

// A program's page that has not been touched yet is read in the image it will come from.
static size_t ReadImage(uint64_t address, void *buffer, size_t size)
{
    KdiModule module;
    size_t chunk = RTL_MIN(size, (size_t)(PAGE_SIZE - address % PAGE_SIZE));
    return address < DIRECT_MAP_BASE && KdiFindModule(address, &module) &&
                   module.Image != nullptr && KdiReadModule(&module, address, buffer, chunk)
               ? chunk
               : 0;
}

size_t KdiTargetRead(uint64_t address, void *buffer, size_t size)
{
    size_t done = 0;
    while (done < size) {
        size_t got = KdiReadAvailable(address + done, (uint8_t *)buffer + done, size - done);
        done += got;
        if (done < size) {
            got = ReadImage(address + done, (uint8_t *)buffer + done, size - done);
            if (got == 0)
                break;
            done += got;
        }
    }
    return done;
}

size_t KdiTargetWrite(uint64_t address, const void *buffer, size_t size)
{
    return KdiWriteAvailable(address, buffer, size);
}
size_t KdiTargetReadPhysical(uint64_t address, void *buffer, size_t size)
{
    return KdiAccessPhysical(address, buffer, size, false);
}
size_t KdiTargetWritePhysical(uint64_t address, const void *buffer, size_t size)
{
    return KdiAccessPhysical(address, (void *)buffer, size, true);
}

void KdiTargetQueryMemory(uint64_t address, uint32_t *space, uint32_t *access)
{
    bool write, execute;
    *space = address < DIRECT_MAP_BASE ? KDI_MEMORY_PROCESS : KDI_MEMORY_KERNEL;
    *access = 0;
    if (KdiQueryAccess(address, &write, &execute))
        *access =
            KDI_MEMORY_READ | (write ? KDI_MEMORY_WRITE : 0) | (execute ? KDI_MEMORY_EXECUTE : 0);
}

// ------------------------------------------------------------------------------------------- ports

static bool IsOwnPort(uint32_t port, uint32_t size)
{
    return ownPorts != 0 && port + size > ownPorts && port < ownPorts + 8u;
}

bool KdiTargetReadPort(uint16_t port, uint32_t size, uint32_t *value)
{
    if (IsOwnPort(port, size))
        return false;
    *value = size == 1 ? HalReadPort8(port) : size == 2 ? HalReadPort16(port) : HalReadPort32(port);
    return true;
}

bool KdiTargetWritePort(uint16_t port, uint32_t size, uint32_t value)
{
    if (IsOwnPort(port, size))
        return false;
    if (size == 1)
        HalWritePort8(port, (uint8_t)value);
    else if (size == 2)
        HalWritePort16(port, (uint16_t)value);
    else
        HalWritePort32(port, value);
    return true;
}

// slot: device in bits 0-4, function in bits 5-7. By the configuration ports, whose address
// register another user may be about to use.
static uint32_t AccessPci(uint32_t bus, uint32_t slot, uint32_t offset, uint8_t *bytes,
                          uint32_t size, bool write)
{
    if (bus > 255 || slot > 255 || offset > 256 || size > 256 - offset)
        return 0;
    uint32_t saved = HalReadPort32(PORT_PCI_ADDRESS);
    for (uint32_t i = 0; i < size; i++) {
        uint32_t at = offset + i;
        HalWritePort32(PORT_PCI_ADDRESS,
                       0x80000000u | bus << 16 | (slot & 31) << 11 | (slot >> 5) << 8 | (at & ~3u));
        if (write)
            HalWritePort8((uint16_t)(PORT_PCI_DATA + at % 4), bytes[i]);
        else
            bytes[i] = HalReadPort8((uint16_t)(PORT_PCI_DATA + at % 4));
    }
    HalWritePort32(PORT_PCI_ADDRESS, saved);
    return size;
}

uint32_t KdiTargetReadPci(uint32_t bus, uint32_t slot, uint32_t offset, void *buffer, uint32_t size)
{
    return AccessPci(bus, slot, offset, buffer, size, false);
}
uint32_t KdiTargetWritePci(uint32_t bus, uint32_t slot, uint32_t offset, const void *buffer,
                           uint32_t size)
{
    return AccessPci(bus, slot, offset, (uint8_t *)buffer, size, true);
}
