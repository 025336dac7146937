// serial.c - COM1, polled: the log and the crash report leave the machine through it.
//
// The port counts as present when its scratch register remembers and a byte comes back in loop-back
// mode. A transmitter may stay full while the host at the other end of a virtual port is busy, so
// it is given seconds; after that (a port that vanished, a host that stopped listening) text is
// dropped without waiting until the transmitter is empty again, so that logging never holds the
// system up.
// SPDX-License-Identifier: MIT
#include "hal.h"

// 16550 registers (PC16550D data sheet, table II)
#define COM1_BASE 0x3F8u
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
#define LINE_STATUS_DATA_READY        0x01u
#define LINE_STATUS_TRANSMITTER_EMPTY 0x20u
#define DIVISOR_115200                1u
#define TRANSMIT_FIFO_BYTES           16u
#define TRANSMIT_POLLS                4000000u // a status read takes about 1 us, one FIFO at 115200 baud 1.4 ms
#define LOOPBACK_POLLS                2000u

static bool Present;
static bool Stalled; // the last wait was in vain

static bool WaitForStatus(uint8_t bit, uint32_t polls)
{
    while (polls-- != 0) {
        if (HalReadPort8(COM1_BASE + RegisterLineStatus) & bit)
            return true;
        HalPause();
    }
    return false;
}

void HalInitializeSerial(void)
{
    HalWritePort8(COM1_BASE + RegisterScratch, 0x5A);
    if (HalReadPort8(COM1_BASE + RegisterScratch) != 0x5A)
        return;
    HalWritePort8(COM1_BASE + RegisterInterruptEnable, 0);
    HalWritePort8(COM1_BASE + RegisterLineControl, LINE_CONTROL_DIVISOR);
    HalWritePort8(COM1_BASE + RegisterData, DIVISOR_115200);
    HalWritePort8(COM1_BASE + RegisterInterruptEnable, 0);
    HalWritePort8(COM1_BASE + RegisterLineControl, LINE_CONTROL_8N1);
    HalWritePort8(COM1_BASE + RegisterFifoControl, FIFO_ENABLE_AND_CLEAR);
    HalWritePort8(COM1_BASE + RegisterModemControl, MODEM_CONTROL_LOOPBACK);
    HalWritePort8(COM1_BASE + RegisterData, 0xA7);
    bool answered = WaitForStatus(LINE_STATUS_DATA_READY, LOOPBACK_POLLS) &&
                    HalReadPort8(COM1_BASE + RegisterData) == 0xA7;
    HalWritePort8(COM1_BASE + RegisterModemControl, MODEM_CONTROL_READY);
    Present = answered;
}

void HalWriteSerial(const char *text, size_t length)
{
    for (size_t i = 0; i < length && Present; i++) {
        if (i % TRANSMIT_FIFO_BYTES == 0) {
            Stalled = !WaitForStatus(LINE_STATUS_TRANSMITTER_EMPTY, Stalled ? 1 : TRANSMIT_POLLS);
            if (Stalled)
                return;
        }
        HalWritePort8(COM1_BASE + RegisterData, (uint8_t)text[i]);
    }
}
