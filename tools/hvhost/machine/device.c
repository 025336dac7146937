// device.c - what all devices on the bus have in common: they come with an offer and go with a
// rescind, at run time too, and can be made to lie.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

#include "qapi/qapi-builtin-visit.h"
#include "qapi/visitor.h"

// A second device of a class gets the next instance id.
static void ChooseInstance(VmbusBus *bus, VmbusDevice *device)
{
    VmbusDeviceClass *class = VMBUS_DEVICE_GET_CLASS(device);
    unsigned others = 0;
    BusChild *child;

    if (!qemu_uuid_is_null(&device->instance))
        return;
    QTAILQ_FOREACH(child, &BUS(bus)->children, sibling)
    {
        if (object_get_class(OBJECT(child->child)) == OBJECT_CLASS(class) &&
            child->child != DEVICE(device))
            others++;
    }
    qemu_uuid_parse(class->instance, &device->instance);
    device->instance.data[15] += others;
}

static void RealizeDevice(DeviceState *state, Error **errp)
{
    VmbusDevice *device = VMBUS_DEVICE(state);
    VmbusDeviceClass *class = VMBUS_DEVICE_GET_CLASS(device);
    VmbusBus *bus = VMBUS_BUS(qdev_get_parent_bus(state));
    ERRP_GUARD();

    ChooseInstance(bus, device);
    if (class->realize) {
        class->realize(device, errp);
        if (*errp)
            return;
    }
    device->channel = ChannelNew(bus, device, 0);
    if (device->present)
        VmbusOffer(bus, device->channel);
}

static void UnrealizeDevice(DeviceState *state)
{
    VmbusDevice *device = VMBUS_DEVICE(state);
    VmbusDeviceClass *class = VMBUS_DEVICE_GET_CLASS(device);
    VmbusBus *bus = VMBUS_BUS(qdev_get_parent_bus(state));
    VmbusChannel *channel, *after;

    if (device->channel->relid != 0 && !device->channel->rescinded)
        ChannelRescind(device->channel);
    if (class->unrealize)
        class->unrealize(device);
    HostileForget(&device->liar);
    QTAILQ_FOREACH_SAFE(channel, &bus->channels, next, after)
    {
        if (channel->device != device)
            continue;
        channel->device = NULL;
        if (channel->relid == 0)
            ChannelFree(channel);
    }
}

void VmbusUnplug(HotplugHandler *handler, DeviceState *device, Error **errp)
{
    qdev_unrealize(device);
}

static void ResetDevice(DeviceState *state)
{
    VmbusDevice *device = VMBUS_DEVICE(state);

    if (device->channel)
        ChannelClose(device->channel);
    if (VMBUS_DEVICE_GET_CLASS(device)->reset)
        VMBUS_DEVICE_GET_CLASS(device)->reset(device);
}

static bool GetPresent(Object *object, Error **errp)
{
    return VMBUS_DEVICE(object)->present;
}

// At run time: takes the device away, or offers it again.
static void SetPresent(Object *object, bool present, Error **errp)
{
    VmbusDevice *device = VMBUS_DEVICE(object);
    VmbusChannel *channel = device->channel;

    if (device->present == present)
        return;
    device->present = present;
    if (channel && present)
        VmbusOffer(channel->bus, channel);
    else if (channel && channel->relid != 0 && !channel->rescinded)
        ChannelRescind(channel);
}

static void GetHostile(Object *object, Visitor *visitor, const char *name, void *opaque,
                       Error **errp)
{
    visit_type_uint32(visitor, name, &((HvLiar *)opaque)->seed, errp);
}

static char *GetKinds(Object *object, Error **errp)
{
    bool device = object_dynamic_cast(object, TYPE_VMBUS_DEVICE);

    return HostileKinds(device ? &VMBUS_DEVICE(object)->liar : &Host->bus->liar);
}

static void SetHostile(Object *object, Visitor *visitor, const char *name, void *opaque,
                       Error **errp)
{
    uint32_t seed;

    if (visit_type_uint32(visitor, name, &seed, errp) && Host && Host->bus)
        HostileStart(Host->bus, (VmbusDevice *)object_dynamic_cast(object, TYPE_VMBUS_DEVICE),
                     seed);
}

void VmbusAddHostile(Object *object, HvLiar *liar)
{
    object_property_add(object, "hostile", "uint32", GetHostile, SetHostile, NULL, liar);
    object_property_add_uint64_ptr(object, "hostile-messages", &liar->count, OBJ_PROP_FLAG_READ);
    object_property_add_str(object, "hostile-kinds", GetKinds, NULL);
}

static void InitDevice(Object *object)
{
    VmbusDevice *device = VMBUS_DEVICE(object);

    memset(&device->instance, 0, sizeof(device->instance));
    device->present = true;
    object_property_add_bool(object, "present", GetPresent, SetPresent);
    VmbusAddHostile(object, &device->liar);
}

static Property DeviceProperties[] = {
    DEFINE_PROP_UUID_NODEFAULT("instance", VmbusDevice, instance),
    DEFINE_PROP_BOOL("empty-completions", VmbusDevice, emptyCompletions, true),
    DEFINE_PROP_END_OF_LIST(),
};

static void InitDeviceClass(ObjectClass *class, void *data)
{
    DeviceClass *device = DEVICE_CLASS(class);

    device->bus_type = TYPE_VMBUS_BUS;
    device->realize = RealizeDevice;
    device->unrealize = UnrealizeDevice;
    device->reset = ResetDevice;
    device_class_set_props(device, DeviceProperties);
}

static const TypeInfo Types[] = {
    {
        .name = TYPE_VMBUS_DEVICE,
        .parent = TYPE_DEVICE,
        .abstract = true,
        .instance_size = sizeof(VmbusDevice),
        .instance_init = InitDevice,
        .class_size = sizeof(VmbusDeviceClass),
        .class_init = InitDeviceClass,
    },
};

DEFINE_TYPES(Types)
