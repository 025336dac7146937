// wire.h - the kernel debugger's serial protocol, as WinDbg speaks it: packets, state changes,
// requests and replies. Little-endian; field names are the protocol's.
// SPDX-License-Identifier: MIT
#pragma once

#include "rtl/rtl.h"

// ---- packets: this header, then ByteCount bytes, then for data packets one byte KD_TRAILER.
#define KD_LEADER_DATA    0x30303030u // "0000"
#define KD_LEADER_CONTROL 0x69696969u // "iiii"
#define KD_TRAILER        0xAAu
#define KD_BREAK_IN       0x62u // 'b', outside a packet
#define KD_MAXIMUM_DATA   4000u // ByteCount

typedef enum KdPacketType : uint16_t {
    KdPacketManipulate = 2,
    KdPacketDebugIo = 3,
    KdPacketAcknowledge = 4, // 4 to 6 are control packets
    KdPacketResend = 5,
    KdPacketReset = 6,
    KdPacketStateChange = 7,
    KdPacketTypeLimit = 12,
} KdPacketType;

typedef struct KdPacketHeader {
    uint32_t PacketLeader;
    uint16_t PacketType;
    uint16_t ByteCount;
    uint32_t PacketId;
    uint32_t Checksum; // sum of the data's bytes
} KdPacketHeader;
static_assert(sizeof(KdPacketHeader) == 16);

#define KD_INITIAL_ID 0x80800000u
#define KD_SYNC       0x00000800u // in the id of a sender's first packet: count from here

// ---- registers
typedef struct KdContext { // CONTEXT of AMD64
    uint64_t Home[6];
    uint32_t ContextFlags;
    uint32_t MxCsr;
    uint16_t SegCs, SegDs, SegEs, SegFs, SegGs, SegSs;
    uint32_t EFlags;
    uint64_t Dr0, Dr1, Dr2, Dr3, Dr6, Dr7;
    uint64_t Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13, R14, R15;
    uint64_t Rip;
    uint8_t FloatSave[512]; // FXSAVE image
    uint8_t VectorRegister[26 * 16];
    uint64_t VectorControl;
    uint64_t DebugControl, LastBranchToRip, LastBranchFromRip, LastExceptionToRip,
        LastExceptionFromRip;
} KdContext;
static_assert(sizeof(KdContext) == 0x4D0 && offsetof(KdContext, EFlags) == 0x44 &&
              offsetof(KdContext, Rip) == 0xF8 && offsetof(KdContext, FloatSave) == 0x100);
#define KD_CONTEXT_ALL      0x10001Fu // AMD64: control, integer, segments, floating point, debug
#define KD_CONTEXT_FLOATING 0x000008u
#define KD_CONTEXT_DEBUG    0x000010u

typedef struct KdDescriptorTable {
    uint16_t Padding[3];
    uint16_t Limit;
    uint64_t Base;
} KdDescriptorTable;

typedef struct KdSpecialRegisters { // KSPECIAL_REGISTERS of AMD64
    uint64_t Cr0, Cr2, Cr3, Cr4;
    uint64_t KernelDr0, KernelDr1, KernelDr2, KernelDr3, KernelDr6, KernelDr7;
    KdDescriptorTable Gdtr, Idtr;
    uint16_t Tr, Ldtr;
    uint32_t MxCsr;
    uint64_t DebugControl, LastBranchToRip, LastBranchFromRip, LastExceptionToRip,
        LastExceptionFromRip;
    uint64_t Cr8, MsrGsBase, MsrGsSwap, MsrStar, MsrLStar, MsrCStar, MsrSyscallMask, Xcr0;
} KdSpecialRegisters;
static_assert(sizeof(KdSpecialRegisters) == 0xE0 && offsetof(KdSpecialRegisters, Gdtr) == 0x50 &&
              offsetof(KdSpecialRegisters, Tr) == 0x70 &&
              offsetof(KdSpecialRegisters, Cr8) == 0xA0);

// ---- state changes, target to host
typedef struct KdExceptionRecord { // EXCEPTION_RECORD64
    uint32_t ExceptionCode, ExceptionFlags;
    uint64_t ExceptionRecord, ExceptionAddress;
    uint32_t NumberParameters, Padding;
    uint64_t ExceptionInformation[15];
} KdExceptionRecord;
static_assert(sizeof(KdExceptionRecord) == 0x98);

#define KD_EXCEPTION_BREAKPOINT  0x80000003u
#define KD_EXCEPTION_SINGLE_STEP 0x80000004u
#define KD_EXCEPTION_WAKE        0x80000007u // the host asked for this processor

#define KD_STATE_EXCEPTION    0x3030u
#define KD_STATE_LOAD_SYMBOLS 0x3031u

typedef struct KdControlReport {
    uint64_t Dr6, Dr7;
    uint32_t EFlags;
    uint16_t InstructionCount, ReportFlags;
    uint8_t InstructionStream[16];
    uint16_t SegCs, SegDs, SegEs, SegFs;
} KdControlReport;
static_assert(sizeof(KdControlReport) == 0x30);
#define KD_REPORT_SEGMENTS 1u
#define KD_REPORT_STANDARD 2u // CS is that of 64-bit code of the kernel

typedef struct KdStateChange {
    uint32_t NewState;
    uint16_t ProcessorLevel, Processor;
    uint32_t NumberProcessors, Padding;
    uint64_t Thread, ProgramCounter;
    union {
        struct {
            KdExceptionRecord Record;
            uint32_t FirstChance;
        } Exception;
        struct {
            uint32_t PathNameLength, Padding; // with the NUL; the path follows the structure
            uint64_t BaseOfDll, ProcessId;
            uint32_t CheckSum, SizeOfImage;
            uint8_t UnloadSymbols;
        } LoadSymbols;
    };
    KdControlReport ControlReport;
} KdStateChange;
static_assert(sizeof(KdStateChange) == 0xF0 && offsetof(KdStateChange, Exception) == 0x20 &&
              offsetof(KdStateChange, Exception.FirstChance) == 0xB8 &&
              offsetof(KdStateChange, LoadSymbols.UnloadSymbols) == 0x40 &&
              offsetof(KdStateChange, ControlReport) == 0xC0);

// ---- requests, and replies of the same shape
typedef enum KdApi : uint32_t {
    KdApiFirst = 0x3130,
    KdApiReadVirtual = 0x3130,
    KdApiWriteVirtual = 0x3131,
    KdApiGetContext = 0x3132,
    KdApiSetContext = 0x3133,
    KdApiWriteBreakpoint = 0x3134,
    KdApiRestoreBreakpoint = 0x3135,
    KdApiContinue = 0x3136,
    KdApiReadControlSpace = 0x3137,
    KdApiWriteControlSpace = 0x3138,
    KdApiReadIo = 0x3139,
    KdApiWriteIo = 0x313A,
    KdApiReboot = 0x313B,
    KdApiContinue2 = 0x313C,
    KdApiReadPhysical = 0x313D,
    KdApiWritePhysical = 0x313E,
    KdApiReadIoExtended = 0x3144,
    KdApiWriteIoExtended = 0x3145,
    KdApiGetVersion = 0x3146,
    KdApiWriteBreakpointEx = 0x3147,
    KdApiRestoreBreakpointEx = 0x3148,
    KdApiCrash = 0x3149,
    KdApiSwitchProcessor = 0x3150,
    KdApiReadMsr = 0x3152,
    KdApiWriteMsr = 0x3153,
    KdApiSearch = 0x3156,
    KdApiGetBusData = 0x3157,
    KdApiSetBusData = 0x3158,
    KdApiCheckLowMemory = 0x3159,
    KdApiClearInternalBreakpoints = 0x315A,
    KdApiFill = 0x315B,
    KdApiQueryMemory = 0x315C,
    KdApiGetContextEx = 0x315F,
    KdApiSetContextEx = 0x3160,
    KdApiLast = 0x3160,
} KdApi;

#define KD_STATUS_SUCCESS           0u
#define KD_STATUS_UNSUCCESSFUL      0xC0000001u
#define KD_STATUS_INVALID_PARAMETER 0xC000000Du
#define KD_STATUS_NO_DEVICE         0xC000000Eu // a model specific register that is not there
#define KD_STATUS_MISALIGNED        0x80000002u
#define KD_STATUS_NO_MORE_ENTRIES   0x8000001Au

typedef struct KdVersion { // DBGKD_GET_VERSION64
    uint16_t MajorVersion, MinorVersion;
    uint8_t ProtocolVersion, KdSecondaryVersion;
    uint16_t Flags, MachineType;
    uint8_t MaxPacketType, MaxStateChange, MaxManipulate, Simulation;
    uint16_t Unused;
    uint64_t KernBase, PsLoadedModuleList, DebuggerDataList;
} KdVersion;
static_assert(sizeof(KdVersion) == 0x28);
#define KD_VERSION_MULTIPROCESSOR 1u
#define KD_VERSION_DATA           2u
#define KD_VERSION_POINTERS_64    4u

typedef struct KdManipulate {
    uint32_t ApiNumber;
    uint16_t ProcessorLevel, Processor; // rubbish where the request does not use them
    uint32_t ReturnStatus, Padding;
    union {
        uint8_t Bytes[0x28];
        struct { // read, write: virtual, physical
            uint64_t Address;
            uint32_t TransferCount, ActualBytes;
        } Memory;
        struct {
            uint64_t Address;
            uint32_t Handle;
        } WriteBreakpoint;
        struct {
            uint32_t Handle;
        } RestoreBreakpoint;
        struct __attribute__((packed)) { // Continue and Continue2
            uint32_t Status, TraceFlag;
            uint64_t Dr7, CurrentSymbolStart, CurrentSymbolEnd;
        } Continue;
        struct {
            uint64_t Port;
            uint32_t Size, Value;
        } Io;
        struct {
            uint32_t Size, InterfaceType, BusNumber, AddressSpace;
            uint64_t Port;
            uint32_t Value;
        } IoExtended;
        struct {
            uint32_t Count, Status;
        } BreakpointEx;
        struct {
            uint32_t Msr, Low, High;
        } Msr;
        struct {
            uint64_t Address, Length;
            uint32_t PatternLength;
        } Search;
        struct {
            uint64_t Address;
            uint32_t Length;
            uint16_t Flags, PatternLength;
        } Fill;
        struct {
            uint64_t Address, Reserved;
            uint32_t AddressSpace, Flags;
        } QueryMemory;
        struct {
            uint32_t Type, Bus, Slot, Offset, Length;
        } BusData;
        struct {
            uint32_t Offset, Count, Copied;
        } ContextEx;
        KdVersion Version;
    };
} KdManipulate;
static_assert(sizeof(KdManipulate) == 0x38 && offsetof(KdManipulate, Bytes) == 0x10);
#define KD_MAXIMUM_TRANSFER (KD_MAXIMUM_DATA - (uint32_t)sizeof(KdManipulate))

typedef struct KdBreakpointEx {
    uint64_t Address;
    uint32_t Handle, Padding;
} KdBreakpointEx;

#define KD_FILL_VIRTUAL  1u
#define KD_FILL_PHYSICAL 2u

#define KD_BUS_PCI       4u
#define KD_INTERFACE_ISA 1u

// ---- text, both ways
#define KD_IO_PRINT      0x3230u
#define KD_IO_GET_STRING 0x3231u
typedef struct KdDebugIo {
    uint32_t ApiNumber;
    uint16_t ProcessorLevel, Processor;
    uint32_t Length; // of the text, or of the prompt
    uint32_t Room;   // GetString: bytes the answer may have
} KdDebugIo;
static_assert(sizeof(KdDebugIo) == 16);
#define KD_MAXIMUM_PRINT 512u
