// scsi.c - the synthetic SCSI controller, in front of QEMU's SCSI disks and drives (OpenVMM,
// vm/devices/storage/storvsp; storvsp_protocol; Linux, drivers/scsi/storvsc_drv.c). No pipe.
//
//     -device hv-scsi,id=scsi -device scsi-hd,bus=scsi.0,lun=0,drive=...
//
// Each request wants a completion that is as long as the request. The controller is set up once by
// begin, version, properties, [sub-channels,] end; anything else meanwhile is refused. A request's
// data is exactly one range of memory.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

#include "exec/address-spaces.h"
#include "hw/scsi/scsi.h"
#include "scsi/constants.h"
#include "sysemu/dma.h"

#define TYPE_HV_SCSI "hv-scsi"
OBJECT_DECLARE_SIMPLE_TYPE(HvScsi, HV_SCSI)

typedef enum ScsiState { ScsiClosed, ScsiBegun, ScsiVersioned, ScsiKnown, ScsiReady } ScsiState;

struct HvScsi {
    VmbusDevice parent_obj;
    SCSIBus bus;
    uint32_t maxTransfer;
    uint16_t subChannels; // at most so many are granted
    bool refuse62;        // as OpenVMM does
    ScsiState state;
    uint64_t requests;
};

enum {
    OperationComplete = 1,
    OperationRemoveDevice = 2,
    OperationExecute = 3,
    OperationResetLun = 4,
    OperationResetAdapter = 5,
    OperationResetBus = 6,
    OperationBegin = 7,
    OperationEnd = 8,
    OperationVersion = 9,
    OperationProperties = 10,
    OperationEnumerate = 11, // to the guest: look for disks again
    OperationSubChannels = 13,
};

// NTSTATUS values of answers.
enum {
    StatusSuccess = 0,
    StatusOverrun = (int)0x80000005,
    StatusBusy = (int)0x80000011,
    StatusInvalidParameter = (int)0xC000000D,
    StatusRevisionMismatch = (int)0xC0000059,
    StatusNoSuchLun = (int)0xC00000C0,
    StatusAborted = (int)0xC0000120,
    StatusInvalidState = (int)0xC0000184,
    StatusIoError = (int)0xC0000185,
};

enum {
    SrbSuccess = 1,
    SrbAborted = 2,
    SrbError = 4,
    SrbInvalidRequest = 6,
    SrbOverrun = 0x12,
    SrbInvalidLun = 0x20,
    SrbSenseValid = 0x80,
    SenseBytes = 20,
    DataOut = 0, // Srb.dataIn
    DataIn = 1,
    DataNone = 2,
};

typedef struct QEMU_PACKED Srb {
    uint16_t length;
    uint8_t status, scsiStatus;
    uint8_t port, path, target, lun;
    uint8_t cdbLength, senseLength, dataIn, reserved;
    uint32_t bytes;
    union {
        uint8_t cdb[16];
        uint8_t sense[SenseBytes];
    };
    uint16_t reserved2;
    uint8_t queueTag, queueAction;
    uint32_t flags, timeout, sortKey;
} Srb;
QEMU_BUILD_BUG_ON(sizeof(Srb) != 0x34);

typedef struct QEMU_PACKED ScsiMessage {
    uint32_t operation, flags, status;
    union {
        Srb srb;
        struct QEMU_PACKED {
            uint32_t reserved;
            uint16_t maxSubChannels, reserved1;
            uint32_t flags, maxTransfer; // flag 1: more than one channel
            uint64_t reserved2;
        } properties;
        struct QEMU_PACKED {
            uint16_t version, revision;
        } version;
        uint16_t subChannels;
        uint8_t raw[0x34];
    };
} ScsiMessage;
QEMU_BUILD_BUG_ON(sizeof(ScsiMessage) != 64);
enum { OldMessageBytes = 12 + 0x24 }; // before version 5.1

typedef struct Request {
    HvScsi *scsi;
    VmbusChannel *channel;
    uint64_t tid;
    uint32_t length; // of the request, and so of the answer
    ScsiMessage message;
    QEMUSGList segments;
} Request;

static void Answer(VmbusChannel *channel, uint64_t tid, const ScsiMessage *message, uint32_t length,
                   uint32_t status)
{
    ScsiMessage answer = *message;

    answer.operation = OperationComplete;
    answer.status = status;
    VmbusSend(channel, PacketCompletion, 0, tid, NULL, 0, &answer, MIN(length, sizeof(answer)));
}

// -----------------------------------------------------------------------------------------
// requests

static uint32_t StatusOf(uint8_t srbStatus)
{
    switch (srbStatus & 0x3F) {
    case SrbSuccess:
        return StatusSuccess;
    case SrbAborted:
        return StatusAborted;
    case SrbOverrun:
        return StatusOverrun;
    case SrbInvalidLun:
        return StatusNoSuchLun;
    default:
        return StatusIoError;
    }
}

// Answers a request and frees it. The address comes back as zeros, as from real hosts.
static void Finish(Request *request, uint8_t srbStatus, uint8_t scsiStatus, uint32_t bytes)
{
    Srb *srb = &request->message.srb;

    srb->status = srbStatus;
    srb->scsiStatus = scsiStatus;
    srb->port = srb->path = srb->target = srb->lun = 0;
    srb->cdbLength = 16;
    srb->senseLength = SenseBytes;
    srb->bytes = bytes;
    Answer(request->channel, request->tid, &request->message, request->length, StatusOf(srbStatus));
    ChannelEnd(request->channel);
    qemu_sglist_destroy(&request->segments);
    g_free(request);
}

// A check condition; what the request itself is to blame for is "invalid request", not "error".
static void FinishWithSense(Request *request, const uint8_t *sense, int length)
{
    Srb *srb = &request->message.srb;
    bool illegal = length > 2 && (sense[2] & 0x0F) == ILLEGAL_REQUEST;

    memset(srb->sense, 0, sizeof(srb->sense));
    memcpy(srb->sense, sense, MIN(length, SenseBytes));
    Finish(request, (illegal ? SrbInvalidRequest : SrbError) | SrbSenseValid, CHECK_CONDITION, 0);
}

// The beginning of what a disk says - which units, of what size, what is on it - may be a lie.
static void LieAboutData(Request *request, bool fromDisk)
{
    HvLiar *liar = &request->scsi->parent_obj.liar;
    QEMUSGList *segments = &request->segments;
    uint8_t bytes[64];

    if (liar->seed == 0 || !fromDisk || segments->nsg == 0 || segments->sg[0].len < sizeof(bytes))
        return;
    address_space_read(&address_space_memory, segments->sg[0].base, MEMTXATTRS_UNSPECIFIED, bytes,
                       sizeof(bytes));
    HostileData(liar, bytes, sizeof(bytes));
    address_space_write(&address_space_memory, segments->sg[0].base, MEMTXATTRS_UNSPECIFIED, bytes,
                        sizeof(bytes));
}

static void OnComplete(SCSIRequest *scsi, size_t residual)
{
    Request *request = scsi->hba_private;
    uint32_t bytes = request->message.srb.bytes;
    uint8_t sense[SCSI_SENSE_BUF_SIZE];

    scsi->hba_private = NULL;
    LieAboutData(request, scsi->cmd.mode == SCSI_XFER_FROM_DEV);
    if (scsi->host_status != SCSI_HOST_OK)
        Finish(request, SrbError, scsi->status, 0);
    else if (scsi->status == CHECK_CONDITION)
        FinishWithSense(request, sense, scsi_req_get_sense(scsi, sense, sizeof(sense)));
    else if (scsi->status != GOOD)
        Finish(request, SrbError, scsi->status, 0);
    else
        Finish(request, SrbSuccess, GOOD, bytes - MIN(residual, bytes));
    scsi_req_unref(scsi);
}

static void OnCancel(SCSIRequest *scsi)
{
    Request *request = scsi->hba_private;

    if (!request)
        return;
    scsi->hba_private = NULL;
    Finish(request, SrbAborted, 0, 0);
    scsi_req_unref(scsi);
}

static QEMUSGList *SegmentsOf(SCSIRequest *scsi)
{
    return &((Request *)scsi->hba_private)->segments;
}

static const SCSIBusInfo BusInfo = {
    .tcq = true,
    .max_channel = 0,
    .max_target = 1,
    .max_lun = 63,
    .complete = OnComplete,
    .cancel = OnCancel,
    .get_sg_list = SegmentsOf,
};

// Nothing is there. INQUIRY says so, REPORT LUNS gives an empty list, so that a scan goes on;
// others get "invalid LUN", which Linux takes as the order to drop that LUN.
static void AnswerAbsent(Request *request)
{
    // SPC-3, LOGICAL UNIT NOT SUPPORTED; fixed format.
    static const uint8_t notSupported[18] = {0x70, 0, ILLEGAL_REQUEST, [7] = 10, [12] = 0x25};
    Srb *srb = &request->message.srb;
    uint8_t data[36] = {0};
    uint32_t length;
    dma_addr_t left;

    if (srb->cdb[0] == INQUIRY && (srb->cdb[1] & 1) != 0) {
        FinishWithSense(request, notSupported, sizeof(notSupported));
        return;
    }
    if (srb->cdb[0] != INQUIRY && srb->cdb[0] != REPORT_LUNS) {
        Finish(request, SrbInvalidLun, CHECK_CONDITION, 0);
        return;
    }
    length = MIN(srb->bytes, srb->cdb[0] == INQUIRY ? sizeof(data) : 8);
    if (srb->cdb[0] == INQUIRY)
        memcpy(data, "\x7F\0\5\2\x1F", 5); // qualifier 3, no device; SPC-3
    dma_buf_read(data, length, &left, &request->segments, MEMTXATTRS_UNSPECIFIED);
    Finish(request, SrbSuccess, GOOD, length);
}

// The data that the command's own bytes speak of and the direction have to agree.
static void CheckDirection(const Srb *srb, const SCSIRequest *scsi)
{
    uint8_t wanted = scsi->cmd.mode == SCSI_XFER_TO_DEV     ? DataOut
                     : scsi->cmd.mode == SCSI_XFER_FROM_DEV ? DataIn
                                                            : DataNone;

    if (srb->bytes != 0 && wanted != DataNone && srb->dataIn != wanted)
        StrictViolation("scsi-direction", "command 0x%02x with direction %u", srb->cdb[0],
                        srb->dataIn);
    if (scsi->cmd.xfer > srb->bytes)
        StrictViolation("scsi-bytes", "command 0x%02x moves %zu bytes, the request has %u",
                        srb->cdb[0], (size_t)scsi->cmd.xfer, srb->bytes);
}

static void Execute(HvScsi *scsi, VmbusChannel *channel, VmbusPacket *packet,
                    const ScsiMessage *message)
{
    Request *request = g_new0(Request, 1);
    const Srb *srb = &message->srb;
    SCSIDevice *device;
    SCSIRequest *command;

    scsi->requests++;
    request->scsi = scsi;
    request->channel = channel;
    request->tid = packet->tid;
    request->length = packet->length;
    request->message = *message;
    qemu_sglist_init(&request->segments, DEVICE(scsi), MAX(packet->segmentCount, 1),
                     &address_space_memory);
    for (uint32_t i = 0, left = srb->bytes; i < packet->segmentCount && left != 0; i++) {
        uint32_t part = MIN(left, packet->segments[i].length);
        qemu_sglist_add(&request->segments, packet->segments[i].address, part);
        left -= part;
    }
    ChannelBegin(channel);
    device = srb->path != 0 ? NULL : scsi_device_find(&scsi->bus, 0, srb->target, srb->lun);
    if (!device || (device->lun != srb->lun && srb->cdb[0] != REPORT_LUNS)) {
        AnswerAbsent(request);
        return;
    }
    command = scsi_req_new(device, 0, srb->lun, (uint8_t *)srb->cdb, srb->cdbLength, request);
    CheckDirection(srb, command);
    if (command->cmd.xfer > srb->bytes) {
        command->hba_private = NULL;
        scsi_req_unref(command);
        Finish(request, SrbOverrun, 0, 0);
        return;
    }
    if (scsi_req_enqueue(command) != 0)
        scsi_req_continue(command);
}

// What kills the channel on the real host.
static bool GoodRequest(HvScsi *scsi, VmbusChannel *channel, VmbusPacket *packet,
                        const ScsiMessage *message)
{
    const Srb *srb = &message->srb;

    if (srb->length != sizeof(*srb))
        StrictViolation("scsi-length", "a request that says it has %u bytes", srb->length);
    if (srb->bytes > scsi->maxTransfer)
        StrictViolation("scsi-transfer", "a request of %u bytes", srb->bytes);
    if (srb->cdbLength == 0 || srb->cdbLength > sizeof(srb->cdb)) {
        RingDie(channel, "scsi-cdb", "a command of %u bytes", srb->cdbLength);
        return false;
    }
    if (packet->type == PacketGpaDirect
            ? packet->rangeCount != 1 || packet->segmentBytes < srb->bytes
            : srb->bytes != 0) {
        RingDie(channel, "scsi-ranges", "%u bytes in %u ranges of %u bytes", srb->bytes,
                packet->rangeCount, packet->segmentBytes);
        return false;
    }
    return true;
}

// --------------------------------------------------------------------------------------------
// set-up

static uint32_t OnVersion(HvScsi *scsi, uint16_t version)
{
    bool known = version == 0x200 || version == 0x402 || version == 0x501 || version == 0x600 ||
                 (version == 0x602 && !scsi->refuse62);

    if (known)
        scsi->state = ScsiVersioned;
    return known ? StatusSuccess : StatusRevisionMismatch;
}

static void OnProperties(HvScsi *scsi, ScsiMessage *message)
{
    memset(message->raw, 0, sizeof(message->raw));
    message->properties.maxSubChannels = scsi->subChannels;
    message->properties.flags = scsi->subChannels != 0;
    message->properties.maxTransfer = scsi->maxTransfer;
    scsi->state = ScsiKnown;
}

// The one order in which set-up goes; whether the operation may come now.
static bool InOrder(ScsiState state, uint32_t operation)
{
    switch (operation) {
    case OperationBegin:
        return state == ScsiClosed;
    case OperationVersion:
        return state == ScsiBegun;
    case OperationProperties:
        return state == ScsiVersioned;
    case OperationSubChannels: // Linux asks after the end, OpenVMM's clients before
        return state == ScsiKnown || state == ScsiReady;
    case OperationEnd:
        return state == ScsiKnown;
    default:
        return state == ScsiReady;
    }
}

static void OnMessage(HvScsi *scsi, VmbusChannel *channel, VmbusPacket *packet,
                      ScsiMessage *message)
{
    uint32_t status = StatusSuccess, granted = 0;

    if (!InOrder(scsi->state, message->operation)) {
        StrictViolation("scsi-order", "operation %u", message->operation);
        Answer(channel, packet->tid, message, packet->length, StatusInvalidState);
        return;
    }
    switch (message->operation) {
    case OperationExecute:
        if (GoodRequest(scsi, channel, packet, message))
            Execute(scsi, channel, packet, message);
        return;
    case OperationBegin:
        scsi->state = ScsiBegun;
        break;
    case OperationVersion:
        status = OnVersion(scsi, message->version.version);
        break;
    case OperationProperties:
        OnProperties(scsi, message);
        break;
    case OperationSubChannels:
        granted = message->subChannels <= scsi->subChannels ? message->subChannels : 0;
        status = message->subChannels <= scsi->subChannels ? StatusSuccess : StatusInvalidParameter;
        break;
    case OperationEnd:
        scsi->state = ScsiReady;
        break;
    default: // resets
        break;
    }
    Answer(channel, packet->tid, message, packet->length, status);
    ChannelAddSubs(channel, granted);
}

static void OnPacket(VmbusDevice *device, VmbusChannel *channel, VmbusPacket *packet)
{
    HvScsi *scsi = HV_SCSI(device);
    ScsiMessage message = {0};

    if (packet->type == PacketCompletion || (packet->flags & PacketWantsCompletion) == 0 ||
        packet->length < OldMessageBytes) {
        RingDie(channel, "scsi-packet", "a packet of type %u, flags %u, %u bytes", packet->type,
                packet->flags, packet->length);
        return;
    }
    memcpy(&message, packet->data, MIN(packet->length, sizeof(message)));
    if (message.operation <= OperationRemoveDevice || message.operation == OperationEnumerate ||
        message.operation > OperationSubChannels || message.operation == 12)
        RingDie(channel, "scsi-operation", "operation %u", message.operation);
    else if (channel->subIndex != 0 && message.operation > OperationResetBus)
        RingDie(channel, "scsi-operation", "operation %u on a sub-channel", message.operation);
    else
        OnMessage(scsi, channel, packet, &message);
}

static void OnClosed(VmbusDevice *device, VmbusChannel *channel)
{
    if (channel->subIndex == 0)
        HV_SCSI(device)->state = ScsiClosed;
}

// --------------------------------------------------------------------------- disks that come and
// go

static void TellDisksChanged(HvScsi *scsi)
{
    ScsiMessage message = {.operation = OperationEnumerate};

    if (scsi->state == ScsiReady)
        VmbusSend(scsi->parent_obj.channel, PacketInBand, 0, 0, NULL, 0, &message, sizeof(message));
}

static void Speak(VmbusDevice *device, VmbusChannel *channel)
{
    TellDisksChanged(HV_SCSI(device));
}

static void OnPlug(HotplugHandler *handler, DeviceState *disk, Error **errp)
{
    TellDisksChanged(HV_SCSI(handler));
}

static void OnUnplug(HotplugHandler *handler, DeviceState *disk, Error **errp)
{
    qdev_unrealize(disk);
    TellDisksChanged(HV_SCSI(handler));
}

static void Realize(VmbusDevice *device, Error **errp)
{
    HvScsi *scsi = HV_SCSI(device);

    scsi_bus_init(&scsi->bus, sizeof(scsi->bus), DEVICE(device), &BusInfo);
    qbus_set_hotplug_handler(BUS(&scsi->bus), OBJECT(device));
}

static void InitInstance(Object *object)
{
    object_property_add_uint64_ptr(object, "requests", &HV_SCSI(object)->requests,
                                   OBJ_PROP_FLAG_READ);
}

static Property Properties[] = {
    DEFINE_PROP_UINT32("max-transfer", HvScsi, maxTransfer, 0x40000),
    DEFINE_PROP_UINT16("sub-channels", HvScsi, subChannels, 0),
    DEFINE_PROP_BOOL("refuse-6.2", HvScsi, refuse62, false),
    DEFINE_PROP_END_OF_LIST(),
};

static void InitClass(ObjectClass *class, void *data)
{
    VmbusDeviceClass *device = VMBUS_DEVICE_CLASS(class);
    HotplugHandlerClass *hotplug = HOTPLUG_HANDLER_CLASS(class);

    device->type = "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f";
    device->instance = "f8b3781a-1e82-4818-a1c3-63d806ec15bb";
    device->realize = Realize;
    device->closed = OnClosed;
    device->packet = OnPacket;
    device->speak = Speak;
    hotplug->plug = OnPlug;
    hotplug->unplug = OnUnplug;
    device_class_set_props(DEVICE_CLASS(class), Properties);
    set_bit(DEVICE_CATEGORY_STORAGE, DEVICE_CLASS(class)->categories);
}

static const TypeInfo Types[] = {
    {
        .name = TYPE_HV_SCSI,
        .parent = TYPE_VMBUS_DEVICE,
        .instance_size = sizeof(HvScsi),
        .instance_init = InitInstance,
        .class_init = InitClass,
        .interfaces = (InterfaceInfo[]){{TYPE_HOTPLUG_HANDLER}, {}},
    },
};

DEFINE_TYPES(Types)
