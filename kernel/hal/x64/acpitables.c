// acpitables.c - the few static ACPI tables that are needed before ACPICA runs (ACPI 6.5, 5.2).
//
// Firmware tables are input like any other: signature, length and checksum are verified before a
// table is believed, and lengths are bounded. They lie in memory the loader's direct map covers.
// SPDX-License-Identifier: MIT
#include "hal_private.h"

#include "LoaderParams.h"

#define MAXIMUM_TABLE_SIZE (1u << 20)
#define MAXIMUM_TABLES     256

typedef struct __attribute__((packed)) Rsdp {
    char Signature[8];
    uint8_t Checksum;
    char OemId[6];
    uint8_t Revision;
    uint32_t RsdtAddress;
    uint32_t Length; // from revision 2 on
    uint64_t XsdtAddress;
    uint8_t ExtendedChecksum;
    uint8_t Reserved[3];
} Rsdp;
static_assert(sizeof(Rsdp) == 36, "ACPI 6.5, 5.2.5.3");
#define RSDP_V1_SIZE 20u

typedef struct __attribute__((packed)) TableHeader {
    char Signature[4];
    uint32_t Length;
    uint8_t Revision;
    uint8_t Checksum;
    char OemId[6];
    char OemTableId[8];
    uint32_t OemRevision;
    char CreatorId[4];
    uint32_t CreatorRevision;
} TableHeader;
static_assert(sizeof(TableHeader) == 36, "ACPI 6.5, 5.2.6");

static PhysicalAddress RsdpAddress;

static const void *DirectMap(uint64_t physical)
{
    return physical != 0 && physical < DIRECT_MAP_SIZE ? (const void *)(DIRECT_MAP_BASE + physical)
                                                       : nullptr;
}

static bool SumsToZero(const void *data, size_t size)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
    return sum == 0;
}

static const TableHeader *CheckTable(uint64_t physical)
{
    const TableHeader *table = DirectMap(physical);
    if (table == nullptr || table->Length < sizeof(*table) || table->Length > MAXIMUM_TABLE_SIZE ||
        !SumsToZero(table, table->Length))
        return nullptr;
    return table;
}

void HalpSetRsdp(PhysicalAddress rsdp)
{
    RsdpAddress = rsdp;
}

// The XSDT, or the RSDT where there is none; *entrySize is 8 or 4.
static const TableHeader *FindRootTable(size_t *entrySize)
{
    const Rsdp *rsdp = DirectMap(RsdpAddress);
    if (rsdp == nullptr || memcmp(rsdp->Signature, "RSD PTR ", 8) != 0 ||
        !SumsToZero(rsdp, RSDP_V1_SIZE))
        return nullptr;
    if (rsdp->Revision >= 2 && SumsToZero(rsdp, sizeof(*rsdp))) {
        const TableHeader *xsdt = CheckTable(rsdp->XsdtAddress);
        *entrySize = sizeof(uint64_t);
        if (xsdt != nullptr && memcmp(xsdt->Signature, "XSDT", 4) == 0)
            return xsdt;
    }
    const TableHeader *rsdt = CheckTable(rsdp->RsdtAddress);
    *entrySize = sizeof(uint32_t);
    return rsdt != nullptr && memcmp(rsdt->Signature, "RSDT", 4) == 0 ? rsdt : nullptr;
}

const void *HalFindAcpiTable(const char signature[4], size_t index, size_t *length)
{
    size_t entrySize = 0;
    const TableHeader *root = FindRootTable(&entrySize);
    if (root == nullptr)
        return nullptr;
    size_t count = RTL_MIN((root->Length - sizeof(*root)) / entrySize, (size_t)MAXIMUM_TABLES);
    for (size_t i = 0; i < count; i++) {
        uint64_t physical = 0;
        memcpy(&physical, (const uint8_t *)(root + 1) + i * entrySize, entrySize);
        const TableHeader *table = DirectMap(physical);
        if (table == nullptr || memcmp(table->Signature, signature, 4) != 0 ||
            CheckTable(physical) == nullptr)
            continue;
        if (index-- == 0) {
            *length = table->Length;
            return table;
        }
    }
    return nullptr;
}
