// keys.c - see keys.h. Control with a letter types a control character, Alt puts an Escape before
// what the key types; cursor and function keys are libvterm's, which knows their modes.
// SPDX-License-Identifier: MIT
#include "keys.h"

#include "MetalKeys.h"
#include "MetalOS.h"

VTermModifier KeysModifiers(uint16_t modifiers)
{
    return (VTermModifier)((modifiers & ModifierShift ? VTERM_MOD_SHIFT : 0) |
                           (modifiers & ModifierControl ? VTERM_MOD_CTRL : 0) |
                           (modifiers & ModifierAlt ? VTERM_MOD_ALT : 0));
}

static VTermKey FindKey(uint16_t code)
{
    static const struct {
        uint16_t Code;
        VTermKey Key;
    } keys[] = {
        {KeyEnter, VTERM_KEY_ENTER},
        {KeyTab, VTERM_KEY_TAB},
        {KeyBackspace, VTERM_KEY_BACKSPACE},
        {KeyEscape, VTERM_KEY_ESCAPE},
        {KeyUp, VTERM_KEY_UP},
        {KeyDown, VTERM_KEY_DOWN},
        {KeyLeft, VTERM_KEY_LEFT},
        {KeyRight, VTERM_KEY_RIGHT},
        {KeyInsert, VTERM_KEY_INS},
        {KeyDelete, VTERM_KEY_DEL},
        {KeyHome, VTERM_KEY_HOME},
        {KeyEnd, VTERM_KEY_END},
        {KeyPageUp, VTERM_KEY_PAGEUP},
        {KeyPageDown, VTERM_KEY_PAGEDOWN},
        {KeyPadEnter, VTERM_KEY_ENTER},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (keys[i].Code == code)
            return keys[i].Key;
    if (code >= KeyF1 && code <= KeyF12)
        return (VTermKey)VTERM_KEY_FUNCTION(1 + code - KeyF1);
    return VTERM_KEY_NONE;
}

// The character on a key where the window system gives none: with Control or Alt held.
static uint32_t PlainCharacter(uint16_t code, bool shift)
{
    static const char digits[] = "1234567890", shifted[] = "!@#$%^&*()";
    static const char signs[] = "-=[]\\\0;'`,./", shiftedSigns[] = "_+{}|\0:\"~<>?";
    if (code >= KeyA && code <= KeyZ)
        return (uint32_t)(code - KeyA) + (shift ? 'A' : 'a');
    if (code >= Key1 && code <= Key0)
        return (uint8_t)(shift ? shifted : digits)[code - Key1];
    if (code >= KeyMinus && code <= KeySlash)
        return (uint8_t)(shift ? shiftedSigns : signs)[code - KeyMinus];
    return code == KeySpace ? ' ' : 0;
}

// The control character of Control with that key; -1: none.
static int ControlCharacter(uint32_t plain)
{
    if (plain >= 'a' && plain <= 'z')
        return (int)(plain - 'a' + 1);
    if (plain >= 'A' && plain <= 'Z')
        return (int)(plain - 'A' + 1);
    switch (plain) {
    case ' ':
    case '@':
    case '2':
        return 0;
    case '[':
        return 0x1B;
    case '\\':
        return 0x1C;
    case ']':
        return 0x1D;
    case '^':
    case '6':
        return 0x1E;
    case '_':
    case '-':
    case '/':
        return 0x1F;
    default:
        return -1;
    }
}

bool KeysType(Screen *screen, uint16_t code, uint16_t modifiers, uint32_t character)
{
    VTermKey key = FindKey(code);
    bool plain = key == VTERM_KEY_ENTER || key == VTERM_KEY_BACKSPACE || key == VTERM_KEY_ESCAPE;
    if (plain) // programs know no others
        modifiers &= ModifierAlt;
    if (key != VTERM_KEY_NONE) {
        vterm_keyboard_key(screen->Terminal, key, KeysModifiers(modifiers));
        return true;
    }
    if (modifiers & ModifierSuper)
        return false;
    VTermModifier alt = modifiers & ModifierAlt ? VTERM_MOD_ALT : VTERM_MOD_NONE;
    if (character == 0)
        character = PlainCharacter(code, modifiers & ModifierShift);
    if (character == 0)
        return false;
    if (modifiers & ModifierControl) {
        int control = ControlCharacter(character);
        if (control < 0)
            return false;
        character = (uint32_t)control;
    }
    vterm_keyboard_unichar(screen->Terminal, character, alt);
    return true;
}
