// keys.c - the US keyboard layout.
// SPDX-License-Identifier: MIT
#include "MetalKeys.h"
#include "desk.h"

uint32_t WiTranslateKey(uint16_t code, uint16_t modifiers)
{
    static const char digits[] = "1234567890", shiftedDigits[] = "!@#$%^&*()";
    static const char signs[] = "-=[]\\\0;'`,./",
                      shiftedSigns[] = "_+{}|\0:\"~<>?"; // from KeyMinus on
    static const char pad[] = "/*-+\n1234567890.";       // from KeyPadDivide on
    if (modifiers & (ModifierControl | ModifierAlt | ModifierSuper))
        return 0;
    bool shift = modifiers & ModifierShift;
    if (code >= KeyA && code <= KeyZ)
        return (uint32_t)(code - KeyA) + (shift != !!(modifiers & ModifierCapsLock) ? 'A' : 'a');
    if (code >= Key1 && code <= Key0)
        return (uint8_t)(shift ? shiftedDigits : digits)[code - Key1];
    if (code >= KeyMinus && code <= KeySlash)
        return (uint8_t)(shift ? shiftedSigns : signs)[code - KeyMinus];
    if (code >= KeyPadDivide && code <= KeyPadEnter)
        return (uint8_t)pad[code - KeyPadDivide];
    if (code >= KeyPad1 && code <= KeyPadPeriod)
        return modifiers & ModifierNumLock && !shift ? (uint8_t)pad[code - KeyPadDivide] : 0;
    switch (code) {
    case KeyEnter:
        return '\n';
    case KeyEscape:
        return 0x1B;
    case KeyBackspace:
        return '\b';
    case KeyTab:
        return '\t';
    case KeySpace:
        return ' ';
    case KeyNonUsBackslash:
        return shift ? '|' : '\\';
    default:
        return 0;
    }
}
