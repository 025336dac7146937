// entropy.c - random numbers before there is a kernel: every source is folded in, so that a bad one
// cannot spoil a good one.
// SPDX-License-Identifier: MIT
#include "boot.h"

// The finaliser of MurmurHash3 (public domain): each input bit changes half of the output bits.
static uint64_t Mix(uint64_t value)
{
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCDull;
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53ull;
    return value ^ value >> 33;
}

static bool ReadFirmware(uint8_t *buffer, size_t size)
{
    EFI_GUID guid = EFI_RNG_PROTOCOL_GUID;
    EFI_RNG_PROTOCOL *rng;
    return !EFI_ERROR(BootServices->LocateProtocol(&guid, nullptr, (void **)&rng)) &&
           !EFI_ERROR(rng->GetRNG(rng, nullptr, size, buffer));
}

static bool ReadProcessor(uint64_t *value)
{
    constexpr uint32_t hasRdrand = 1u << 30; // CPUID.1:ECX
    if (!(CpuId(1).Ecx & hasRdrand))
        return false;
    for (int attempt = 0; attempt < 10; attempt++) { // Intel SDM 1, 7.3.17: ten is as good as never
        if (CpuReadRandom(value))
            return true;
    }
    return false;
}

uint32_t BootGetEntropy(void *buffer, size_t size)
{
    static uint64_t chain;
    uint8_t *bytes = buffer;
    memset(bytes, 0, size);
    bool firmware = ReadFirmware(bytes, size), processor = true;
    for (size_t offset = 0; offset < size; offset += sizeof(uint64_t)) {
        uint64_t random = 0;
        processor = ReadProcessor(&random) && processor;
        chain = Mix(chain + CpuReadTsc());
        random ^= chain;
        for (size_t i = 0; i < sizeof random && offset + i < size; i++)
            bytes[offset + i] ^= (uint8_t)(random >> (8 * i));
    }
    return firmware ? 2 : processor ? 1 : 0;
}
