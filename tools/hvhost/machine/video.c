// video.c - the synthetic video adapter (OpenVMM, vm/devices/uidevices/src/video; Linux,
// drivers/video/fbdev/hyperv_fb.c). A pipe; inside, type and size. The guest says where in its
// memory map the VRAM is to lie, which mode it has set, which rectangles it has drawn, and the
// pointer; what is to be seen is only what it has reported.
// SPDX-License-Identifier: MIT
#include "pointer.h"
#include "vmbus.h"

#include "exec/address-spaces.h"
#include "qemu/error-report.h"
#include "sysemu/sysemu.h"
#include "ui/console.h"

#define TYPE_HV_VIDEO "hv-video"
OBJECT_DECLARE_SIMPLE_TYPE(HvVideo, HV_VIDEO)

enum { VramMegabytes = 8, VramPriority = 100, EdidBytes = 128, ModesMax = 32 };

struct HvVideo {
    VmbusDevice parent_obj;
    MemoryRegion vram;
    QemuConsole *console;
    char *firmware; // id of the firmware's VGA adapter
    QemuConsole *firmwareConsole;
    Notifier machineDone;
    bool active, mapped, told;
    bool wantsMap, owesAck;
    uint64_t at, context;
    uint32_t width, height, pitch;
    char *feature; // when FEATURE_CHANGE comes: never, early, late (after the first mode; the
                   // default)
    uint32_t nativeWidth, nativeHeight; // the first of the modes offered
    Pointer pointer;
    uint32_t dirtMessages, dirtRectangles, situations, pointerShapes, pointerMoves;
};

enum {
    VideoVersionRequest = 1,
    VideoVersionResponse,
    VideoVram,
    VideoVramAck,
    VideoSituation,
    VideoSituationAck,
    VideoPointerPosition,
    VideoPointerShape,
    VideoFeatureChange,
    VideoDirt,
    VideoBiosInfo,
    VideoBiosInfoResponse,
    VideoModes,
    VideoModesResponse,
    VideoCapability,
    VideoCapabilityResponse,
};

typedef struct QEMU_PACKED VideoHeader {
    uint32_t type, size;
} VideoHeader;

typedef struct QEMU_PACKED SituationMessage {
    uint64_t context;
    uint8_t count, active;
    uint32_t offset;
    uint8_t depth;
    uint32_t width, height, pitch;
} SituationMessage;

typedef struct QEMU_PACKED VramMessage {
    uint64_t context;
    uint8_t given;
    uint64_t address;
} VramMessage;

typedef struct QEMU_PACKED ModesMessage {
    uint8_t edid[EdidBytes], count, preferred, standard;
    uint16_t mode[ModesMax][2];
} ModesMessage;

static const uint16_t Modes[][2] = {
    {1024, 768}, {640, 480},   {800, 600},   {1280, 720},  {1280, 1024},
    {1600, 900}, {1600, 1050}, {1600, 1200}, {1920, 1080},
};

static void Send(VmbusChannel *channel, uint32_t type, const void *data, uint32_t size)
{
    g_autofree uint8_t *message = g_malloc(sizeof(VideoHeader) + size);
    VideoHeader header = {type, sizeof(header) + size};

    memcpy(message, &header, sizeof(header));
    memcpy(message + sizeof(header), data, size);
    VmbusPipeSend(channel, message, sizeof(header) + size);
}

// ------------------------------------------------------------------------------------- the screen

static void Show(HvVideo *video, int left, int top, int right, int bottom)
{
    DisplaySurface *surface = qemu_console_surface(video->console);
    uint8_t *vram = memory_region_get_ram_ptr(&video->vram);
    uint64_t size = VramMegabytes * MiB;

    left = MAX(left, 0);
    top = MAX(top, 0);
    right = MIN(right, MIN((int)video->width, surface_width(surface)));
    bottom = MIN(bottom, MIN((int)video->height, surface_height(surface)));
    if (left >= right || top >= bottom)
        return;
    PointerLift(&video->pointer, video->console);
    for (int y = top; y < bottom; y++) {
        uint64_t at = (uint64_t)y * video->pitch + left * 4;
        if (at + (right - left) * 4 > size)
            break;
        memcpy((uint8_t *)surface_data(surface) + (size_t)y * surface_stride(surface) + left * 4,
               vram + at, (right - left) * 4);
    }
    dpy_gfx_update(video->console, left, top, right - left, bottom - top);
    PointerLay(&video->pointer, video->console);
}

static void OnPointer(HvVideo *video, uint32_t type, const uint8_t *data, uint32_t length)
{
    PointerLift(&video->pointer, video->console);
    if (type == VideoPointerPosition)
        PointerMove(&video->pointer, data, length);
    else
        PointerShape(&video->pointer, data, length);
    if (video->width != 0)
        PointerLay(&video->pointer, video->console);
}

// Before the guest has set a mode: the firmware's picture.
static void OnUpdate(void *opaque)
{
    HvVideo *video = opaque;
    DisplaySurface *from, *to;

    if (video->width != 0 || !video->firmwareConsole)
        return;
    graphic_hw_update(video->firmwareConsole);
    from = qemu_console_surface(video->firmwareConsole);
    if (surface_bytes_per_pixel(from) != 4)
        return;
    qemu_console_resize(video->console, surface_width(from), surface_height(from));
    to = qemu_console_surface(video->console);
    for (int y = 0; y < surface_height(from); y++)
        memcpy((uint8_t *)surface_data(to) + (size_t)y * surface_stride(to),
               (uint8_t *)surface_data(from) + (size_t)y * surface_stride(from),
               surface_width(from) * 4);
    dpy_gfx_update_full(video->console);
}

static const GraphicHwOps ConsoleOps = {.gfx_update = OnUpdate};

// -----------------------------------------------------------------------------------------
// messages

static void TellFeatures(HvVideo *video, VmbusChannel *channel)
{
    static const uint8_t wanted[5] = {1, 1, 1, 1, 0}; // dirt, position, shape, situation; new EDID

    video->told = true;
    Send(channel, VideoFeatureChange, wanted, sizeof(wanted));
}

// What is to be told of again.
static void Speak(VmbusDevice *device, VmbusChannel *channel)
{
    if (HV_VIDEO(device)->active)
        TellFeatures(HV_VIDEO(device), channel);
}

static bool FeatureAt(const HvVideo *video, const char *when)
{
    return strcmp(video->feature ? video->feature : "late", when) == 0;
}

static void OnVersion(HvVideo *video, VmbusChannel *channel, uint32_t version)
{
    struct QEMU_PACKED {
        uint32_t version;
        uint8_t accepted, outputs;
    } response = {version, (version & 0xFFFF) == 3 ? 2 : 0, 1}; // non-zero is yes, and is not 1

    if (video->active) {
        RingDie(channel, "video-order", "a second version request");
        return;
    }
    video->active = response.accepted != 0;
    Send(channel, VideoVersionResponse, &response, sizeof(response));
    if (video->active && FeatureAt(video, "early"))
        TellFeatures(video, channel);
}

static void Remap(void *opaque)
{
    HvVideo *video = opaque;

    memory_region_transaction_begin();
    if (video->mapped)
        memory_region_del_subregion(get_system_memory(), &video->vram);
    if (video->wantsMap)
        memory_region_add_subregion_overlap(get_system_memory(), video->at, &video->vram,
                                            VramPriority);
    memory_region_transaction_commit();
    video->mapped = video->wantsMap;
    if (video->owesAck)
        Send(video->parent_obj.channel, VideoVramAck, &video->context, sizeof(video->context));
    video->owesAck = false;
}

static void OnVram(HvVideo *video, const VramMessage *message)
{
    if ((message->address & 0xFFF) != 0)
        StrictViolation("video-vram", "VRAM at 0x%" PRIx64, message->address);
    video->wantsMap = message->given;
    video->at = message->address & ~0xFFFull;
    video->context = message->context;
    video->owesAck = true;
    HvTrace("video: VRAM at 0x%" PRIx64, message->address);
    HvWhileStopped(Remap, video);
}

static void OnSituation(HvVideo *video, VmbusChannel *channel, const SituationMessage *message)
{
    uint64_t end = (uint64_t)message->pitch * message->height;
    bool good = message->count == 1 && message->offset == 0 && message->depth == 32 &&
                message->width >= 64 && message->height >= 64 && message->width <= 7680 &&
                message->height <= 4320 && message->pitch >= message->width * 4 &&
                end <= VramMegabytes * MiB;

    HvTrace("video: %ux%u, %u bits, pitch %u, active %u", message->width, message->height,
            message->depth, message->pitch, message->active);
    if (!good)
        StrictViolation("video-situation", "%u outputs, %ux%u, %u bits, pitch %u at 0x%x",
                        message->count, message->width, message->height, message->depth,
                        message->pitch, message->offset);
    Send(channel, VideoSituationAck, &message->context, sizeof(message->context));
    if (good && message->active) {
        video->situations++;
        video->width = message->width;
        video->height = message->height;
        video->pitch = message->pitch;
        PointerLift(&video->pointer, video->console);
        qemu_console_resize(video->console, message->width, message->height);
        if (!video->told && FeatureAt(video, "late"))
            TellFeatures(video, channel);
    }
}

static void OnDirt(HvVideo *video, VmbusChannel *channel, const uint8_t *data, uint32_t length)
{
    uint32_t count = length >= 2 ? data[1] : 0;

    if (length < 2 || count * 16 > length - 2) {
        RingDie(channel, "video-dirt", "%u rectangles in %u bytes", count, length);
        return;
    }
    video->dirtMessages++;
    for (uint32_t i = 0; i < count; i++) {
        int32_t edge[4]; // left, top, right, bottom
        memcpy(edge, data + 2 + i * 16, sizeof(edge));
        if (edge[0] < 0 || edge[1] < 0 || edge[0] > edge[2] || edge[1] > edge[3] ||
            (video->width != 0 &&
             ((uint32_t)edge[2] > video->width || (uint32_t)edge[3] > video->height)))
            StrictViolation("video-dirt", "rectangle %d, %d to %d, %d", edge[0], edge[1], edge[2],
                            edge[3]);
        video->dirtRectangles++;
        Show(video, edge[0], edge[1], edge[2], edge[3]);
    }
}

// VESA E-EDID 1.3: just enough to be one; the preferred mode is in the list of modes.
static void FillEdid(uint8_t *edid)
{
    static const uint8_t head[] = {
        0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x36, 0x68, 0x2E, 0x06,
        0,    0,    0,    0,    0x01, 0x15, 0x01, 0x03, 0x80, 0x20, 0x18, 0x78,
        0x0A, 0xEE, 0x91, 0xA3, 0x54, 0x4C, 0x99, 0x26, 0x0F, 0x50, 0x54,
    };
    static const uint8_t name[18] = "\0\0\0\xFC\0HyperVMonitor";
    uint8_t sum = 0;

    memcpy(edid, head, sizeof(head));
    memset(edid + 38, 1, 16); // no standard timings
    memcpy(edid + 54, name, sizeof(name));
    for (int i = 0; i < EdidBytes - 1; i++)
        sum += edid[i];
    edid[EdidBytes - 1] = -sum;
}

static void SendModes(HvVideo *video, VmbusChannel *channel, uint8_t most)
{
    ModesMessage message = {.standard = 0};
    uint8_t count = 0;

    FillEdid(message.edid);
    if (video->nativeWidth != 0) {
        message.mode[count][0] = video->nativeWidth;
        message.mode[count++][1] = video->nativeHeight;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(Modes); i++, count++)
        memcpy(message.mode[count], Modes[i], sizeof(Modes[i]));
    if (most < 64) // a guest that leaves too little room gets none
        count = 0;
    message.count = count;
    Send(channel, VideoModesResponse, &message, offsetof(ModesMessage, mode) + count * 4);
}

static bool LongEnough(uint32_t type, uint32_t length)
{
    static const uint8_t least[] = {
        [VideoVersionRequest] = 4,
        [VideoVram] = sizeof(VramMessage),
        [VideoSituation] = sizeof(SituationMessage),
        [VideoPointerPosition] = 10,
        [VideoPointerShape] = 18,
        [VideoDirt] = 2,
        [VideoModes] = 1,
        [VideoCapability] = 0,
    };

    return type >= ARRAY_SIZE(least) || length >= least[type];
}

static void OnMessage(HvVideo *video, VmbusChannel *channel, uint32_t type, const uint8_t *data,
                      uint32_t length)
{
    static const uint32_t bios[4] = {1}, capability[16];
    uint32_t version;

    if ((type != VideoVersionRequest && !video->active) || !LongEnough(type, length)) {
        RingDie(channel, "video-order", "message %u of %u bytes", type, length);
        return;
    }
    switch (type) {
    case VideoVersionRequest:
        memcpy(&version, data, sizeof(version));
        OnVersion(video, channel, version);
        break;
    case VideoVram:
        OnVram(video, (const VramMessage *)data);
        break;
    case VideoSituation:
        OnSituation(video, channel, (const SituationMessage *)data);
        break;
    case VideoPointerPosition:
        video->pointerMoves++;
        OnPointer(video, type, data, length);
        break;
    case VideoPointerShape:
        video->pointerShapes++;
        OnPointer(video, type, data, length);
        break;
    case VideoDirt:
        OnDirt(video, channel, data, length);
        break;
    case VideoBiosInfo:
        Send(channel, VideoBiosInfoResponse, bios, sizeof(bios));
        break;
    case VideoModes:
        SendModes(video, channel, data[0]);
        break;
    case VideoCapability:
        Send(channel, VideoCapabilityResponse, capability, sizeof(capability));
        break;
    default:
        RingDie(channel, "video-order", "message %u of %u bytes", type, length);
    }
}

static void OnPacket(VmbusDevice *device, VmbusChannel *channel, VmbusPacket *packet)
{
    VideoHeader header;
    uint8_t *data;
    uint32_t length;

    if (!VmbusPipeOpen(channel, packet, &header, sizeof(header), &data, &length))
        return;
    OnMessage(HV_VIDEO(device), channel, header.type, data, length);
}

// The picture and the place of the VRAM stay.
static void OnClosed(VmbusDevice *device, VmbusChannel *channel)
{
    HvVideo *video = HV_VIDEO(device);

    video->active = video->told = false;
    PointerLift(&video->pointer, video->console);
    video->pointer.shown = false;
}

// The firmware draws again.
static void OnReset(VmbusDevice *device)
{
    HvVideo *video = HV_VIDEO(device);

    video->width = video->height = 0;
    video->pointer.shown = video->pointer.laid = false;
    video->wantsMap = video->owesAck = false;
    HvWhileStopped(Remap, video);
}

// The VGA adapter exists: its memory is ours.
static void ShareMemory(Notifier *notifier, void *data)
{
    HvVideo *video = container_of(notifier, HvVideo, machineDone);
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", video->firmware);
    Object *adapter = object_resolve_path(path, NULL);
    Object *memory = adapter ? object_resolve_path_component(adapter, "vga.vram[0]") : NULL;

    if (!memory) {
        error_report("hv-video: there is no VGA adapter '%s'", video->firmware);
        exit(1);
    }
    memory_region_init_alias(&video->vram, OBJECT(video), "hv-vram", MEMORY_REGION(memory), 0,
                             VramMegabytes * MiB);
    video->firmwareConsole = qemu_console_lookup_by_device(DEVICE(adapter), 0);
}

static void Realize(VmbusDevice *device, Error **errp)
{
    HvVideo *video = HV_VIDEO(device);

    if (video->firmware) {
        video->machineDone.notify = ShareMemory;
        qemu_add_machine_init_done_notifier(&video->machineDone);
    } else {
        memory_region_init_ram_nomigrate(&video->vram, OBJECT(device), "hv-vram",
                                         VramMegabytes * MiB, errp);
    }
    video->console = graphic_console_init(DEVICE(device), 0, &ConsoleOps, video);
}

static void Unrealize(VmbusDevice *device)
{
    HvVideo *video = HV_VIDEO(device);

    graphic_console_close(video->console);
    if (video->mapped)
        memory_region_del_subregion(get_system_memory(), &video->vram);
    video->mapped = false;
}

// At run time: another preferred mode, "1280x800". The guest is told that the EDID has changed,
// asks for the modes again and, if it likes, sets the first of them.
static void SetResolution(Object *object, const char *text, Error **errp)
{
    static const uint8_t changed[5] = {1, 1, 1, 1, 1};
    HvVideo *video = HV_VIDEO(object);
    unsigned width, height;

    if (sscanf(text, "%ux%u", &width, &height) != 2 || width < 64 || height < 64 || width > 7680 ||
        height > 4320) {
        error_setg(errp, "'%s' is not a resolution", text);
        return;
    }
    video->nativeWidth = width;
    video->nativeHeight = height;
    if (video->active)
        Send(video->parent_obj.channel, VideoFeatureChange, changed, sizeof(changed));
}

static char *GetResolution(Object *object, Error **errp)
{
    HvVideo *video = HV_VIDEO(object);

    return g_strdup_printf("%ux%u", video->width, video->height); // as the guest has set it
}

static void InitInstance(Object *object)
{
    HvVideo *video = HV_VIDEO(object);

    object_property_add_str(object, "resolution", GetResolution, SetResolution);
    object_property_add_uint32_ptr(object, "dirt-messages", &video->dirtMessages,
                                   OBJ_PROP_FLAG_READ);
    object_property_add_uint32_ptr(object, "dirt-rectangles", &video->dirtRectangles,
                                   OBJ_PROP_FLAG_READ);
    object_property_add_uint32_ptr(object, "situations", &video->situations, OBJ_PROP_FLAG_READ);
    object_property_add_uint32_ptr(object, "pointer-shapes", &video->pointerShapes,
                                   OBJ_PROP_FLAG_READ);
    object_property_add_uint32_ptr(object, "pointer-moves", &video->pointerMoves,
                                   OBJ_PROP_FLAG_READ);
}

static Property Properties[] = {
    DEFINE_PROP_STRING("firmware", HvVideo, firmware),
    DEFINE_PROP_STRING("feature", HvVideo, feature),
    DEFINE_PROP_UINT32("width", HvVideo, nativeWidth, 0),
    DEFINE_PROP_UINT32("height", HvVideo, nativeHeight, 0),
    DEFINE_PROP_END_OF_LIST(),
};

static void InitClass(ObjectClass *class, void *data)
{
    VmbusDeviceClass *device = VMBUS_DEVICE_CLASS(class);

    device->type = "da0a7802-e377-4aac-8e77-0558eb1073f8";
    device->instance = "5620e0c7-8062-4dce-aeb7-520c7ef76171";
    device->pipe = true;
    device->mmioMegabytes = VramMegabytes;
    device->realize = Realize;
    device->unrealize = Unrealize;
    device->reset = OnReset;
    device->closed = OnClosed;
    device->packet = OnPacket;
    device->speak = Speak;
    device_class_set_props(DEVICE_CLASS(class), Properties);
    set_bit(DEVICE_CATEGORY_DISPLAY, DEVICE_CLASS(class)->categories);
}

static const TypeInfo Types[] = {
    {
        .name = TYPE_HV_VIDEO,
        .parent = TYPE_VMBUS_DEVICE,
        .instance_size = sizeof(HvVideo),
        .instance_init = InitInstance,
        .class_init = InitClass,
    },
};

DEFINE_TYPES(Types)
