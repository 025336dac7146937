// iop.h - private to io: what its files share.
// SPDX-License-Identifier: MIT
#pragma once

#include "io.h"

// The driver table (kernel/drivers/drivers.c), ended by nullptr.
extern const IoDriver *const IoDriverTable[];

void IopInitializeInput(void);
void IopInitializeCache(void);
void IopTellBlockCounters(KCounterSink *sink);
void IopTellCacheCounters(KCounterSink *sink);
void IopTellNetworkCounters(KCounterSink *sink);
// Forgets what is cached of a device, but for pinned pages; the number of those that were dirty.
uint32_t IopDropDevice(const IoBlockDevice *device);
// Reports every PCI function found to IopAddDevice.
void IopScanPci(void);
// Puts a device on the list and offers it to the drivers.
IoDevice *IopCreateDevice(IoBus bus);
void IopOfferDevice(IoDevice *device);
