// integration.c - the integration services: clean shutdown, heartbeat, time synchronisation,
// key-value exchange (OpenVMM, vm/devices/hyperv_ic, hyperv_ic_protocol; Linux,
// drivers/hv/hv_{util,kvp}.c).
//
// Pipes, one device each. The host speaks first, when the channel opens: it offers versions of the
// framework and of the service, and the guest answers with one of each. Then the host asks and the
// guest answers, one thing at a time; an answer carries the request's transaction number.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

#include "qapi/qapi-builtin-visit.h"
#include "qapi/visitor.h"
#include "qemu/cutils.h"
#include "sysemu/rtc.h"
#include "sysemu/sysemu.h"

#define TYPE_HV_SERVICE "hv-service"
typedef struct HvService HvService;
typedef struct HvServiceClass HvServiceClass;
DECLARE_OBJ_CHECKERS(HvService, HvServiceClass, HV_SERVICE, TYPE_HV_SERVICE)

#define TYPE_HV_SHUTDOWN  "hv-shutdown"
#define TYPE_HV_HEARTBEAT "hv-heartbeat"
#define TYPE_HV_TIMESYNC  "hv-timesync"
#define TYPE_HV_KVP       "hv-kvp"

enum { AnswerVersions = 2 };
enum {
    ServiceNegotiate = 0,
    ServiceHeartbeat = 1,
    ServiceKvp = 2,
    ServiceShutdown = 3,
    ServiceTime = 4
};
enum { FlagTransaction = 1, FlagRequest = 2, FlagResponse = 4 };

typedef struct QEMU_PACKED ServiceHeader {
    uint16_t frameworkMajor, frameworkMinor, type, major, minor, size; // size: of what follows
    uint32_t status;
    uint8_t transaction, flags;
    uint16_t reserved;
} ServiceHeader;
QEMU_BUILD_BUG_ON(sizeof(ServiceHeader) != 20);

typedef struct ServiceVersion {
    uint16_t major, minor;
} ServiceVersion;

typedef struct QEMU_PACKED NegotiateMessage {
    uint16_t frameworkCount, messageCount;
    uint32_t reserved;
    ServiceVersion version[8];
} NegotiateMessage;

struct HvService {
    VmbusDevice parent_obj;
    bool negotiated, waiting; // for the answer to a request
    uint8_t transaction;
    ServiceVersion framework, message; // as the guest chose
    uint64_t answers;
    uint32_t lastStatus;
    QEMUTimer *timer;  // for services that ask now and then
    uint64_t sequence; // heartbeat
    int64_t offset;    // time: what is added to the host's, in seconds
    bool timeSent;
    char *kvpAnswer;
};

struct HvServiceClass {
    VmbusDeviceClass parent_class;
    uint16_t type;
    ServiceVersion versions[4];
    unsigned versionCount;
    uint32_t period; // ms between requests; 0: only on demand
    // Sends the next request, or one that asks for nothing.
    void (*ask)(HvService *service);
    void (*answered)(HvService *service, const ServiceHeader *header, const uint8_t *body);
};

static const ServiceVersion Framework[] = {{1, 0}, {3, 0}};

// ---------------------------------------------------------------------------------------- common
// part

static void Send(HvService *service, uint16_t type, const void *body, uint32_t length)
{
    ServiceHeader header = {
        .frameworkMajor = service->framework.major,
        .frameworkMinor = service->framework.minor,
        .type = type,
        .major = service->message.major,
        .minor = service->message.minor,
        .size = length,
        .transaction = service->transaction,
        .flags = FlagTransaction | FlagRequest,
    };
    g_autofree uint8_t *message = g_malloc(sizeof(header) + length);

    memcpy(message, &header, sizeof(header));
    memcpy(message + sizeof(header), body, length);
    service->waiting = true;
    VmbusPipeSend(service->parent_obj.channel, message, sizeof(header) + length);
}

static void OnOpened(VmbusDevice *device, VmbusChannel *channel)
{
    HvService *service = HV_SERVICE(device);
    HvServiceClass *class = HV_SERVICE_GET_CLASS(service);
    NegotiateMessage message = {.frameworkCount = ARRAY_SIZE(Framework),
                                .messageCount = class->versionCount};
    unsigned count = ARRAY_SIZE(Framework) + class->versionCount;

    memcpy(message.version, Framework, sizeof(Framework));
    memcpy(message.version + ARRAY_SIZE(Framework), class->versions,
           class->versionCount * sizeof(ServiceVersion));
    service->framework = service->message = (ServiceVersion){1, 0};
    service->negotiated = service->timeSent = false;
    service->transaction = 0;
    Send(service, ServiceNegotiate, &message, offsetof(NegotiateMessage, version) + count * 4);
}

static bool IsOffered(const ServiceVersion *offered, unsigned count, ServiceVersion version)
{
    for (unsigned i = 0; i < count; i++) {
        if (offered[i].major == version.major && offered[i].minor == version.minor)
            return true;
    }
    return false;
}

static void OnNegotiated(HvService *service, VmbusChannel *channel, const uint8_t *body,
                         uint32_t length)
{
    HvServiceClass *class = HV_SERVICE_GET_CLASS(service);
    NegotiateMessage answer = {0};

    memcpy(&answer, body, MIN(length, sizeof(answer)));
    if (length < offsetof(NegotiateMessage, version) + AnswerVersions * sizeof(ServiceVersion) ||
        answer.frameworkCount != 1 || answer.messageCount != 1 ||
        !IsOffered(Framework, ARRAY_SIZE(Framework), answer.version[0]) ||
        !IsOffered(class->versions, class->versionCount, answer.version[1])) {
        RingDie(channel, "service-negotiate", "%u and %u versions, %u.%u and %u.%u",
                answer.frameworkCount, answer.messageCount, answer.version[0].major,
                answer.version[0].minor, answer.version[1].major, answer.version[1].minor);
        return;
    }
    service->framework = answer.version[0];
    service->message = answer.version[1];
    service->negotiated = true;
    HvTrace("%s: version %u.%u", object_get_typename(OBJECT(service)), service->message.major,
            service->message.minor);
    if (class->period != 0)
        timer_mod(service->timer, qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) + 1);
}

static void OnTimer(void *opaque)
{
    HvService *service = opaque;
    HvServiceClass *class = HV_SERVICE_GET_CLASS(service);

    if (!service->negotiated)
        return;
    if (!service->waiting)
        class->ask(service);
    timer_mod(service->timer, qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL) + class->period);
}

static void OnPacket(VmbusDevice *device, VmbusChannel *channel, VmbusPacket *packet)
{
    HvService *service = HV_SERVICE(device);
    HvServiceClass *class = HV_SERVICE_GET_CLASS(service);
    ServiceHeader header;
    uint8_t *data;
    uint32_t length;

    if (!VmbusPipeOpen(channel, packet, &header, sizeof(header), &data, &length))
        return;
    if (!service->waiting || header.transaction != service->transaction ||
        header.flags != (FlagTransaction | FlagResponse) || header.size > length ||
        header.type != (service->negotiated ? class->type : ServiceNegotiate)) {
        RingDie(channel, "service-answer", "type %u, transaction %u, flags %u, %u bytes",
                header.type, header.transaction, header.flags, header.size);
        return;
    }
    service->waiting = false;
    service->lastStatus = header.status;
    if (!service->negotiated) {
        OnNegotiated(service, channel, data, header.size);
        return;
    }
    service->answers++;
    if (class->answered)
        class->answered(service, &header, data);
}

static void Ask(HvService *service, const void *body, uint32_t length)
{
    service->transaction++;
    Send(service, HV_SERVICE_GET_CLASS(service)->type, body, length);
}

// Asks, but does not wait for ever: the answer to a lie may not be one.
static void Speak(VmbusDevice *device, VmbusChannel *channel)
{
    HvService *service = HV_SERVICE(device);
    HvServiceClass *class = HV_SERVICE_GET_CLASS(service);

    if (!service->negotiated)
        OnOpened(device, channel);
    else if (!service->waiting || channel->packetsOut % 8 == 0)
        class->ask(service);
}

static void OnClosed(VmbusDevice *device, VmbusChannel *channel)
{
    HvService *service = HV_SERVICE(device);

    service->negotiated = service->waiting = false;
    timer_del(service->timer);
}

static void Realize(VmbusDevice *device, Error **errp)
{
    HvService *service = HV_SERVICE(device);

    service->timer = timer_new_ms(QEMU_CLOCK_VIRTUAL, OnTimer, service);
}

static void Unrealize(VmbusDevice *device)
{
    timer_free(HV_SERVICE(device)->timer);
}

static bool GetNegotiated(Object *object, Error **errp)
{
    return HV_SERVICE(object)->negotiated;
}

static void InitService(Object *object)
{
    HvService *service = HV_SERVICE(object);

    object_property_add_uint64_ptr(object, "answers", &service->answers, OBJ_PROP_FLAG_READ);
    object_property_add_uint32_ptr(object, "last-status", &service->lastStatus, OBJ_PROP_FLAG_READ);
    object_property_add_bool(object, "negotiated", GetNegotiated, NULL);
}

static void InitServiceClass(ObjectClass *class, void *data)
{
    VmbusDeviceClass *device = VMBUS_DEVICE_CLASS(class);

    device->pipe = true;
    device->flags = OfferInterface;
    device->realize = Realize;
    device->unrealize = Unrealize;
    device->opened = OnOpened;
    device->closed = OnClosed;
    device->packet = OnPacket;
    device->speak = Speak;
}

// -------------------------------------------------------------------------------------------
// shutdown

typedef struct QEMU_PACKED ShutdownMessage {
    uint32_t reason, timeout, flags;
    char text[2048];
} ShutdownMessage;
enum { ShutdownForce = 1, ShutdownRestart = 2, ShutdownHibernate = 4 };

// At run time, "shutdown" or "restart": asks the guest to do it.
static void RequestShutdown(Object *object, const char *what, Error **errp)
{
    HvService *service = HV_SERVICE(object);
    ShutdownMessage message = {.reason = 0x80000000, .timeout = 60, .flags = ShutdownForce};

    if (strcmp(what, "shutdown") != 0 && strcmp(what, "restart") != 0) {
        error_setg(errp, "'%s' is neither 'shutdown' nor 'restart'", what);
    } else if (!service->negotiated || service->waiting) {
        error_setg(errp, "the guest does not listen");
    } else {
        message.flags |= strcmp(what, "restart") == 0 ? ShutdownRestart : 0;
        Ask(service, &message, sizeof(message));
    }
}

// For hibernation, which no guest does that does not say so.
static void AskNothing(HvService *service)
{
    ShutdownMessage message = {.reason = 0x80000000, .flags = ShutdownHibernate};

    Ask(service, &message, sizeof(message));
}

static void InitShutdown(Object *object)
{
    object_property_add_str(object, "request", NULL, RequestShutdown);
}

static void InitShutdownClass(ObjectClass *class, void *data)
{
    HvServiceClass *service = HV_SERVICE_CLASS(class);

    VMBUS_DEVICE_CLASS(class)->type = "0e0b6031-5213-4934-818b-38d90ced39db";
    VMBUS_DEVICE_CLASS(class)->instance = "b6650ff7-33bc-4840-8048-e0676786f393";
    service->type = ServiceShutdown;
    service->ask = AskNothing;
    service->versionCount = 4;
    memcpy(service->versions, (ServiceVersion[]){{1, 0}, {3, 0}, {3, 1}, {3, 2}}, 16);
}

// ------------------------------------------------------------------------------------------
// heartbeat

typedef struct QEMU_PACKED HeartbeatMessage {
    uint64_t sequence;
    uint32_t state;
    uint64_t reserved[6];
} HeartbeatMessage;

static void AskHeartbeat(HvService *service)
{
    HeartbeatMessage message = {.sequence = service->sequence};

    Ask(service, &message, sizeof(message));
}

static void OnHeartbeat(HvService *service, const ServiceHeader *header, const uint8_t *body)
{
    HeartbeatMessage answer = {0};

    memcpy(&answer, body, MIN(header->size, sizeof(answer)));
    if (answer.sequence != service->sequence + 1)
        StrictViolation("heartbeat", "sequence %" PRIu64 " after %" PRIu64, answer.sequence,
                        service->sequence);
    service->sequence += 2;
}

static void InitHeartbeatClass(ObjectClass *class, void *data)
{
    HvServiceClass *service = HV_SERVICE_CLASS(class);

    VMBUS_DEVICE_CLASS(class)->type = "57164f39-9115-4e78-ab55-382f3bd5422d";
    VMBUS_DEVICE_CLASS(class)->instance = "fd149e91-82e0-4a7d-afa6-2a4166cbd7c0";
    service->type = ServiceHeartbeat;
    service->versionCount = 2;
    memcpy(service->versions, (ServiceVersion[]){{1, 0}, {3, 0}}, 8);
    service->period = 2000;
    service->ask = AskHeartbeat;
    service->answered = OnHeartbeat;
}

// ----------------------------------------------------------------------------------- synchronised
// time

typedef struct QEMU_PACKED TimeMessage4 {
    uint64_t time, referenceTime; // 100 ns since 1601; the hypervisor's
    uint8_t flags, leap, stratum, reserved[5];
} TimeMessage4;
QEMU_BUILD_BUG_ON(sizeof(TimeMessage4) != 24);

typedef struct QEMU_PACKED TimeMessage1 {
    uint64_t time, childTime, roundTrip;
    uint8_t flags;
} TimeMessage1;
enum { TimeSync = 1, TimeSample = 2 };

// The time of the machine's clock (-rtc), in 100 ns since 1601.
static uint64_t WallTime(const HvService *service)
{
    const uint64_t epoch = 11644473600ull, second = 10000000; // epoch: seconds from 1601 to 1970
    uint64_t fraction = qemu_clock_get_ns(rtc_clock) / 100 % second;
    struct tm now;

    qemu_get_timedate(&now, 0);
    return (mktimegm(&now) + epoch + service->offset) * second + fraction;
}

static void AskTime(HvService *service)
{
    TimeMessage4 new = {.time = WallTime(service),
                        .referenceTime = HvReferenceTime(),
                        .flags = service->timeSent ? TimeSample : TimeSync,
                        .stratum = 1};
    TimeMessage1 old = {.time = new.time, .flags = new.flags};

    service->timeSent = true;
    if (service->message.major >= 4)
        Ask(service, &new, sizeof(new));
    else
        Ask(service, &old, sizeof(old));
}

static void GetOffset(Object *object, Visitor *visitor, const char *name, void *opaque,
                      Error **errp)
{
    visit_type_int64(visitor, name, &HV_SERVICE(object)->offset, errp);
}

// At run time: the host's clock jumps; the guest is told to follow.
static void SetOffset(Object *object, Visitor *visitor, const char *name, void *opaque,
                      Error **errp)
{
    HvService *service = HV_SERVICE(object);

    if (!visit_type_int64(visitor, name, &service->offset, errp))
        return;
    service->timeSent = false;
    if (service->negotiated && !service->waiting)
        AskTime(service);
}

static void InitTimesync(Object *object)
{
    object_property_add(object, "offset", "int64", GetOffset, SetOffset, NULL, NULL);
}

static void InitTimesyncClass(ObjectClass *class, void *data)
{
    HvServiceClass *service = HV_SERVICE_CLASS(class);

    VMBUS_DEVICE_CLASS(class)->type = "9527e630-d0ae-497b-adce-e80ab0175caf";
    VMBUS_DEVICE_CLASS(class)->instance = "2dd1ce17-079e-403c-b352-a1921ee207ee";
    service->type = ServiceTime;
    service->versionCount = 3;
    memcpy(service->versions, (ServiceVersion[]){{1, 0}, {3, 0}, {4, 0}}, 12);
    service->period = 5000;
    service->ask = AskTime;
}

// --------------------------------------------------------------------------------- key-value
// exchange

enum { KvpEnumerate = 3, KvpPoolAuto = 2, KvpKeyBytes = 512, KvpValueBytes = 2048 };

typedef struct QEMU_PACKED KvpMessage {
    uint8_t operation, pool;
    uint16_t reserved;
    uint32_t index, valueType, keySize, valueSize; // sizes in bytes; strings in UTF-16
    uint8_t key[KvpKeyBytes], value[KvpValueBytes];
} KvpMessage;

// At run time, "enumerate INDEX": asks for one of the guest's own keys; "answer" then has
// key=value.
static void RequestKvp(Object *object, const char *what, Error **errp)
{
    HvService *service = HV_SERVICE(object);
    KvpMessage message = {.operation = KvpEnumerate, .pool = KvpPoolAuto};

    if (sscanf(what, "enumerate %u", &message.index) != 1)
        error_setg(errp, "'%s' is not 'enumerate INDEX'", what);
    else if (!service->negotiated || service->waiting)
        error_setg(errp, "the guest does not listen");
    else
        Ask(service, &message, sizeof(message));
}

static void AskForKey(HvService *service)
{
    KvpMessage message = {
        .operation = KvpEnumerate, .pool = KvpPoolAuto, .index = service->transaction % 6};

    Ask(service, &message, sizeof(message));
}

static void AppendUtf16(GString *text, const uint8_t *bytes, uint32_t size)
{
    for (uint32_t i = 0; i + 1 < size && (bytes[i] != 0 || bytes[i + 1] != 0); i += 2)
        g_string_append_unichar(text, bytes[i] | bytes[i + 1] << 8);
}

static void OnKvp(HvService *service, const ServiceHeader *header, const uint8_t *body)
{
    KvpMessage answer = {0};
    GString *text = g_string_new("");

    memcpy(&answer, body, MIN(header->size, sizeof(answer)));
    if (answer.keySize > KvpKeyBytes || answer.valueSize > KvpValueBytes)
        StrictViolation("kvp-size", "a key of %u bytes, a value of %u", answer.keySize,
                        answer.valueSize);
    AppendUtf16(text, answer.key, MIN(answer.keySize, KvpKeyBytes));
    g_string_append_c(text, '=');
    AppendUtf16(text, answer.value, MIN(answer.valueSize, KvpValueBytes));
    g_free(service->kvpAnswer);
    service->kvpAnswer = g_string_free(text, false);
}

static char *GetKvpAnswer(Object *object, Error **errp)
{
    return g_strdup(HV_SERVICE(object)->kvpAnswer ? HV_SERVICE(object)->kvpAnswer : "");
}

static void InitKvp(Object *object)
{
    object_property_add_str(object, "request", NULL, RequestKvp);
    object_property_add_str(object, "answer", GetKvpAnswer, NULL);
}

static void InitKvpClass(ObjectClass *class, void *data)
{
    HvServiceClass *service = HV_SERVICE_CLASS(class);

    VMBUS_DEVICE_CLASS(class)->type = "a9a0f4e7-5a45-4d96-b827-8a841e8c03e6";
    VMBUS_DEVICE_CLASS(class)->instance = "242ff919-07db-4180-9c2e-b86cb68c8c55";
    service->type = ServiceKvp;
    service->ask = AskForKey;
    service->versionCount = 3;
    memcpy(service->versions, (ServiceVersion[]){{3, 0}, {4, 0}, {5, 0}}, 12);
    service->answered = OnKvp;
}

static const TypeInfo Types[] = {
    {
        .name = TYPE_HV_SERVICE,
        .parent = TYPE_VMBUS_DEVICE,
        .abstract = true,
        .instance_size = sizeof(HvService),
        .instance_init = InitService,
        .class_size = sizeof(HvServiceClass),
        .class_init = InitServiceClass,
    },
    {
        .name = TYPE_HV_SHUTDOWN,
        .parent = TYPE_HV_SERVICE,
        .instance_init = InitShutdown,
        .class_init = InitShutdownClass,
    },
    {
        .name = TYPE_HV_HEARTBEAT,
        .parent = TYPE_HV_SERVICE,
        .class_init = InitHeartbeatClass,
    },
    {
        .name = TYPE_HV_TIMESYNC,
        .parent = TYPE_HV_SERVICE,
        .instance_init = InitTimesync,
        .class_init = InitTimesyncClass,
    },
    {
        .name = TYPE_HV_KVP,
        .parent = TYPE_HV_SERVICE,
        .instance_init = InitKvp,
        .class_init = InitKvpClass,
    },
};

DEFINE_TYPES(Types)
