// synth.h - what Hyper-V's synthetic devices are told and say, over VMBus: messages built, checked
// and understood. Pure: bytes in, bytes out.
//
// The other side is never believed. What comes in is a private copy of a packet's payload and its
// size; each function looks at nothing behind that size, and says SynBroken of what the protocol
// does not allow at this moment. Such a message has changed nothing in the conversation's state and
// is answered by nothing: a driver drops it and listens on. After SynRefused the conversation is
// over, but for the integration services'. Messages of a kind that is not known are ignored, for
// newer hosts may send some.
//
// Layouts are little-endian and follow Microsoft's own open-source host and driver.
// SPDX-License-Identifier: MIT
#pragma once

#include "input/input.h"
#include "rtl/rtl.h"

typedef enum SynVerdict : uint8_t {
    SynNothing, // understood or ignored, nothing to do
    SynEvent,   // the device has said something: see the function
    SynReady,   // the device works from now on
    SynRefused, // the other side does not want what was asked for, and there is nothing else to ask
    SynBroken,  // against the protocol: to be dropped
} SynVerdict;

// A message to be sent; Size 0: none. Mouse, video and integration services are pipes: the bus puts
// a pipe's header before theirs and takes it off again.
#define SYN_MESSAGE_SIZE 640u
typedef struct SynMessage {
    uint32_t Size;
    uint8_t Bytes[SYN_MESSAGE_SIZE];
} SynMessage;

// ---- keyboard (input.c)
typedef struct SynKeyboard {
    bool Ready;
    InputKeyDecoder Decoder;
} SynKeyboard;
typedef struct SynKey {
    uint16_t Code; // KeyCode
    bool Pressed;
} SynKey;
void SynStartKeyboard(SynKeyboard *keyboard, SynMessage *request);
// SynEvent: *key.
SynVerdict SynReceiveKeyboard(SynKeyboard *keyboard, const void *packet, size_t size, SynKey *key);
void SynBuildKeyboardLights(bool scrollLock, bool numLock, bool capsLock, SynMessage *message);

// ---- mouse (input.c)
typedef struct SynMouse {
    enum { SynMouseAsked, SynMouseAccepted, SynMouseReady } State;
    InputHidPointer Pointer;
} SynMouse;
void SynStartMouse(SynMouse *mouse, SynMessage *request);
// SynEvent: *event. SynReady: *answer is to be sent.
SynVerdict SynReceiveMouse(SynMouse *mouse, const void *packet, size_t size,
                           InputPointerEvent *event, SynMessage *answer);

// ---- video (video.c)
#define SYN_VIDEO_MAXIMUM_MODES 64u // a host lists none to who takes fewer
typedef struct SynVideoMode {
    uint16_t Width, Height;
} SynVideoMode;
typedef struct SynVideo {
    enum {
        SynVideoVersionAsked,
        SynVideoModesAsked,
        SynVideoMemoryTold,
        SynVideoSituationTold,
        SynVideoRunning
    } State;
    uint32_t VersionIndex, Version; // asked for or agreed: minor << 16 | major
    uint64_t Memory;                // physical
    uint32_t MemorySize;
    SynVideoMode Mode;
    SynVideoMode Modes[SYN_VIDEO_MAXIMUM_MODES]; // that the host suggests and the memory holds
    uint32_t ModeCount;
    SynVideoMode Preferred; // of those
    bool WantsDirt;
    bool WantsPointer; // shows it, if it is told of it
    bool AskedAgain;   // for the modes, of a running device
} SynVideo;
// What the host wants to have again; Pointer: see WantsPointer; Mode: it would rather have the
// Preferred one.
typedef struct SynVideoNeeds {
    bool Repaint, Pointer, Mode;
} SynVideoNeeds;
// memory: where the pixels are to appear. mode: what to begin with; one that cannot be: the host's.
void SynStartVideo(SynVideo *video, uint64_t memory, uint32_t memorySize, SynVideoMode mode,
                   SynMessage *request);
// *answer is to be sent when it has a size, whatever the verdict. SynReady: the mode is set, and
// pixels written show; it comes again after each SynSetVideoMode. SynEvent: *needs.
SynVerdict SynReceiveVideo(SynVideo *video, const void *message, size_t size, SynVideoNeeds *needs,
                           SynMessage *answer);
bool SynIsVideoModeUsable(const SynVideo *video, SynVideoMode mode);
// Another mode on a running device. StatusInvalidParameter: one that cannot be.
Status SynSetVideoMode(SynVideo *video, SynVideoMode mode, SynMessage *message);
typedef struct SynRect {
    int32_t Left, Top, Right, Bottom;
} SynRect;
#define SYN_VIDEO_MAXIMUM_DIRT 32u
// Cut to the screen; Size 0: nothing of it is left. count <= SYN_VIDEO_MAXIMUM_DIRT.
void SynBuildVideoDirt(const SynVideo *video, const SynRect *rects, uint32_t count,
                       SynMessage *message);
// For who paints a pointer of its own: the host's is out of sight, and has no picture.
// The pointer: where its picture's upper left corner is, and the picture: rows from the top of
// 0xAARRGGBB, sides from 1 to SYN_VIDEO_POINTER_SIDE; returns the message's size, of at most
// SYN_VIDEO_POINTER_MESSAGE bytes.
#define SYN_VIDEO_POINTER_SIDE    32u
#define SYN_VIDEO_POINTER_MESSAGE (26u + 4 * SYN_VIDEO_POINTER_SIDE * SYN_VIDEO_POINTER_SIDE)
void SynBuildVideoPosition(bool shown, int32_t x, int32_t y, SynMessage *message);
uint32_t SynBuildVideoPointer(uint32_t width, uint32_t height, uint32_t hotX, uint32_t hotY,
                              const uint32_t *pixels, void *message);

// ---- storage (storage.c)
#define SYN_STORAGE_PACKET_SIZE 64u
typedef struct SynStorage {
    enum {
        SynStorageBeginning,
        SynStorageAskingVersion,
        SynStorageAskingProperties,
        SynStorageCreatingChannels,
        SynStorageEnding,
        SynStorageReady
    } State;
    uint32_t VersionIndex;
    uint16_t Version; // major << 8 | minor
    uint32_t RequestSize;
    uint16_t WantedChannels, Channels; // besides the first: of use; granted
    uint32_t MaximumTransfer;          // bytes, whole pages
} SynStorage;
// channels: how many more than the first are of use. Each request goes out with completion asked
// for.
void SynStartStorage(SynStorage *storage, uint16_t channels, SynMessage *request);
// Takes the completion of the last request; *request is the next one when it has a size.
SynVerdict SynReceiveStorageAnswer(SynStorage *storage, const void *packet, size_t size,
                                   SynMessage *request);
// An unasked message. SynEvent: units have come or gone, look again.
SynVerdict SynReceiveStorageNotice(const void *packet, size_t size);

typedef struct SynUnit {
    uint8_t Path, Target, Lun;
} SynUnit;
typedef enum SynDirection : uint8_t {
    SynToDevice = 0,
    SynFromDevice = 1,
    SynNoData = 2
} SynDirection;
typedef struct SynCommand {
    SynUnit Unit;
    SynDirection Direction;
    uint8_t Length; // of the descriptor block
    uint8_t Block[16];
    uint32_t Bytes; // of data
    uint32_t Seconds;
} SynCommand;
// Writes the request's packet, of which RequestSize bytes are sent; the data's pages go beside it.
void SynBuildCommand(const SynStorage *storage, const SynCommand *command,
                     uint8_t packet[SYN_STORAGE_PACKET_SIZE]);
typedef enum SynOutcome : uint8_t {
    SynGood,
    SynCheckCondition, // Sense...
    SynBusy,           // later perhaps
    SynUnitAbsent,
    SynFailed, // of the transport
} SynOutcome;
typedef struct SynCompletion {
    SynOutcome Outcome;
    uint32_t Bytes; // moved; at most those asked for
    uint8_t SenseKey, SenseCode, SenseQualifier;
} SynCompletion;
enum { // SenseKey, SPC-3, 4.5.6
    SynSenseNotReady = 2,
    SynSenseIllegalRequest = 5,
    SynSenseUnitAttention = 6,
    SynSenseDataProtect = 7,
};
// bytes: asked for. false: no completion of a command.
bool SynReadCompletion(const SynStorage *storage, const void *packet, size_t size, uint32_t bytes,
                       SynCompletion *completion);

// SCSI commands (SPC-3, SBC-3, MMC-5) and their answers, of which `size` bytes came.
#define SYN_INQUIRY_SIZE    36u
#define SYN_CAPACITY_SIZE   32u
#define SYN_MODE_SENSE_SIZE 64u
#define SYN_LUNS_SIZE       (8u + 64u * 8u)
#define SYN_UNMAP_SIZE      24u // of the list that UNMAP of one range sends
void SynBuildInquiry(SynCommand *command, SynUnit unit, uint32_t bytes);
void SynBuildUnitReady(SynCommand *command, SynUnit unit);
void SynBuildReportLuns(SynCommand *command, SynUnit unit, uint32_t bytes);
void SynBuildReadCapacity(SynCommand *command, SynUnit unit, bool sixteen);
void SynBuildModeSense(SynCommand *command, SynUnit unit);
// READ or WRITE, of 10 bytes where that will do, else of 16.
void SynBuildTransfer(SynCommand *command, SynUnit unit, bool write, uint64_t sector,
                      uint32_t sectors, uint32_t sectorSize);
void SynBuildFlush(SynCommand *command, SynUnit unit);
void SynBuildUnmap(SynCommand *command, SynUnit unit, uint64_t sector, uint32_t sectors,
                   uint8_t list[SYN_UNMAP_SIZE]);
enum { SynDiskType = 0, SynOpticalType = 5 };
typedef struct SynInquiry {
    bool Present;
    uint8_t Type;
    char Name[26]; // vendor and product, printable
} SynInquiry;
bool SynReadInquiry(const void *data, size_t size, SynInquiry *inquiry);
// The units 0..63 of a REPORT LUNS answer, a bit each.
bool SynReadLuns(const void *data, size_t size, uint64_t *luns);
typedef struct SynCapacity {
    uint64_t Sectors;
    uint32_t SectorSize; // as the device says
    bool Unmaps;         // UNMAP may be used; told by the 16-byte command only
} SynCapacity;
bool SynReadCapacity(const void *data, size_t size, bool sixteen, SynCapacity *capacity);
bool SynReadModeSense(const void *data, size_t size, bool *writeProtected);

// ---- network: NVSP (network.c) and RNDIS inside it (rndis.c)
#define SYN_FRAME_SIZE    1514u // of an Ethernet frame, without its check sequence
#define SYN_MINIMUM_FRAME 14u   // the header
#define SYN_MAXIMUM_FRAME (9216u + 14u + 4u)
typedef struct SynNetwork {
    enum {
        SynNetworkAskingVersion,
        SynNetworkConfiguring, // its answer is empty
        SynNetworkNdis,        // the same
        SynNetworkReceiveTold,
        SynNetworkSendTold,
        SynNetworkReady
    } State;
    uint32_t VersionIndex, Version; // major << 16 | minor
    uint32_t ReceiveGpadl, SendGpadl;
    uint32_t ReceiveSize, SendSize; // bytes of the buffers
    uint32_t SendSectionSize, SendSectionCount;
} SynNetwork;
// The buffers are shared already. Each request goes out with completion asked for.
void SynStartNetwork(SynNetwork *network, uint32_t receiveGpadl, uint32_t receiveSize,
                     uint32_t sendGpadl, uint32_t sendSize, SynMessage *request);
// Takes the completion of the last request; *request is the next one when it has a size.
SynVerdict SynReceiveNetworkAnswer(SynNetwork *network, const void *packet, size_t size,
                                   SynMessage *request);
// Before the channel is closed; without completion.
void SynBuildNetworkRevoke(const SynNetwork *network, bool send, SynMessage *message);
// For an RNDIS message of `size` bytes in a section of the send buffer, or (SYN_NO_SECTION) in
// pages beside this one.
#define SYN_NO_SECTION UINT32_MAX
void SynBuildNetworkPacket(const SynNetwork *network, bool control, uint32_t section, uint32_t size,
                           SynMessage *message);
bool SynReadNetworkSent(const void *packet, size_t size, bool *success); // its completion
// What comes with pieces of the receive buffer: control or data; false: something else.
bool SynReadNetworkReceived(const void *packet, size_t size, bool *control);
void SynBuildNetworkReturned(SynMessage *message); // its completion

enum { // checksums that the device computes or checks
    SynChecksumIpHeader = 1,
    SynChecksumTcp4 = 2,
    SynChecksumUdp4 = 4,
    SynChecksumTcp6 = 8,
    SynChecksumUdp6 = 16,
};
typedef struct SynRndis {
    enum {
        SynRndisInitializing,
        SynRndisAsking,
        SynRndisOffloading,
        SynRndisFiltering,
        SynRndisRunning
    } State;
    bool LongParameters;
    uint32_t Request; // the last one's id
    uint32_t Question;
    uint8_t Address[6];
    uint32_t MaximumFrame; // without its header
    uint64_t LinkSpeed;    // bits a second
    bool LinkUp;
    uint32_t Checksums, ReceiveChecksums; // SynChecksum...: of frames sent; received
} SynRndis;
// longParameters: NVSP 5 or later.
void SynStartRndis(SynRndis *rndis, bool longParameters, SynMessage *request);
// Takes a control message. SynReady: frames may go and come; SynEvent: the link has changed.
// *request is the next one when it has a size.
SynVerdict SynReceiveRndis(SynRndis *rndis, const void *message, size_t size, SynMessage *request);
void SynBuildRndisHalt(SynRndis *rndis, SynMessage *request);

typedef struct SynFrame {
    uint32_t Offset, Size;            // in the message
    bool IpGood, IpBad;               // the header's checksum was checked
    bool TransportGood, TransportBad; // TCP's or UDP's
} SynFrame;
// The frame inside an RNDIS data message. A host may pad behind it.
bool SynReadFrame(const void *message, size_t size, SynFrame *frame);
// Writes what goes before a frame of `size` bytes; returns its own size. checksums: those that the
// device is to compute; transportOffset: of TCP's or UDP's header in the frame.
#define SYN_FRAME_HEADER_SIZE 60u // at most
uint32_t SynBuildFrameHeader(uint32_t size, uint32_t checksums, uint32_t transportOffset,
                             uint8_t header[SYN_FRAME_HEADER_SIZE]);

// ---- integration services (integration.c)
typedef enum SynService : uint8_t {
    SynShutdownService,
    SynHeartbeatService,
    SynTimeService,
    SynKeyValueService,
} SynService;
typedef struct SynIntegration {
    SynService Service;
    uint32_t Framework, Version; // agreed, major << 16 | minor; 0: not yet
} SynIntegration;
typedef struct SynIntegrationEvent {
    bool Restart;       // shutdown: else power off
    bool Sync;          // time: set the clock; else only a sample
    uint64_t HostTime;  // nanoseconds since 1970, at
    uint64_t Reference; // of the reference counter, 100 ns; 0: not told
} SynIntegrationEvent;
typedef struct SynKeyValue { // ASCII
    const char *Key, *Value;
} SynKeyValue;
#define SYN_INTEGRATION_SIZE 13312u // of the longest message
// Turns a message into its answer, to be sent before the event is acted on; *answerSize 0: there is
// none. SynReady: versions are agreed. SynEvent: *event. values: what the key-value service tells
// of the machine.
SynVerdict SynServeIntegration(SynIntegration *integration, const SynKeyValue *values, size_t count,
                               void *message, size_t size, uint32_t *answerSize,
                               SynIntegrationEvent *event);
