// ahci.h - registers and structures of AHCI 1.3.1, and what the driver's two files share.
// SPDX-License-Identifier: MIT
#pragma once

#include "../drivers.h"

#define AHCI_MAXIMUM_PORTS    32u
#define AHCI_MAXIMUM_SLOTS    32u
#define AHCI_TABLE_SIZE       4096u
#define AHCI_MAXIMUM_TRANSFER (512u * 1024u)

typedef struct AhciPortRegisters { // 3.3
    uint32_t CLB, CLBU, FB, FBU;
    uint32_t IS, IE, CMD, Reserved0;
    uint32_t TFD, SIG, SSTS, SCTL, SERR, SACT, CI, SNTF, FBS, DEVSLP;
    uint32_t Reserved1[10];
    uint32_t VS[4];
} AhciPortRegisters;
static_assert(sizeof(AhciPortRegisters) == 0x80, "AHCI 1.3.1, 3.3");

typedef struct AhciRegisters { // 3.1
    uint32_t CAP, GHC, IS, PI, VS, CCC_CTL, CCC_PORTS, EM_LOC, EM_CTL, CAP2, BOHC;
    uint8_t Reserved[0x100 - 0x2C];
    AhciPortRegisters Ports[AHCI_MAXIMUM_PORTS];
} AhciRegisters;
static_assert(offsetof(AhciRegisters, Ports) == 0x100, "AHCI 1.3.1, 3");

#define CAP_S64A       (1u << 31)
#define CAP_SNCQ       (1u << 30)
#define CAP_NCS(cap)   (((cap) >> 8 & 31) + 1)
#define CAP2_BOH       1u
#define BOHC_BOS       1u
#define BOHC_OOS       2u
#define BOHC_BB        16u
#define GHC_AE         (1u << 31)
#define GHC_IE         2u
#define GHC_HR         1u
#define CMD_ST         1u
#define CMD_SUD        2u
#define CMD_POD        4u
#define CMD_FRE        0x10u
#define CMD_FR         0x4000u
#define CMD_CR         0x8000u
#define CMD_ICC_ACTIVE (1u << 28)
#define CMD_ICC_MASK   (15u << 28)
#define IS_DHRS        1u
#define IS_PSS         2u
#define IS_DSS         4u
#define IS_SDBS        8u
#define IS_PCS         0x40u
#define IS_PRCS        (1u << 22)
#define IS_IFS         (1u << 27)
#define IS_HBDS        (1u << 28)
#define IS_HBFS        (1u << 29)
#define IS_TFES        (1u << 30)
#define IS_FAILURES    (IS_IFS | IS_HBDS | IS_HBFS | IS_TFES)
#define IS_ERRORS      (IS_FAILURES | IS_PRCS | IS_PCS)
#define IS_ENABLED     (IS_DHRS | IS_PSS | IS_DSS | IS_SDBS | IS_ERRORS)
#define TFD_BUSY       0x80u
#define TFD_DRQ        0x08u
#define TFD_ERR        0x01u
#define SSTS_DET(ssts) ((ssts) & 15)
#define DET_NONE       0u
#define DET_PRESENT    3u
#define SIGNATURE_ATA  0x00000101u

typedef struct AhciCommandHeader { // 4.2.2
    uint32_t Flags;                // CFL, W, PRDTL << 16
    uint32_t PRDBC;
    uint32_t CTBA, CTBAU;
    uint32_t Reserved[4];
} AhciCommandHeader;
static_assert(sizeof(AhciCommandHeader) == 32, "AHCI 1.3.1, 4.2.2");
#define HEADER_FIS_DWORDS 5u
#define HEADER_WRITE      (1u << 6)

typedef struct AhciRegion { // physical region descriptor, 4.2.3.3
    uint32_t DBA, DBAU, Reserved;
    uint32_t DBC; // bytes - 1, odd
} AhciRegion;
#define AHCI_REGION_BYTES    (4u * 1024u * 1024u) // at most
#define AHCI_MAXIMUM_REGIONS ((AHCI_TABLE_SIZE - 0x80u) / sizeof(AhciRegion))

typedef struct AhciTable { // 4.2.3
    uint8_t CFIS[64], ACMD[16], Reserved[48];
    AhciRegion PRDT[AHCI_MAXIMUM_REGIONS];
} AhciTable;
static_assert(sizeof(AhciTable) == AHCI_TABLE_SIZE, "a page each");
// Each segment touches at most one page more than its size and its alignment make necessary.
static_assert(AHCI_MAXIMUM_TRANSFER / 4096 + IO_MAXIMUM_SEGMENTS <= AHCI_MAXIMUM_REGIONS,
              "PRDT is long enough");

typedef struct AhciMemory { // of a port; physically contiguous
    AhciCommandHeader Headers[AHCI_MAXIMUM_SLOTS];
    uint8_t ReceivedFis[256];
    uint8_t Identify[512];
    uint8_t Padding[4096 - 1024 - 256 - 512];
    AhciTable Tables[AHCI_MAXIMUM_SLOTS];
} AhciMemory;
static_assert(offsetof(AhciMemory, Tables) == 4096, "tables are page aligned");

typedef struct AhciPort {
    struct AhciHba *Hba;
    uint32_t Number;
    volatile AhciPortRegisters *Registers;
    AhciMemory *Memory;
    PhysicalAddress MemoryPhysical;
    IoBlockDevice Block;
    char Model[41];
    bool Queued;       // native command queuing is used
    uint32_t SlotMask; // the slots there are
    KSpinLock Lock;    // guards what follows
    ListEntry Queue;   // requests that have no slot yet
    IoRequest *Slots[AHCI_MAXIMUM_SLOTS];
    uint32_t Issued; // slots under way
    bool Exclusive;  // the one command under way is not a queued one
    bool Recovering, Dead;
    bool TimerArmed;
    volatile uint32_t Events; // IS bits seen by the interrupt handler and not yet by the DPC
    KDpc Dpc, WatchDpc;
    KTimer Timer;              // watches deadlines; finds completions where there is no interrupt
    uint64_t Commands, Errors; // counters
} AhciPort;

typedef struct AhciHba {
    IoDevice *Device;
    volatile AhciRegisters *Registers;
    uint32_t Capabilities;
    bool HasInterrupt;
    KEvent RecoveryNeeded; // auto-reset: some port has Recovering set
    AhciPort *Ports[AHCI_MAXIMUM_PORTS];
} AhciHba;

// Waits until (*reg & mask) == value, at most `time` nanoseconds. PassiveLevel.
bool AhciWait(volatile uint32_t *reg, uint32_t mask, uint32_t value, uint64_t time);
// Sets up a port with a link; StatusNotSupported: no ATA disk there.
Status AhciStartPort(AhciHba *hba, uint32_t number, AhciPort **port);
void AhciRecoverPort(AhciPort *port); // when Recovering is set; PassiveLevel, waits
// dump.c: one port at a time, the last one asked for.
Status AhciPrepareDump(IoBlockDevice *device, KdDumpDevice *dump);
bool AhciStopEngine(volatile AhciPortRegisters *registers);
