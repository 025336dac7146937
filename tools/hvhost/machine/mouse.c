// mouse.c - the synthetic HID pointer (OpenVMM, vm/devices/uidevices/src/mouse). A pipe; inside,
// type and size. The device describes its reports by a HID report descriptor: there are two, as
// hosts differ.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

#include "ui/input.h"

#define TYPE_HV_MOUSE "hv-mouse"
OBJECT_DECLARE_SIMPLE_TYPE(HvMouse, HV_MOUSE)

struct HvMouse {
    VmbusDevice parent_obj;
    QemuInputHandlerState *input;
    enum { MouseClosed, MouseAsked, MouseActive } state;
    bool pan; // the other descriptor: 8-bit wheel and pan
    uint8_t buttons;
    uint16_t x, y;
    int wheel;
};

enum { MouseRequest = 0, MouseResponse, MouseDeviceInfo, MouseDeviceInfoAck, MouseReport };
enum { MouseVersion = 0x20000, DescriptorArea = 128 };

typedef struct QEMU_PACKED MouseHeader {
    uint32_t type, size;
} MouseHeader;

typedef struct QEMU_PACKED InfoMessage {
    uint32_t size; // of the attributes: 32
    uint16_t vendor, product, version, reserved[11];
    uint8_t length, type; // HID descriptor (HID 1.11, 6.2.1)
    uint16_t release;
    uint8_t country, descriptors, reportType;
    uint16_t reportLength;
    uint8_t report[DescriptorArea];
} InfoMessage;

// HID 1.11, 6.2.2: an application collection "mouse" with five buttons, absolute X and Y from 0 to
// 32767, and a wheel.
#define REPORT_HEAD                                                                                \
    0x05, 0x01, 0x09, 0x02, 0xA1, 0x01, 0x09, 0x01, 0xA1, 0x00, /* mouse, pointer */               \
        0x05, 0x09, 0x19, 0x01, 0x29, 0x05, 0x15, 0x00, 0x25, 0x01, 0x95, 0x05, 0x75, 0x01, 0x81,  \
        0x02,                               /* buttons 1 to 5 */                                   \
        0x95, 0x01, 0x75, 0x03, 0x81, 0x01, /* padding */                                          \
        0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x00, 0x26, 0xFF, 0x7F, 0x75, 0x10, 0x95, 0x02,  \
        0x81, 0x02 /* X, Y */

static const uint8_t WideWheel[] = {
    REPORT_HEAD, 0x09, 0x38, 0x16, 0x01, 0x80, 0x26, 0xFF,
    0x7F,        0x75, 0x10, 0x95, 0x01, 0x81, 0x06, // wheel
    0xC0,        0xC0,
};

static const uint8_t WheelAndPan[] = {
    REPORT_HEAD, 0x09, 0x38, 0x15, 0x81, 0x25, 0x7F, 0x75, 0x08, 0x95, 0x01, 0x81, 0x06, // wheel
    0x05,        0x0C, 0x0A, 0x38, 0x02, 0x95, 0x01, 0x81, 0x06,                         // pan
    0xC0,        0xC0,
};

static void Send(VmbusChannel *channel, uint32_t type, const void *data, uint32_t size,
                 uint32_t padded)
{
    g_autofree uint8_t *message = g_malloc0(sizeof(MouseHeader) + padded);
    MouseHeader header = {type, size};

    memcpy(message, &header, sizeof(header));
    memcpy(message + sizeof(header), data, size);
    VmbusPipeSend(channel, message, sizeof(header) + padded);
}

static void OnEvent(DeviceState *state, QemuConsole *console, InputEvent *event)
{
    static const uint8_t bits[INPUT_BUTTON__MAX] = {
        [INPUT_BUTTON_LEFT] = 1, [INPUT_BUTTON_RIGHT] = 2,  [INPUT_BUTTON_MIDDLE] = 4,
        [INPUT_BUTTON_SIDE] = 8, [INPUT_BUTTON_EXTRA] = 16,
    };
    HvMouse *mouse = HV_MOUSE(state);

    if (event->type == INPUT_EVENT_KIND_ABS) {
        InputMoveEvent *move = event->u.abs.data;
        *(move->axis == INPUT_AXIS_X ? &mouse->x : &mouse->y) = move->value;
    } else if (event->type == INPUT_EVENT_KIND_BTN) {
        InputBtnEvent *button = event->u.btn.data;
        if (button->down)
            mouse->buttons |= bits[button->button];
        else
            mouse->buttons &= ~bits[button->button];
        if (button->down)
            mouse->wheel += (button->button == INPUT_BUTTON_WHEEL_UP) -
                            (button->button == INPUT_BUTTON_WHEEL_DOWN);
    }
}

static void OnSync(DeviceState *state)
{
    HvMouse *mouse = HV_MOUSE(state);
    struct QEMU_PACKED {
        uint8_t buttons;
        uint16_t x, y;
        int16_t wheel;
    } wide = {mouse->buttons, mouse->x, mouse->y, mouse->wheel};
    struct QEMU_PACKED {
        uint8_t buttons;
        uint16_t x, y;
        int8_t wheel, pan;
    } pan = {mouse->buttons, mouse->x, mouse->y, mouse->wheel, 0};

    QEMU_BUILD_BUG_ON(sizeof(wide) != sizeof(pan));
    mouse->wheel = 0;
    if (mouse->state == MouseActive)
        Send(mouse->parent_obj.channel, MouseReport, mouse->pan ? (void *)&pan : &wide,
             sizeof(wide), sizeof(wide));
}

static QemuInputHandler Handler = {
    .name = "Hyper-V mouse",
    .mask = INPUT_EVENT_MASK_ABS | INPUT_EVENT_MASK_BTN,
    .event = OnEvent,
    .sync = OnSync,
};

static void Request(HvMouse *mouse, VmbusChannel *channel, uint32_t version)
{
    const uint8_t *report = mouse->pan ? WheelAndPan : WideWheel;
    uint16_t length = mouse->pan ? sizeof(WheelAndPan) : sizeof(WideWheel);
    struct QEMU_PACKED {
        uint32_t version;
        uint8_t accepted;
    } response = {version, version == MouseVersion};
    InfoMessage info = {
        .size = 32,
        .vendor = 0x045E,
        .product = 0x0621,
        .version = 1,
        .length = 9,
        .type = 0x21,
        .release = 0x101,
        .descriptors = 1,
        .reportType = 0x22,
        .reportLength = length,
    };

    Send(channel, MouseResponse, &response, sizeof(response), sizeof(response));
    if (!response.accepted)
        return;
    memcpy(info.report, report, length);
    mouse->state = MouseAsked;
    Send(channel, MouseDeviceInfo, &info, sizeof(info) - DescriptorArea + length, sizeof(info));
}

static void OnPacket(VmbusDevice *device, VmbusChannel *channel, VmbusPacket *packet)
{
    HvMouse *mouse = HV_MOUSE(device);
    MouseHeader header;
    uint8_t *data;
    uint32_t length, version;

    if (!VmbusPipeOpen(channel, packet, &header, sizeof(header), &data, &length))
        return;
    if (header.type == MouseRequest && mouse->state == MouseClosed && length >= sizeof(version)) {
        memcpy(&version, data, sizeof(version));
        Request(mouse, channel, version);
    } else if (header.type == MouseDeviceInfoAck && mouse->state == MouseAsked) {
        mouse->state = MouseActive;
        qemu_input_handler_activate(mouse->input);
    } else {
        RingDie(channel, "mouse-order", "message %u of %u bytes", header.type, length);
    }
}

// The pointer moves.
static void Speak(VmbusDevice *device, VmbusChannel *channel)
{
    HV_MOUSE(device)->x = channel->packetsOut * 1103 % 0x8000;
    OnSync(DEVICE(device));
}

static void OnClosed(VmbusDevice *device, VmbusChannel *channel)
{
    HvMouse *mouse = HV_MOUSE(device);

    mouse->state = MouseClosed;
    qemu_input_handler_deactivate(mouse->input);
}

static void Realize(VmbusDevice *device, Error **errp)
{
    HV_MOUSE(device)->input = qemu_input_handler_register(DEVICE(device), &Handler);
}

static void Unrealize(VmbusDevice *device)
{
    qemu_input_handler_unregister(HV_MOUSE(device)->input);
}

static Property Properties[] = {
    DEFINE_PROP_BOOL("pan", HvMouse, pan, false),
    DEFINE_PROP_END_OF_LIST(),
};

static void InitClass(ObjectClass *class, void *data)
{
    VmbusDeviceClass *device = VMBUS_DEVICE_CLASS(class);

    device->type = "cfa8b69e-5b4a-4cc0-b98b-8ba1a1f3f95a";
    device->instance = "58f75a6d-d949-4320-99e1-a2a2576d581c";
    device->pipe = true;
    device->realize = Realize;
    device->unrealize = Unrealize;
    device->closed = OnClosed;
    device->packet = OnPacket;
    device->speak = Speak;
    device_class_set_props(DEVICE_CLASS(class), Properties);
    set_bit(DEVICE_CATEGORY_INPUT, DEVICE_CLASS(class)->categories);
}

static const TypeInfo Types[] = {
    {
        .name = TYPE_HV_MOUSE,
        .parent = TYPE_VMBUS_DEVICE,
        .instance_size = sizeof(HvMouse),
        .class_init = InitClass,
    },
};

DEFINE_TYPES(Types)
