// misc.c - texts of statuses, checksums.
// SPDX-License-Identifier: MIT
#include "rtl/rtl.h"

const char *RtlStatusText(Status status)
{
    switch (status) {
#define STATUS_TEXT(name, value, text)                                                             \
    case name:                                                                                     \
        return text;
        METALOS_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "an unknown error";
}

// CRC-32 of IEEE 802.3 (also GPT's, UEFI specification 5.3.2), four bits at a time: the table is
// small enough to read and fast enough for headers.
uint32_t RtlCrc32(uint32_t crc, const void *data, size_t size)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4,
        0x4DB26158, 0x5005713C, 0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C,
        0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    const uint8_t *bytes = data;
    crc = ~crc;
    for (; size; size--) {
        crc ^= *bytes++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}
