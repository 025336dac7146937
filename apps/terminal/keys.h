// keys.h - what keys type into a terminal. Pure code.
// SPDX-License-Identifier: MIT
#pragma once

#include "screen.h"

// code: KeyCode; modifiers: Modifier...; character: what the key types, 0: none. What is typed goes
// to the screen's reply. False: nothing is.
bool KeysType(Screen *screen, uint16_t code, uint16_t modifiers, uint32_t character);
VTermModifier KeysModifiers(uint16_t modifiers);
