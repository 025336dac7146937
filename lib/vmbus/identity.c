// identity.c - who is who on the bus, and the versions of its protocol.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

#include "rtl/rtl.h"

// clang-format off: one class a line
const VmbusGuid VmbusClassKeyboard  = {0xF912AD6D, 0x2B17, 0x48EA, {0xBD, 0x65, 0xF9, 0x27, 0xA6, 0x1C, 0x76, 0x84}};
const VmbusGuid VmbusClassMouse     = {0xCFA8B69E, 0x5B4A, 0x4CC0, {0xB9, 0x8B, 0x8B, 0xA1, 0xA1, 0xF3, 0xF9, 0x5A}};
const VmbusGuid VmbusClassVideo     = {0xDA0A7802, 0xE377, 0x4AAC, {0x8E, 0x77, 0x05, 0x58, 0xEB, 0x10, 0x73, 0xF8}};
const VmbusGuid VmbusClassScsi      = {0xBA6163D9, 0x04A1, 0x4D29, {0xB6, 0x05, 0x72, 0xE2, 0xFF, 0xB1, 0xDC, 0x7F}};
const VmbusGuid VmbusClassNetwork   = {0xF8615163, 0xDF3E, 0x46C5, {0x91, 0x3F, 0xF2, 0xD2, 0xF9, 0x65, 0xED, 0x0E}};
const VmbusGuid VmbusClassShutdown  = {0x0E0B6031, 0x5213, 0x4934, {0x81, 0x8B, 0x38, 0xD9, 0x0C, 0xED, 0x39, 0xDB}};
const VmbusGuid VmbusClassTimeSync  = {0x9527E630, 0xD0AE, 0x497B, {0xAD, 0xCE, 0xE8, 0x0A, 0xB0, 0x17, 0x5C, 0xAF}};
const VmbusGuid VmbusClassHeartbeat = {0x57164F39, 0x9115, 0x4E78, {0xAB, 0x55, 0x38, 0x2F, 0x3B, 0xD5, 0x42, 0x2D}};
const VmbusGuid VmbusClassKeyValue  = {0xA9A0F4E7, 0x5A45, 0x4D96, {0xB8, 0x27, 0x8A, 0x84, 0x1E, 0x8C, 0x03, 0xE6}};
// clang-format on

const uint32_t VmbusVersions[] = {
    VMBUS_VERSION(5, 3), VMBUS_VERSION(5, 2), VMBUS_VERSION(5, 1), VMBUS_VERSION(5, 0),
    VMBUS_VERSION(4, 1), VMBUS_VERSION(4, 0), VMBUS_VERSION(3, 0), 0};

bool VmbusEqualGuids(const VmbusGuid *a, const VmbusGuid *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

void VmbusFormatGuid(const VmbusGuid *guid, char text[VMBUS_GUID_TEXT])
{
    const uint8_t *rest = guid->Data4;
    RtlFormat(text, VMBUS_GUID_TEXT, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
              guid->Data1, guid->Data2, guid->Data3, rest[0], rest[1], rest[2], rest[3], rest[4],
              rest[5], rest[6], rest[7]);
}

const char *VmbusNameOfClass(const VmbusGuid *class)
{
    static const struct {
        const VmbusGuid *Class;
        const char *Name;
    } names[] = {
        {&VmbusClassKeyboard, "keyboard"}, {&VmbusClassMouse, "mouse"},
        {&VmbusClassVideo, "video"},       {&VmbusClassScsi, "scsi"},
        {&VmbusClassNetwork, "network"},   {&VmbusClassShutdown, "shutdown"},
        {&VmbusClassTimeSync, "time"},     {&VmbusClassHeartbeat, "heartbeat"},
        {&VmbusClassKeyValue, "keyvalue"},
    };
    for (size_t i = 0; i < RTL_COUNT_OF(names); i++)
        if (VmbusEqualGuids(class, names[i].Class))
            return names[i].Name;
    return nullptr;
}
