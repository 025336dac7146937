// scancode.c - what keyboards of the PC say, as keys.
//
// Scan code set 1 (what a PS/2 controller that translates and Hyper-V's synthetic keyboard deliver)
// and set 2 (what PS/2 keyboards send), as in Microsoft's "Keyboard Scan Code Specification" 1.3a,
// translated to the usages of MetalKeys.h. The shifts that some keys wrap themselves in (E0 2A and
// the like) are left out.
// SPDX-License-Identifier: MIT
#include "MetalKeys.h"
#include "input.h"

// clang-format off
static const uint8_t Set1[256] = {
    [0x01] = KeyEscape, [0x02] = Key1, [0x03] = Key2, [0x04] = Key3, [0x05] = Key4, [0x06] = Key5,
    [0x07] = Key6, [0x08] = Key7, [0x09] = Key8, [0x0A] = Key9, [0x0B] = Key0, [0x0C] = KeyMinus,
    [0x0D] = KeyEqual, [0x0E] = KeyBackspace, [0x0F] = KeyTab, [0x10] = KeyQ, [0x11] = KeyW,
    [0x12] = KeyE, [0x13] = KeyR, [0x14] = KeyT, [0x15] = KeyY, [0x16] = KeyU, [0x17] = KeyI,
    [0x18] = KeyO, [0x19] = KeyP, [0x1A] = KeyLeftBracket, [0x1B] = KeyRightBracket,
    [0x1C] = KeyEnter, [0x1D] = KeyLeftControl, [0x1E] = KeyA, [0x1F] = KeyS, [0x20] = KeyD,
    [0x21] = KeyF, [0x22] = KeyG, [0x23] = KeyH, [0x24] = KeyJ, [0x25] = KeyK, [0x26] = KeyL,
    [0x27] = KeySemicolon, [0x28] = KeyApostrophe, [0x29] = KeyGrave, [0x2A] = KeyLeftShift,
    [0x2B] = KeyBackslash, [0x2C] = KeyZ, [0x2D] = KeyX, [0x2E] = KeyC, [0x2F] = KeyV,
    [0x30] = KeyB, [0x31] = KeyN, [0x32] = KeyM, [0x33] = KeyComma, [0x34] = KeyPeriod,
    [0x35] = KeySlash, [0x36] = KeyRightShift, [0x37] = KeyPadMultiply, [0x38] = KeyLeftAlt,
    [0x39] = KeySpace, [0x3A] = KeyCapsLock, [0x3B] = KeyF1, [0x3C] = KeyF2, [0x3D] = KeyF3,
    [0x3E] = KeyF4, [0x3F] = KeyF5, [0x40] = KeyF6, [0x41] = KeyF7, [0x42] = KeyF8, [0x43] = KeyF9,
    [0x44] = KeyF10, [0x45] = KeyNumLock, [0x46] = KeyScrollLock, [0x47] = KeyPad7,
    [0x48] = KeyPad8, [0x49] = KeyPad9, [0x4A] = KeyPadMinus, [0x4B] = KeyPad4, [0x4C] = KeyPad5,
    [0x4D] = KeyPad6, [0x4E] = KeyPadPlus, [0x4F] = KeyPad1, [0x50] = KeyPad2, [0x51] = KeyPad3,
    [0x52] = KeyPad0, [0x53] = KeyPadPeriod, [0x54] = KeyPrintScreen, [0x56] = KeyNonUsBackslash,
    [0x57] = KeyF11, [0x58] = KeyF12,
};

static const uint8_t Set1Extended[256] = {
    [0x1C] = KeyPadEnter, [0x1D] = KeyRightControl, [0x35] = KeyPadDivide, [0x37] = KeyPrintScreen,
    [0x38] = KeyRightAlt, [0x46] = KeyPause, [0x47] = KeyHome, [0x48] = KeyUp, [0x49] = KeyPageUp,
    [0x4B] = KeyLeft, [0x4D] = KeyRight, [0x4F] = KeyEnd, [0x50] = KeyDown, [0x51] = KeyPageDown,
    [0x52] = KeyInsert, [0x53] = KeyDelete, [0x5B] = KeyLeftSuper, [0x5C] = KeyRightSuper,
    [0x5D] = KeyApplication,
};

static const uint8_t Set2[256] = {
    [0x01] = KeyF9, [0x03] = KeyF5, [0x04] = KeyF3, [0x05] = KeyF1, [0x06] = KeyF2, [0x07] = KeyF12,
    [0x09] = KeyF10, [0x0A] = KeyF8, [0x0B] = KeyF6, [0x0C] = KeyF4, [0x0D] = KeyTab,
    [0x0E] = KeyGrave, [0x11] = KeyLeftAlt, [0x12] = KeyLeftShift, [0x14] = KeyLeftControl,
    [0x15] = KeyQ, [0x16] = Key1, [0x1A] = KeyZ, [0x1B] = KeyS, [0x1C] = KeyA, [0x1D] = KeyW,
    [0x1E] = Key2, [0x21] = KeyC, [0x22] = KeyX, [0x23] = KeyD, [0x24] = KeyE, [0x25] = Key4,
    [0x26] = Key3, [0x29] = KeySpace, [0x2A] = KeyV, [0x2B] = KeyF, [0x2C] = KeyT, [0x2D] = KeyR,
    [0x2E] = Key5, [0x31] = KeyN, [0x32] = KeyB, [0x33] = KeyH, [0x34] = KeyG, [0x35] = KeyY,
    [0x36] = Key6, [0x3A] = KeyM, [0x3B] = KeyJ, [0x3C] = KeyU, [0x3D] = Key7, [0x3E] = Key8,
    [0x41] = KeyComma, [0x42] = KeyK, [0x43] = KeyI, [0x44] = KeyO, [0x45] = Key0, [0x46] = Key9,
    [0x49] = KeyPeriod, [0x4A] = KeySlash, [0x4B] = KeyL, [0x4C] = KeySemicolon, [0x4D] = KeyP,
    [0x4E] = KeyMinus, [0x52] = KeyApostrophe, [0x54] = KeyLeftBracket, [0x55] = KeyEqual,
    [0x58] = KeyCapsLock, [0x59] = KeyRightShift, [0x5A] = KeyEnter, [0x5B] = KeyRightBracket,
    [0x5D] = KeyBackslash, [0x61] = KeyNonUsBackslash, [0x66] = KeyBackspace, [0x69] = KeyPad1,
    [0x6B] = KeyPad4, [0x6C] = KeyPad7, [0x70] = KeyPad0, [0x71] = KeyPadPeriod, [0x72] = KeyPad2,
    [0x73] = KeyPad5, [0x74] = KeyPad6, [0x75] = KeyPad8, [0x76] = KeyEscape, [0x77] = KeyNumLock,
    [0x78] = KeyF11, [0x79] = KeyPadPlus, [0x7A] = KeyPad3, [0x7B] = KeyPadMinus,
    [0x7C] = KeyPadMultiply, [0x7D] = KeyPad9, [0x7E] = KeyScrollLock, [0x83] = KeyF7,
    [0x84] = KeyPrintScreen,
};

static const uint8_t Set2Extended[256] = {
    [0x11] = KeyRightAlt, [0x14] = KeyRightControl, [0x1F] = KeyLeftSuper, [0x27] = KeyRightSuper,
    [0x2F] = KeyApplication, [0x4A] = KeyPadDivide, [0x5A] = KeyPadEnter, [0x69] = KeyEnd,
    [0x6B] = KeyLeft, [0x6C] = KeyHome, [0x70] = KeyInsert, [0x71] = KeyDelete, [0x72] = KeyDown,
    [0x74] = KeyRight, [0x75] = KeyUp, [0x7A] = KeyPageDown, [0x7C] = KeyPrintScreen,
    [0x7D] = KeyPageUp, [0x7E] = KeyPause,
};
// clang-format on

#define EXTENDED       0xE0
#define EXTENDED_PAUSE 0xE1
#define SET2_RELEASE   0xF0
#define SET1_RELEASE   0x80
#define PAUSE_CODES    2 // after E1 come the two codes of Ctrl+NumLock

static bool IsFakeShift(bool set2, uint8_t code)
{
    return set2 ? code == 0x12 || code == 0x59 : code == 0x2A || code == 0x36;
}

static bool Finish(InputKeyDecoder *decoder, uint8_t code, uint16_t *key, bool *pressed)
{
    bool release = decoder->Release, extended = decoder->Extended;
    decoder->Release = decoder->Extended = false;
    if (decoder->PauseLeft) {
        if (--decoder->PauseLeft)
            return false;
        *key = KeyPause;
        *pressed = !release;
        return true;
    }
    if (extended && IsFakeShift(decoder->Set2, code))
        return false;
    const uint8_t *table =
        decoder->Set2 ? (extended ? Set2Extended : Set2) : (extended ? Set1Extended : Set1);
    *key = table[code];
    *pressed = !release;
    return *key != KeyNone;
}

bool InputDecodeKey(InputKeyDecoder *decoder, uint8_t byte, uint16_t *key, bool *pressed)
{
    if (byte == 0x00 || byte == 0xFF) { // the keyboard lost something
        *decoder = (InputKeyDecoder){.Set2 = decoder->Set2};
        return false;
    }
    if (byte == EXTENDED) {
        decoder->Extended = true;
        return false;
    }
    if (byte == EXTENDED_PAUSE) {
        decoder->PauseLeft = PAUSE_CODES;
        return false;
    }
    if (decoder->Set2) {
        if (byte == SET2_RELEASE) {
            decoder->Release = true;
            return false;
        }
        return Finish(decoder, byte, key, pressed);
    }
    decoder->Release = byte & SET1_RELEASE;
    return Finish(decoder, byte & (uint8_t)~SET1_RELEASE, key, pressed);
}
