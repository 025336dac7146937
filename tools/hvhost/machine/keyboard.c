// keyboard.c - the synthetic keyboard (OpenVMM, vm/devices/uidevices/src/keyboard). No pipe: raw
// in-band packets. The guest asks for a protocol version; once it is granted each key is an event
// with the make code of scan code set 1. More than one request, or anything else, ends the
// conversation.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

#include "ui/input.h"

#define TYPE_HV_KEYBOARD "hv-keyboard"
OBJECT_DECLARE_SIMPLE_TYPE(HvKeyboard, HV_KEYBOARD)

struct HvKeyboard {
    VmbusDevice parent_obj;
    QemuInputHandlerState *input;
    bool active;
    uint32_t leds;
};

enum { KeyboardRequest = 1, KeyboardResponse = 2, KeyboardEvent = 3, KeyboardLeds = 4 };
enum { KeyBreak = 2, KeyE0 = 4, KeyE1 = 8 };
enum { KeyboardVersion = 0x10000, PacketMax = 64 };

typedef struct QEMU_PACKED EventMessage {
    uint32_t type;
    uint16_t makeCode, reserved;
    uint32_t flags;
} EventMessage;

static void OnKey(DeviceState *state, QemuConsole *console, InputEvent *event)
{
    HvKeyboard *keyboard = HV_KEYBOARD(state);
    InputKeyEvent *key = event->u.key.data;
    uint32_t release = key->down ? 0 : KeyBreak, prefix = 0;
    int codes[4], count = qemu_input_key_value_to_scancode(key->key, key->down, codes);

    for (int i = 0; keyboard->active && i < count; i++) {
        EventMessage message = {.type = KeyboardEvent};
        if (codes[i] == 0xE0 || codes[i] == 0xE1) {
            prefix = codes[i] == 0xE0 ? KeyE0 : KeyE1;
            continue;
        }
        message.makeCode = codes[i] & 0x7F;
        message.flags = release | prefix;
        prefix = 0;
        VmbusSend(keyboard->parent_obj.channel, PacketInBand, 0, 0, NULL, 0, &message,
                  sizeof(message));
    }
}

static QemuInputHandler Handler = {
    .name = "Hyper-V keyboard",
    .mask = INPUT_EVENT_MASK_KEY,
    .event = OnKey,
};

static void Request(HvKeyboard *keyboard, VmbusChannel *channel, uint32_t version)
{
    struct {
        uint32_t type, accepted;
    } response = {KeyboardResponse, version == KeyboardVersion};

    if (keyboard->active) {
        RingDie(channel, "keyboard-order", "a second protocol request");
        return;
    }
    VmbusSend(channel, PacketInBand, 0, 0, NULL, 0, &response, sizeof(response));
    if (response.accepted) {
        keyboard->active = true;
        qemu_input_handler_activate(keyboard->input);
    }
}

static void OnPacket(VmbusDevice *device, VmbusChannel *channel, VmbusPacket *packet)
{
    HvKeyboard *keyboard = HV_KEYBOARD(device);
    uint32_t words[2];

    if (packet->type != PacketInBand || packet->length < sizeof(words) ||
        packet->length > PacketMax) {
        RingDie(channel, "keyboard-packet", "a packet of type %u, %u bytes", packet->type,
                packet->length);
        return;
    }
    if (device->emptyCompletions)
        VmbusComplete(channel, packet, NULL, 0);
    memcpy(words, packet->data, sizeof(words));
    if (words[0] == KeyboardRequest)
        Request(keyboard, channel, words[1]);
    else if (words[0] == KeyboardLeds && keyboard->active)
        keyboard->leds = words[1] & 0xFFFF;
    else
        RingDie(channel, "keyboard-order", "message %u", words[0]);
}

// The left shift key, up and down.
static void Speak(VmbusDevice *device, VmbusChannel *channel)
{
    EventMessage message = {.type = KeyboardEvent, .makeCode = 0x2A};

    message.flags = channel->packetsOut % 2 == 0 ? KeyBreak : 0;
    if (HV_KEYBOARD(device)->active)
        VmbusSend(channel, PacketInBand, 0, 0, NULL, 0, &message, sizeof(message));
}

static void OnClosed(VmbusDevice *device, VmbusChannel *channel)
{
    HvKeyboard *keyboard = HV_KEYBOARD(device);

    keyboard->active = false;
    keyboard->leds = 0;
    qemu_input_handler_deactivate(keyboard->input);
}

static void Realize(VmbusDevice *device, Error **errp)
{
    HV_KEYBOARD(device)->input = qemu_input_handler_register(DEVICE(device), &Handler);
}

static void Unrealize(VmbusDevice *device)
{
    qemu_input_handler_unregister(HV_KEYBOARD(device)->input);
}

static void InitInstance(Object *object)
{
    object_property_add_uint32_ptr(object, "leds", &HV_KEYBOARD(object)->leds, OBJ_PROP_FLAG_READ);
}

static void InitClass(ObjectClass *class, void *data)
{
    VmbusDeviceClass *device = VMBUS_DEVICE_CLASS(class);

    device->type = "f912ad6d-2b17-48ea-bd65-f927a61c7684";
    device->instance = "d34b2567-b9b6-42b9-8778-0a4ec0b955bf";
    device->realize = Realize;
    device->unrealize = Unrealize;
    device->closed = OnClosed;
    device->packet = OnPacket;
    device->speak = Speak;
    set_bit(DEVICE_CATEGORY_INPUT, DEVICE_CLASS(class)->categories);
}

static const TypeInfo Types[] = {
    {
        .name = TYPE_HV_KEYBOARD,
        .parent = TYPE_VMBUS_DEVICE,
        .instance_size = sizeof(HvKeyboard),
        .instance_init = InitInstance,
        .class_init = InitClass,
    },
};

DEFINE_TYPES(Types)
