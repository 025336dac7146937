// serial.c - the serial ports: the log and the crash report leave the machine through COM1, polled,
// a debugger comes in through COM2; what arrives on COM1 is taken by an interrupt once somebody
// listens.
//
// A port counts as present when its scratch register remembers and a byte comes back in loop-back
// mode. A transmitter may stay full while the host at the other end of a virtual port is busy, so
// it is given seconds; after that (a port that vanished, a host that stopped listening) text is
// dropped without waiting until the transmitter is empty again, so that writing never holds the
// system up.
// SPDX-License-Identifier: MIT
#include "hal.h"

// 16550 registers (PC16550D data sheet, table II)
#define COM1_BASE 0x3F8u
#define COM2_BASE 0x2F8u
enum {
    RegisterData = 0,
    RegisterInterruptEnable = 1,
    RegisterFifoControl = 2,
    RegisterLineControl = 3,
    RegisterModemControl = 4,
    RegisterLineStatus = 5,
    RegisterScratch = 7
};
#define LINE_CONTROL_8N1              0x03u
#define LINE_CONTROL_DIVISOR          0x80u
#define MODEM_CONTROL_READY           0x0Bu // DTR, RTS, OUT2
#define MODEM_CONTROL_LOOPBACK        0x1Eu
#define FIFO_ENABLE_AND_CLEAR         0xC7u
#define COM1_IRQ                      4u
#define INTERRUPT_RECEIVED            0x01u
#define LINE_STATUS_DATA_READY        0x01u
#define LINE_STATUS_TRANSMITTER_EMPTY 0x20u
#define LINE_STATUS_IDLE              0x40u
#define LINE_STATUS_VANISHED          0xFFu
#define DIVISOR_115200                1u
#define TRANSMIT_FIFO_BYTES           16u
// A status read takes about 1 us, one FIFO at 115200 baud 1.4 ms.
#define TRANSMIT_POLLS 4000000u
#define LOOPBACK_POLLS 2000u

#define RECEIVED_SIZE 512u // a power of two

static HalSerialPort Com1;
static char Received[RECEIVED_SIZE];     // written by the interrupt, read by HalReadSerial
static uint32_t ReceivedIn, ReceivedOut; // free-running, atomic
static HalInterruptHandler *ReceivedHandler;
static void *ReceivedContext;

static bool WaitForStatus(const HalSerialPort *port, uint8_t bit, uint32_t polls)
{
    while (polls-- != 0) {
        if (HalReadPort8(port->Base + RegisterLineStatus) & bit)
            return true;
        HalPause();
    }
    return false;
}

static void OpenSerial(HalSerialPort *port, uint16_t base)
{
    *port = (HalSerialPort){.Base = base};
    HalWritePort8(base + RegisterScratch, 0x5A);
    if (HalReadPort8(base + RegisterScratch) != 0x5A)
        return;
    // The loader's last words may still be on their way to a busy host: clearing the FIFO would
    // lose them, and a transmitter at work does not answer the test below.
    (void)WaitForStatus(port, LINE_STATUS_IDLE, TRANSMIT_POLLS);
    HalWritePort8(base + RegisterInterruptEnable, 0);
    HalWritePort8(base + RegisterLineControl, LINE_CONTROL_DIVISOR);
    HalWritePort8(base + RegisterData, DIVISOR_115200);
    HalWritePort8(base + RegisterInterruptEnable, 0);
    HalWritePort8(base + RegisterLineControl, LINE_CONTROL_8N1);
    HalWritePort8(base + RegisterFifoControl, FIFO_ENABLE_AND_CLEAR);
    HalWritePort8(base + RegisterModemControl, MODEM_CONTROL_LOOPBACK);
    HalWritePort8(base + RegisterData, 0xA7);
    bool answered = WaitForStatus(port, LINE_STATUS_DATA_READY, LOOPBACK_POLLS) &&
                    HalReadPort8(base + RegisterData) == 0xA7;
    HalWritePort8(base + RegisterModemControl, MODEM_CONTROL_READY);
    port->Present = answered;
}

void HalInitializeSerial(void)
{
    OpenSerial(&Com1, COM1_BASE);
}

bool HalOpenDebugPort(HalSerialPort *port)
{
    OpenSerial(port, COM2_BASE);
    return port->Present;
}

void HalEnableSerialInterrupt(const HalSerialPort *port)
{
    HalWritePort8(port->Base + RegisterInterruptEnable, INTERRUPT_RECEIVED);
}

void HalRepeatSerialInterrupt(const HalSerialPort *port)
{
    uint8_t status = port->Present ? HalReadPort8(port->Base + RegisterLineStatus) : 0;
    if (!(status & LINE_STATUS_DATA_READY) || status == LINE_STATUS_VANISHED ||
        !(HalReadPort8(port->Base + RegisterInterruptEnable) & INTERRUPT_RECEIVED))
        return;
    HalWritePort8(port->Base + RegisterInterruptEnable, 0);
    HalWritePort8(port->Base + RegisterInterruptEnable, INTERRUPT_RECEIVED);
}

bool HalSendSerial(HalSerialPort *port, const void *bytes, size_t size, uint32_t polls)
{
    for (size_t i = 0; i < size && port->Present; i++) {
        if (i % TRANSMIT_FIFO_BYTES == 0) {
            port->Stalled =
                !WaitForStatus(port, LINE_STATUS_TRANSMITTER_EMPTY, port->Stalled ? 1 : polls);
            if (port->Stalled)
                return false;
        }
        HalWritePort8(port->Base + RegisterData, ((const uint8_t *)bytes)[i]);
    }
    return port->Present;
}

bool HalReceiveSerial(const HalSerialPort *port, uint8_t *byte)
{
    uint8_t status = port->Present ? HalReadPort8(port->Base + RegisterLineStatus) : 0;
    if (!(status & LINE_STATUS_DATA_READY) || status == LINE_STATUS_VANISHED)
        return false;
    *byte = HalReadPort8(port->Base + RegisterData);
    return true;
}

void HalWriteSerial(const char *text, size_t length)
{
    (void)HalSendSerial(&Com1, text, length, TRANSMIT_POLLS);
}

// Edge-triggered: the port must be left without a byte, or it never interrupts again. What there is
// no room for is lost.
static void TakeReceived(void *context)
{
    uint32_t in = ReceivedIn;
    uint8_t byte;
    for (uint32_t i = 0; i < RECEIVED_SIZE && HalReceiveSerial(&Com1, &byte); i++)
        if (in - __atomic_load_n(&ReceivedOut, __ATOMIC_ACQUIRE) < RECEIVED_SIZE)
            Received[in++ % RECEIVED_SIZE] = (char)byte;
    __atomic_store_n(&ReceivedIn, in, __ATOMIC_RELEASE);
    ReceivedHandler(ReceivedContext);
}

Status HalListenToSerial(HalInterruptHandler *received, void *context)
{
    if (!Com1.Present)
        return StatusNoSuchDevice;
    ReceivedHandler = received;
    ReceivedContext = context;
    Status status = HalConnectIsaInterrupt(COM1_IRQ, TakeReceived, nullptr);
    if (status == StatusSuccess)
        HalEnableSerialInterrupt(&Com1);
    return status;
}

size_t HalReadSerial(char *buffer, size_t size)
{
    uint32_t out = ReceivedOut, in = __atomic_load_n(&ReceivedIn, __ATOMIC_ACQUIRE);
    size_t count = 0;
    while (count < size && out != in)
        buffer[count++] = Received[out++ % RECEIVED_SIZE];
    __atomic_store_n(&ReceivedOut, out, __ATOMIC_RELEASE);
    return count;
}
