// scan.c - which units a SCSI controller has: found, registered as block devices, and taken away.
//
// Each target is asked for its units, each unit what it is and how large. A unit that is there and
// still the same is left alone; one that is new is registered; one that has gone, or is another
// one, is unregistered. When the host does not answer, nothing is changed.
// SPDX-License-Identifier: MIT
#include "storage.h"

#define TAG_UNIT        MM_TAG('H', 'v', 'U', 'n')
#define TARGETS         2u // that hosts use
#define MAXIMUM_UNITS   64u
#define ATTENTION_TRIES 4u // a unit that has just come says so first

typedef struct Description {
    SynInquiry Inquiry;
    SynCapacity Capacity;
    bool WriteProtected;
} Description;

// Runs a command, again while the unit has something else to say first.
static Status Ask(StorageController *controller, const SynCommand *command,
                  SynCompletion *completion)
{
    Status status = StatusSuccess;
    for (uint32_t i = 0; i < ATTENTION_TRIES && status == StatusSuccess; i++) {
        status = StorageRun(controller, command, completion);
        if (completion->Outcome != SynBusy && (completion->Outcome != SynCheckCondition ||
                                               completion->SenseKey != SynSenseUnitAttention))
            break;
    }
    return status;
}

static Status AskCapacity(StorageController *controller, SynUnit address, bool sixteen,
                          SynCapacity *capacity, bool *known)
{
    SynCommand command;
    SynCompletion completion = {};
    SynBuildReadCapacity(&command, address, sixteen);
    Status status = Ask(controller, &command, &completion);
    *known = status == StatusSuccess && completion.Outcome == SynGood &&
             SynReadCapacity(controller->Answer, completion.Bytes, sixteen, capacity);
    return status;
}

// *there: something that can be read. Errors: the host does not answer.
static Status Describe(StorageController *controller, SynUnit address, Description *description,
                       bool *there)
{
    SynCommand command;
    SynCompletion completion = {};
    *there = false;
    *description = (Description){};
    SynBuildInquiry(&command, address, SYN_INQUIRY_SIZE);
    Status status = Ask(controller, &command, &completion);
    if (status != StatusSuccess || completion.Outcome != SynGood ||
        !SynReadInquiry(controller->Answer, completion.Bytes, &description->Inquiry))
        return status;
    SynInquiry *inquiry = &description->Inquiry;
    if (!inquiry->Present || (inquiry->Type != SynDiskType && inquiry->Type != SynOpticalType))
        return StatusSuccess;
    SynBuildUnitReady(&command, address); // takes what it has to say first
    status = Ask(controller, &command, &completion);
    if (status == StatusSuccess && inquiry->Type == SynDiskType)
        status = AskCapacity(controller, address, true, &description->Capacity, there);
    if (status == StatusSuccess && !*there)
        status = AskCapacity(controller, address, false, &description->Capacity, there);
    if (status != StatusSuccess || !*there)
        return status;
    description->WriteProtected = inquiry->Type == SynOpticalType;
    SynBuildModeSense(&command, address);
    status = Ask(controller, &command, &completion);
    if (status == StatusSuccess && completion.Outcome == SynGood && inquiry->Type == SynDiskType)
        (void)SynReadModeSense(controller->Answer, completion.Bytes, &description->WriteProtected);
    return status;
}

// ---- units

static void DeleteUnit(IoBlockDevice *device)
{
    StorageUnit *unit = device->Context;
    StorageController *controller = unit->Controller;
    MmFreeHeap(unit);
    StorageDereference(controller);
}

static void AddUnit(StorageController *controller, SynUnit address, const Description *description)
{
    StorageUnit *unit = MmAllocateHeap(sizeof(*unit), TAG_UNIT);
    if (!unit)
        return;
    unit->Controller = controller;
    unit->Address = address;
    RtlCopyString(unit->Name, sizeof(unit->Name), description->Inquiry.Name);
    unit->Block = (IoBlockDevice){.SectorCount = description->Capacity.Sectors,
                                  .SectorSize = description->Capacity.SectorSize,
                                  .MaximumTransfer = controller->Protocol.MaximumTransfer,
                                  .ReadOnly = description->WriteProtected,
                                  .Unmaps = description->Capacity.Unmaps,
                                  .Context = unit,
                                  .Delete = DeleteUnit,
                                  .Submit = StorageSubmit,
                                  .PrepareDump = StoragePrepareDump};
    if (IoRegisterBlockDevice(&unit->Block) != StatusSuccess) {
        KeLog(LogWarning, "hyperv: unit %u left alone: %llu sectors of %u bytes", address.Lun,
              (unsigned long long)description->Capacity.Sectors, description->Capacity.SectorSize);
        MmFreeHeap(unit);
        return;
    }
    __atomic_add_fetch(&controller->References, 1, __ATOMIC_RELAXED);
    RtlInsertTail(&controller->Units, &unit->Link);
    KeLog(LogInfo, "hyperv: %s: unit %u, %s, %llu MiB, %u-byte sectors%s%s", unit->Block.Name,
          address.Lun, unit->Name,
          (unsigned long long)(unit->Block.SectorCount * unit->Block.SectorSize >> 20),
          unit->Block.SectorSize, unit->Block.ReadOnly ? ", read-only" : "",
          unit->Block.Unmaps ? ", unmaps" : "");
}

static void RemoveUnit(StorageUnit *unit)
{
    RtlRemoveEntry(&unit->Link);
    KeLog(LogInfo, "hyperv: %s: unit %u is gone", unit->Block.Name, unit->Address.Lun);
    IoUnregisterBlockDevice(&unit->Block);
}

void StorageRemoveUnits(StorageController *controller)
{
    while (!RtlIsListEmpty(&controller->Units))
        RemoveUnit(RTL_CONTAINER_OF(controller->Units.Next, StorageUnit, Link));
}

static StorageUnit *FindUnit(StorageController *controller, SynUnit address)
{
    RTL_FOR_EACH (entry, &controller->Units) {
        StorageUnit *unit = RTL_CONTAINER_OF(entry, StorageUnit, Link);
        if (unit->Address.Target == address.Target && unit->Address.Lun == address.Lun)
            return unit;
    }
    return nullptr;
}

static bool IsSame(const StorageUnit *unit, const Description *description)
{
    return strcmp(unit->Name, description->Inquiry.Name) == 0 &&
           unit->Block.SectorCount == description->Capacity.Sectors &&
           unit->Block.SectorSize == description->Capacity.SectorSize;
}

static Status ScanUnit(StorageController *controller, SynUnit address, bool listed)
{
    Description description = {};
    bool there = false;
    Status status = listed ? Describe(controller, address, &description, &there) : StatusSuccess;
    if (status != StatusSuccess)
        return status;
    StorageUnit *unit = FindUnit(controller, address);
    if (unit && there && IsSame(unit, &description))
        return StatusSuccess;
    if (unit)
        RemoveUnit(unit);
    if (there)
        AddUnit(controller, address, &description);
    return StatusSuccess;
}

// *luns: which units a target says it has; of a target that cannot say, unit 0.
static Status ListUnits(StorageController *controller, uint8_t target, uint64_t *luns)
{
    SynCommand command;
    SynCompletion completion = {};
    SynBuildReportLuns(&command, (SynUnit){.Target = target}, SYN_LUNS_SIZE);
    Status status = Ask(controller, &command, &completion);
    if (status != StatusSuccess)
        return status;
    if (completion.Outcome == SynUnitAbsent)
        *luns = 0;
    else if (completion.Outcome != SynGood ||
             !SynReadLuns(controller->Answer, completion.Bytes, luns))
        *luns = 1;
    return StatusSuccess;
}

void StorageScan(StorageController *controller)
{
    for (uint8_t target = 0; target < TARGETS; target++) {
        uint64_t luns;
        Status status = ListUnits(controller, target, &luns);
        for (uint8_t lun = 0; lun < MAXIMUM_UNITS && status == StatusSuccess; lun++)
            status = ScanUnit(controller, (SynUnit){.Target = target, .Lun = lun}, luns >> lun & 1);
        if (status != StatusSuccess)
            return;
    }
}
