// storage.h - what the files of the synthetic SCSI controller's driver share.
// SPDX-License-Identifier: MIT
#pragma once

#include "../drivers.h"

#include "hyperv.h"
#include "synth/synth.h"

#define STORAGE_SLOTS            128u
#define STORAGE_MAXIMUM_TRANSFER (512u * 1024u)
#define STORAGE_CHANNELS         4u // besides the first

typedef struct StorageController StorageController;
typedef struct StorageUnit {
    ListEntry Link; // [t]
    StorageController *Controller;
    SynUnit Address;
    IoBlockDevice Block;
    char Name[32];
} StorageUnit;

typedef struct StorageWaiter { // of a command of the driver's own
    KEvent Event;
    bool Answered; // [l]
    SynCompletion Completion;
} StorageWaiter;

// A command under way. Its number and a count that changes with each use make its transaction id,
// so an answer that comes twice, or late, finds nothing.
typedef struct StorageSlot {
    IoRequest *Request;    // nullptr: a command of the driver's own
    StorageWaiter *Waiter; // of those; nullptr: nobody waits any more
    uint32_t Bytes;
    uint16_t Uses;
    bool Busy;
    uint64_t Deadline;
    void *Bounce; // heap; nullptr: the caller's memory is used
    uint8_t UnmapList[SYN_UNMAP_SIZE];
    SynCompletion Completion;
    uint64_t Frames[STORAGE_MAXIMUM_TRANSFER / PAGE_SIZE + 1];
} StorageSlot;

struct StorageController {
    uint32_t References; // [a] the device's and each unit's
    HvChannel *Channel;
    HvChannel *Channels[1 + STORAGE_CHANNELS]; // [l] the first and those that were added
    uint32_t ChannelCount;                     // [l]
    SynStorage Protocol;                       // constant once started
    KEvent Answered;                           // start: the row of requests is through, or Dead
    KSpinLock Lock;
    volatile bool Ready, Dead; // [l] for changes
    StorageSlot *Slots;
    uint32_t FreeSlots[STORAGE_SLOTS], FreeCount; // [l]
    ListEntry Queue;                              // [l] requests that have no slot yet
    bool Pausing;                                 // [l] the host was busy: until the timer
    bool TimerArmed;                              // [l]
    KTimer Timer;
    KDpc TimerDpc;
    KMutex ChannelMutex; // one opens or closes channels at a time
    KEvent Work, Ended;  // the thread's: look again, or end; has ended
    volatile bool Look, End;
    ListEntry Units; // [t]
    void *Page;      // [t] where the host puts what commands of the driver's own bring
    uint8_t Answer[SYN_LUNS_SIZE]; // [t] and a copy of the last, that does not change
    uint64_t Commands, Retries, Bounces, Failures; // counters
};
// Legend: l Lock; t the controller's thread, and Probe before there is one; a atomic.

// storage.c
// Runs one command with the controller's page as its data. StatusSuccess: *completion says how it
// went, and Answer has what came. PassiveLevel; bounded.
Status StorageRun(StorageController *controller, const SynCommand *command,
                  SynCompletion *completion);
void StorageDereference(StorageController *controller);
void StorageSubmit(IoBlockDevice *device, IoRequest *request);
// scan.c: finds what units there are, and takes those away that are no more.
void StorageScan(StorageController *controller);
void StorageRemoveUnits(StorageController *controller);
// storagedump.c
Status StoragePrepareDump(IoBlockDevice *device, KdDumpDevice *dump);
