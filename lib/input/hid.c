// hid.c - report descriptors of pointing devices, and their reports (Device Class Definition for
// Human Interface Devices 1.11, 6.2.2 and 8).
//
// A descriptor is a program of short items for a little machine: global items set how the next
// fields look, local items what they mean, and each Input item lays down a row of fields. Only
// input fields of the first report that has X and Y matter here; the others just take their place.
// SPDX-License-Identifier: MIT
#include "input.h"
#include "rtl/rtl.h"

enum { // an item's tag and type; its size is in the two lowest bits
    ItemInput = 0x80,
    ItemCollection = 0xA0,
    ItemEndCollection = 0xC0,
    ItemUsagePage = 0x04,
    ItemLogicalMinimum = 0x14,
    ItemLogicalMaximum = 0x24,
    ItemReportSize = 0x74,
    ItemReportId = 0x84,
    ItemReportCount = 0x94,
    ItemPush = 0xA4,
    ItemPop = 0xB4,
    ItemUsage = 0x08,
    ItemUsageMinimum = 0x18,
    ItemUsageMaximum = 0x28,
    ItemLong = 0xFE,
    InputConstant = 1,
    InputVariable = 2,
    InputRelative = 4,
};
static constexpr uint32_t usageX = 0x10030, usageY = 0x10031, usageWheel = 0x10038,
                          usageButton1 = 0x90001, usageButton5 = 0x90005;
enum { MaximumUsages = 32, MaximumDepth = 16, MaximumBits = 1 << 16 };

typedef struct Globals {
    uint32_t Page;
    int32_t Minimum, Maximum;
    uint32_t MaximumUnsigned;
    uint32_t Size, Count, Id;
} Globals;

typedef struct Parser {
    Globals Global, Stack[4];
    uint32_t StackDepth;
    uint32_t Usages[MaximumUsages], UsageCount, UsageMinimum, UsageMaximum;
    uint32_t Collections;
    uint32_t Bits; // laid down so far in the report of this id
    InputHidPointer Found;
} Parser;

static bool IsWhole(const InputHidPointer *pointer)
{
    return pointer->X.Size != 0 && pointer->Y.Size != 0;
}

static uint32_t UsageOf(const Parser *parser, uint32_t index)
{
    if (parser->UsageCount > 0)
        return parser->Usages[RTL_MIN(index, parser->UsageCount - 1)];
    if (parser->UsageMaximum - parser->UsageMinimum < index)
        return parser->UsageMaximum;
    return parser->UsageMinimum + index;
}

static InputHidField *Place(InputHidPointer *pointer, uint32_t usage)
{
    switch (usage) {
    case usageX:
        return &pointer->X;
    case usageY:
        return &pointer->Y;
    case usageWheel:
        return &pointer->Wheel;
    default:
        return usage >= usageButton1 && usage <= usageButton5
                   ? &pointer->Buttons[usage - usageButton1]
                   : nullptr;
    }
}

static bool LayDown(Parser *parser, uint32_t flags)
{
    const Globals *global = &parser->Global;
    if (global->Size > MaximumBits || global->Count > MaximumBits ||
        (uint64_t)parser->Bits + (uint64_t)global->Size * global->Count > MaximumBits)
        return false;
    bool plain = (flags & (InputConstant | InputVariable)) == InputVariable && global->Size <= 32;
    for (uint32_t i = 0; plain && i < global->Count; i++) {
        InputHidField *field = Place(&parser->Found, UsageOf(parser, i));
        if (field == nullptr || field->Size != 0)
            continue;
        *field = (InputHidField){.Offset = parser->Bits + i * global->Size,
                                 .Size = (uint8_t)global->Size,
                                 .Relative = flags & InputRelative,
                                 .Minimum = global->Minimum,
                                 .Maximum = global->Maximum};
        if (global->Minimum >= 0 && global->Maximum < global->Minimum &&
            global->MaximumUnsigned <= INT32_MAX) // a maximum written without its sign bit
            field->Maximum = (int32_t)global->MaximumUnsigned;
    }
    parser->Bits += global->Size * global->Count;
    return true;
}

// Another report begins; one that was whole is what is looked for.
static bool ChangeReport(Parser *parser, uint32_t id)
{
    if (IsWhole(&parser->Found))
        return false;
    parser->Found = (InputHidPointer){.ReportId = (uint8_t)id};
    parser->Global.Id = id;
    parser->Bits = 8; // the id itself
    return id != 0 && id <= UINT8_MAX;
}

static bool TakeGlobal(Parser *parser, uint32_t item, uint32_t value, int32_t number)
{
    switch (item) {
    case ItemUsagePage:
        parser->Global.Page = value & 0xFFFF;
        return true;
    case ItemLogicalMinimum:
        parser->Global.Minimum = number;
        return true;
    case ItemLogicalMaximum:
        parser->Global.Maximum = number;
        parser->Global.MaximumUnsigned = value;
        return true;
    case ItemReportSize:
        parser->Global.Size = value;
        return true;
    case ItemReportCount:
        parser->Global.Count = value;
        return true;
    case ItemReportId:
        return ChangeReport(parser, value);
    case ItemPush:
        if (parser->StackDepth == RTL_COUNT_OF(parser->Stack))
            return false;
        parser->Stack[parser->StackDepth++] = parser->Global;
        return true;
    case ItemPop:
        if (parser->StackDepth == 0)
            return false;
        parser->Global = parser->Stack[--parser->StackDepth];
        return true;
    default:
        return true; // physical extents, units
    }
}

static void TakeLocal(Parser *parser, uint32_t item, uint32_t value, uint32_t size)
{
    uint32_t usage = size == 4 ? value : parser->Global.Page << 16 | (value & 0xFFFF);
    if (item == ItemUsage && parser->UsageCount < MaximumUsages)
        parser->Usages[parser->UsageCount++] = usage;
    else if (item == ItemUsageMinimum)
        parser->UsageMinimum = usage;
    else if (item == ItemUsageMaximum)
        parser->UsageMaximum = usage;
}

// false: the descriptor ends here, valid or not.
static bool TakeMain(Parser *parser, uint32_t item, uint32_t value)
{
    bool good = true;
    if (item == ItemInput)
        good = LayDown(parser, value);
    else if (item == ItemCollection)
        good = ++parser->Collections <= MaximumDepth;
    else if (item == ItemEndCollection)
        good = parser->Collections-- > 1 || !IsWhole(&parser->Found);
    parser->UsageCount = parser->UsageMinimum = parser->UsageMaximum = 0;
    return good && parser->Collections <= MaximumDepth;
}

static bool TakeItem(Parser *parser, uint32_t prefix, const uint8_t *data, uint32_t size)
{
    uint32_t value = 0, item = prefix & 0xFC;
    for (uint32_t i = 0; i < size; i++)
        value |= (uint32_t)data[i] << 8 * i;
    int32_t number = size == 1 ? (int8_t)value : size == 2 ? (int16_t)value : (int32_t)value;
    switch (prefix & 0x0C) {
    case 0x00:
        return TakeMain(parser, item, value);
    case 0x04:
        return TakeGlobal(parser, item, value, number);
    case 0x08:
        TakeLocal(parser, item, value, size);
        return true;
    default:
        return true; // reserved
    }
}

bool InputParsePointer(InputHidPointer *pointer, const void *descriptor, size_t size)
{
    const uint8_t *bytes = descriptor;
    Parser parser = {};
    for (size_t at = 0; at < size;) {
        uint32_t prefix = bytes[at++];
        if (prefix == ItemLong) {
            if (size - at < 2)
                return false;
            at += 2 + (size_t)bytes[at];
            continue;
        }
        uint32_t length = (prefix & 3) == 3 ? 4 : prefix & 3;
        if (size - at < length)
            return false;
        if (!TakeItem(&parser, prefix, bytes + at, length))
            break;
        at += length;
    }
    *pointer = parser.Found;
    return IsWhole(&parser.Found);
}

// ---- reports

static int64_t Extract(const InputHidField *field, const uint8_t *report)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < field->Size; i++) {
        uint32_t bit = field->Offset + i;
        value |= (uint64_t)(report[bit / 8] >> bit % 8 & 1) << i;
    }
    if (field->Minimum < 0 && field->Size < 64 && value >> (field->Size - 1) & 1)
        return (int64_t)value - (int64_t)(1ull << field->Size);
    return (int64_t)value;
}

static bool Fits(const InputHidField *field, size_t size)
{
    return (uint64_t)field->Offset + field->Size <= (uint64_t)size * 8;
}

static int64_t Clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

// 0..65535 between the field's extremes.
static int32_t Scale(const InputHidField *field, int64_t value)
{
    int64_t range = (int64_t)field->Maximum - field->Minimum;
    if (range <= 0)
        return 0;
    return (int32_t)((Clamp(value, field->Minimum, field->Maximum) - field->Minimum) * 65535 /
                     range);
}

bool InputDecodePointer(const InputHidPointer *pointer, const void *report, size_t size,
                        InputPointerEvent *event)
{
    const uint8_t *bytes = report;
    if (size == 0 || (pointer->ReportId != 0 && bytes[0] != pointer->ReportId) ||
        !Fits(&pointer->X, size) || !Fits(&pointer->Y, size) || !Fits(&pointer->Wheel, size))
        return false;
    *event = (InputPointerEvent){.Relative = pointer->X.Relative};
    int64_t x = Extract(&pointer->X, bytes), y = Extract(&pointer->Y, bytes);
    static constexpr int32_t far = 1 << 20; // no screen is wider
    event->X = event->Relative ? (int32_t)Clamp(x, -far, far) : Scale(&pointer->X, x);
    event->Y = event->Relative ? (int32_t)Clamp(y, -far, far) : Scale(&pointer->Y, y);
    if (pointer->Wheel.Size != 0)
        event->Wheel = (int32_t)Clamp(Extract(&pointer->Wheel, bytes), INT16_MIN, INT16_MAX);
    for (uint32_t i = 0; i < RTL_COUNT_OF(pointer->Buttons); i++) {
        const InputHidField *field = &pointer->Buttons[i];
        if (field->Size != 0 && Fits(field, size) && Extract(field, bytes) != 0)
            event->Buttons |= 1u << i;
    }
    return true;
}
