// io.h - devices: the tree, drivers that bind to it, PCI, block devices and their cache, input events.
// SPDX-License-Identifier: MIT
#pragma once

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
} IoDriver;
typedef struct IoPciId { uint16_t Vendor, Device; uint8_t Class, Subclass, Interface, Revision; } IoPciId;
struct IoDevice {
    ListEntry Link;
    IoBus Bus;
    char Name[32];          // "pci 00:1f.2"
    const IoDriver *Driver; // nullptr: none
    void *DriverData;
    uint32_t PciAddress;    // bus << 16 | device << 8 | function
    IoPciId Pci;
};
// Starts every bus and driver of the table in drivers.c. Bounded: absent hardware is noticed.
void IoInitialize(const LoaderParams *loader);
void IoShutdown(void); // caches flushed, drivers told
void IoForEachDevice(void (*visit)(const IoDevice *device, void *context), void *context);

uint32_t IoPciRead(const IoDevice *device, uint32_t offset, uint32_t size);
void IoPciWrite(const IoDevice *device, uint32_t offset, uint32_t size, uint32_t value);
Status IoPciMapBar(const IoDevice *device, uint32_t bar, void **mapping, size_t *size);
// Enables bus mastering and one MSI or MSI-X vector.
Status IoPciConnectInterrupt(IoDevice *device, HalInterruptHandler *handler, void *context);

// ---- block devices. Buffers are kernel memory of any alignment; sizes whole sectors.
typedef struct IoBlockDevice IoBlockDevice;
struct IoBlockDevice {
    ListEntry Link;
    char Name[32];          // "disk0"
    uint64_t SectorCount;
    uint32_t SectorSize;
    bool ReadOnly;
    void *Context;
    Status (*Read)(IoBlockDevice *device, uint64_t sector, size_t count, void *buffer);
    Status (*Write)(IoBlockDevice *device, uint64_t sector, size_t count, const void *buffer);
    Status (*Flush)(IoBlockDevice *device);
};
void IoRegisterBlockDevice(IoBlockDevice *device);
IoBlockDevice *IoFindBlockDevice(size_t index); // nullptr past the last

// The block cache (write-back, bounded, shrinks under pressure): byte ranges of a partition.
typedef struct IoVolume { IoBlockDevice *Device; uint64_t FirstSector, SectorCount; uint8_t PartitionGuid[16], TypeGuid[16]; } IoVolume;
// GPT (primary, else backup, CRCs checked), else MBR, else the whole disk.
Status IoFindVolume(const uint8_t partitionGuid[16], IoVolume *volume); // zero GUID: the first EFI system partition
Status IoCacheRead(const IoVolume *volume, uint64_t sector, size_t count, void *buffer);
Status IoCacheWrite(const IoVolume *volume, uint64_t sector, size_t count, const void *buffer);
Status IoCacheFlush(const IoVolume *volume);
uint64_t IoCacheBytes(void);

// ---- input. Drivers report; the window system consumes.
typedef enum IoInputKind : uint8_t { InputKey, InputMouseRelative, InputMouseAbsolute } IoInputKind;
typedef struct IoInputEvent {
    IoInputKind Kind;
    bool Pressed;        // InputKey
    uint16_t Code;       // InputKey: KeyCode of MetalKeys.h
    int32_t X, Y;        // relative: pixels; absolute: 0..65535 of the screen
    int32_t Wheel;       // notches, positive away from the user
    uint32_t Buttons;    // MouseButton... held now
    uint64_t Time;       // KeQueryTime
} IoInputEvent;
void IoReportInput(const IoInputEvent *event); // any level
// Waits for the next event (UserWait semantics do not apply: for the window thread).
Status IoReadInput(IoInputEvent *event, uint64_t timeout);
void IoSetKeyboardLeds(uint32_t modifiers); // ModifierCapsLock, ModifierNumLock
uint64_t IoGetInputDropped(void);

// ---- ACPI (ports/acpica behind it)
Status AcpiStart(const LoaderParams *loader); // tables, namespace, SCI, power button
void AcpiPowerOff(void); // returns only when it failed
