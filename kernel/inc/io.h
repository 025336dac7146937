// io.h - devices: the tree, drivers that bind to it, PCI, block devices and their cache, input
// events.
// SPDX-License-Identifier: MIT
#pragma once

#include "kd.h"
#include "mm.h"

// ---- drivers and devices. A bus reports a device; the first driver whose Probe takes it gets it.
typedef enum IoBus : uint8_t { IoBusRoot, IoBusPci, IoBusIsa, IoBusVmbus } IoBus;
typedef struct IoDevice IoDevice;
typedef struct IoDriver {
    const char *Name;
    IoBus Bus;
    // StatusSuccess: taken; StatusNotSupported: not mine; else: mine, but it failed (logged).
    Status (*Probe)(IoDevice *device);
    void (*Shutdown)(IoDevice *device); // before power-off; may be nullptr
    void (*Remove)(IoDevice *device);   // it is gone: for buses whose devices can go
} IoDriver;
typedef struct IoPciId {
    uint16_t Vendor, Device;
    uint8_t Class, Subclass, Interface, Revision;
} IoPciId;
struct IoDevice {
    ListEntry Link;
    IoBus Bus;
    char Name[32];          // "pci 00:1f.2"
    const IoDriver *Driver; // nullptr: none
    void *DriverData;
    void *BusData;       // the bus driver's
    uint32_t PciAddress; // bus << 16 | device << 8 | function
    IoPciId Pci;
};
// Starts every bus and driver of the table in drivers.c. Bounded: absent hardware is noticed.
void IoInitialize(const LoaderParams *loader);
void IoShutdown(void); // caches flushed, drivers told
// For bus drivers; PassiveLevel. A device that has come is offered to the drivers; nullptr: no
// memory. One that has gone is taken from its driver and freed.
IoDevice *IoAddDevice(IoBus bus, const char *name, void *busData);
void IoRemoveDevice(IoDevice *device);
void IoForEachDevice(void (*visit)(const IoDevice *device, void *context), void *context);

uint32_t IoPciRead(const IoDevice *device, uint32_t offset, uint32_t size);
void IoPciWrite(const IoDevice *device, uint32_t offset, uint32_t size, uint32_t value);
Status IoPciMapBar(const IoDevice *device, uint32_t bar, void **mapping, size_t *size);
// Enables bus mastering and one MSI or MSI-X vector.
Status IoPciConnectInterrupt(IoDevice *device, HalInterruptHandler *handler, void *context);

// ---- block devices. A driver takes requests without waiting and completes each exactly once.
typedef struct IoBlockDevice IoBlockDevice;
typedef struct IoRequest IoRequest;
typedef enum IoOperation : uint8_t { IoRead, IoWrite, IoFlush, IoUnmap } IoOperation;
// Kernel memory, 4-byte aligned, a multiple of 4 bytes; it may be virtually contiguous only.
typedef struct IoSegment {
    void *Buffer;
    size_t Size;
} IoSegment;
#define IO_MAXIMUM_SEGMENTS 64
struct IoRequest {
    ListEntry Link; // the driver's while the request is under way
    IoOperation Operation;
    Status Result; // valid at completion
    uint64_t Sector;
    uint32_t Count;        // sectors; the segments add up to it; 0 for IoFlush
    uint32_t SegmentCount; // <= IO_MAXIMUM_SEGMENTS; 0 for IoFlush and IoUnmap
    const IoSegment *Segments;
    void (*Complete)(IoRequest *request);       // at PassiveLevel or DispatchLevel, no locks held
    void *Context;                              // the caller's
    uint64_t Deadline;                          // the driver's
    uint32_t Attempts;                          // the driver's; 0 at submission
    void *DriverContext;                        // the driver's
    void (*TracedComplete)(IoRequest *request); // Complete, while the request is traced
};
struct IoBlockDevice {
    ListEntry Link;
    char Name[32]; // "disk0", given by IoRegisterBlockDevice
    uint64_t SectorCount;
    uint32_t SectorSize;      // 512..4096, a power of two
    uint32_t MaximumTransfer; // bytes of one request, a multiple of 4096
    bool ReadOnly;
    bool Unmaps;         // takes IoUnmap: the contents of the sectors do not matter any more
    bool Gone;           // unregistered: every request fails with StatusNoSuchDevice
    uint32_t References; // the driver's from registration on, and users'
    void *Context;       // the driver's
    // The last reference has gone: the memory is the driver's again. nullptr: the device stays.
    void (*Delete)(IoBlockDevice *device);
    // PassiveLevel or DispatchLevel. The range was checked by IoSubmit. IoFlush completes when all
    // writes that completed before it was submitted are on the medium.
    void (*Submit)(IoBlockDevice *device, IoRequest *request);
    // Prepares a way to write while the machine stands still; nullptr: the driver has none.
    Status (*PrepareDump)(IoBlockDevice *device, KdDumpDevice *dump);
};
Status IoRegisterBlockDevice(IoBlockDevice *device); // StatusNotSupported: impossible geometry
// The device is not there any more, and the driver's reference goes: Delete may be called from
// here. What is cached of it is dropped, written or not; requests under way are still the driver's
// to complete. PassiveLevel.
void IoUnregisterBlockDevice(IoBlockDevice *device);
IoBlockDevice *IoFindBlockDevice(size_t index); // with a reference; nullptr past the last
void IoDereferenceBlockDevice(IoBlockDevice *device);
// Checks the request against the device and hands it over; an impossible one completes at once with
// StatusInvalidParameter, StatusReadOnly, StatusNotSupported or StatusNoSuchDevice.
void IoSubmit(IoBlockDevice *device, IoRequest *request);
// The same and waits: whole sectors, a buffer of any alignment (IoUnmap: none), any size.
// PassiveLevel.
Status IoTransfer(IoBlockDevice *device, IoOperation operation, uint64_t sector, size_t count,
                  void *buffer);

// Reads so many megabytes from the first disk, one a request and several under way, for measuring:
// marks MarkTraceBegin and MarkTraceEnd enclose it. PassiveLevel.
Status IoTestDisk(uint32_t megabytes);
// Reads the first megabyte of a device, "disk1", and logs its checksum. Where it holds nothing but
// zeros and can be written, it is written, flushed, read back, and unmapped if the device does
// that, else zeroed again. StatusNoSuchDevice; StatusIoError: what was read is not what was
// written. PassiveLevel.
Status IoTryDisk(const char *name);

// The block cache (write-back, bounded, shrinks under pressure): byte ranges of a partition.
typedef struct IoVolume {
    IoBlockDevice *Device;
    uint64_t FirstSector, SectorCount;
    uint8_t PartitionGuid[16], TypeGuid[16];
} IoVolume;
// GPT (primary, else backup, CRCs checked), else MBR, else the whole disk. A zero GUID: the first
// EFI system partition. The device comes with a reference, which is the volume's.
Status IoFindVolume(const uint8_t partitionGuid[16], IoVolume *volume);
Status IoFindDumpPartition(IoVolume *volume); // the first of the type that crash dumps go to
// Whose memory a buffer is; user memory is of the current process and may turn out to be bad
// (StatusInvalidAddress).
typedef enum IoMemory : uint8_t { IoKernelMemory, IoUserMemory } IoMemory;
// offset and size are bytes from the start of the volume; any alignment. *missed (may be nullptr)
// is set to true when the disk had to be asked. StatusInvalidParameter: outside the volume.
Status IoCacheRead(const IoVolume *volume, uint64_t offset, size_t size, IoMemory memory,
                   void *buffer, bool *missed);
Status IoCacheWrite(const IoVolume *volume, uint64_t offset, size_t size, IoMemory memory,
                    const void *buffer);
Status IoCacheZero(const IoVolume *volume, uint64_t offset, size_t size);
// Starts reading what is not cached yet and returns; the number of bytes asked for. A hint: errors
// vanish.
size_t IoCachePrefetch(const IoVolume *volume, uint64_t offset, size_t size);
// The frame of a page of the disk that begins at offset, in the cache and pinned for a mapping
// (mm.h, MmPager); at most `ahead` bytes behind it may be read too. StatusInvalidParameter: no
// page begins there.
Status IoCachePin(const IoVolume *volume, uint64_t offset, size_t ahead, PhysicalAddress *frame);
// Writes some back when too much is dirty. PassiveLevel.
Status IoCacheThrottle(const IoVolume *volume);
// Everything written so far is on the medium, or the error that prevents it; what could not be
// written stays in the cache and is tried again by the next flush.
Status IoCacheFlush(const IoVolume *volume);
uint64_t IoCacheBytes(void);

// ---- input. Drivers report; the window system consumes.
typedef enum IoInputKind : uint8_t { InputKey, InputMouseRelative, InputMouseAbsolute } IoInputKind;
typedef struct IoInputEvent {
    IoInputKind Kind;
    bool Pressed;     // InputKey
    uint16_t Code;    // InputKey: KeyCode of MetalKeys.h
    int32_t X, Y;     // relative: pixels; absolute: 0..65535 of the screen
    int32_t Wheel;    // notches, positive away from the user
    uint32_t Buttons; // MouseButton... held now
    uint64_t Time;    // KeQueryTime
} IoInputEvent;
void IoReportInput(const IoInputEvent *event); // any level
// Waits for the next event (UserWait semantics do not apply: for the window thread).
Status IoReadInput(IoInputEvent *event, uint64_t timeout);
void IoSetKeyboardLeds(uint32_t modifiers);                   // ModifierCapsLock, ModifierNumLock
void IoRegisterKeyboardLeds(void (*set)(uint32_t modifiers)); // by the keyboard's driver, once
uint64_t IoGetInputDropped(void);

// ---- network adapters: Ethernet frames. The TCP/IP stack is not here.
#define IO_FRAME_HEADER 14u
enum { // IoSendFrame: checksums that the adapter is to compute
    IoChecksumIpHeader = 1,
    IoChecksumTcp4 = 2,
    IoChecksumUdp4 = 4,
    IoChecksumTcp6 = 8,
    IoChecksumUdp6 = 16,
};
enum { // IoFrameListener: what the adapter has found out
    IoFrameIpGood = 1,
    IoFrameIpBad = 2,
    IoFrameTransportGood = 4,
    IoFrameTransportBad = 8,
};
typedef struct IoNetworkDevice IoNetworkDevice;
struct IoNetworkDevice {
    ListEntry Link;
    char Name[16]; // "net0", given by IoRegisterNetworkDevice
    uint32_t Users;
    uint8_t Address[6];
    uint32_t MaximumFrame; // bytes with the header
    uint64_t LinkSpeed;    // bits a second; 0: unknown
    volatile bool LinkUp;
    uint32_t Checksums; // IoChecksum... that it can compute
    void *Context;      // the driver's
    // Takes a copy. Level <= Dispatch. StatusWouldBlock: not now.
    Status (*Send)(IoNetworkDevice *device, const void *frame, size_t size, uint32_t checksums,
                   uint32_t transportOffset);
    struct {
        uint64_t FramesSent, BytesSent, SendErrors;
        uint64_t FramesReceived, BytesReceived, ReceiveErrors;
    } Counters;
};
Status IoRegisterNetworkDevice(IoNetworkDevice *device);
void IoUnregisterNetworkDevice(IoNetworkDevice *device); // PassiveLevel; waits for its users
// nullptr past the last. To be released soon: the device cannot go before.
IoNetworkDevice *IoFindNetworkDevice(size_t index);
void IoReleaseNetworkDevice(IoNetworkDevice *device);
// The frame is checked against the device and copied. Level <= Dispatch.
Status IoSendFrame(IoNetworkDevice *device, const void *frame, size_t size, uint32_t checksums,
                   uint32_t transportOffset);
// By drivers, DispatchLevel: a frame has come.
void IoDeliverFrame(IoNetworkDevice *device, const void *frame, size_t size, uint32_t checked);
// Called for each frame at DispatchLevel, one at a time; must not call IoListenToFrames. There is
// one listener; nullptr: none.
typedef void IoFrameListener(IoNetworkDevice *device, const void *frame, size_t size,
                             uint32_t checked);
void IoListenToFrames(IoFrameListener *listener);
// Asks the first adapter's neighbour at an IPv4 address for an echo, with .15 in the same net as
// its own. StatusTimeout: no answer. PassiveLevel.
Status IoTestNetwork(const uint8_t address[4]);

// ---- power, as a device asks for it (a host, a button): what is registered is called. Level <=
// Dispatch.
void IoRegisterPowerRequest(void (*request)(bool restart));
void IoRequestPower(bool restart);

// ---- ACPI (ports/acpica behind it)
// Starts ACPI from a thread of its own a moment later: tables, namespace, SCI, power button.
// StatusNotFound: no tables.
Status AcpiStart(const LoaderParams *loader);
// Calls found with each range of memory [start, end) that the device with this id, or else the
// nearest one above it, describes. Waits for ACPI to have started. StatusNotFound: no such device.
Status AcpiFindMemory(const char *id, void (*found)(void *context, uint64_t start, uint64_t end),
                      void *context);
// Called at PassiveLevel when the power button is pressed.
void AcpiRegisterPowerButton(void (*pressed)(void));
void AcpiPowerOff(void); // returns only when it failed
