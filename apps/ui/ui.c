// ui.c - see ui.h.
// SPDX-License-Identifier: MIT
#include "ui.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void SetSurface(UiWindow *window, const WindowBuffer *buffer)
{
    window->Surface = (GfxSurface){
        buffer->Pixels, buffer->Stride, {0, 0, (int32_t)buffer->Width, (int32_t)buffer->Height}};
}

Status UiOpenWindow(UiWindow *window, const char *title, uint32_t width, uint32_t height,
                    uint32_t flags)
{
    const WindowParameters parameters = {
        .Title = title,
        .X = WindowPositionDefault,
        .Y = WindowPositionDefault,
        .Width = width,
        .Height = height,
        .Flags = WindowFrame | flags,
    };
    WindowBuffer buffer;
    Status status = AllocWindow(&parameters, &window->Handle, &buffer);
    if (status == StatusSuccess)
        SetSurface(window, &buffer);
    return status;
}

Status UiResizeWindow(UiWindow *window, uint32_t width, uint32_t height)
{
    WindowBuffer buffer;
    Status status = ResizeWindow(window->Handle, width, height, &buffer);
    if (status == StatusSuccess)
        SetSurface(window, &buffer);
    return status;
}

void UiDrawText(const UiWindow *window, const GfxFont *font, Rect area, UiAlign align,
                uint32_t color, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t length = strlen(text);
    int32_t x = area.Left, room = GfxWidth(area);
    if (align == UiRight)
        x = RTL_MAX(x, area.Right - GfxMeasureText(font, text, length));
    GfxSurface clipped = GfxClip(&window->Surface, area);
    GfxDrawText(&clipped, font, x, GfxCenterBaseline(font, area.Top, area.Bottom), room, text,
                length, color, 256);
}

void UiDrawButton(const UiWindow *window, const UiButton *button)
{
    uint32_t strength = !button->Enabled ? 8 : button->Held ? 60 : button->Hover ? 44 : 26;
    size_t length = strlen(button->Label);
    int32_t width = GfxMeasureText(&GfxFontTitle, button->Label, length);
    GfxFill(&window->Surface, button->Area, UiCard);
    GfxRoundRect(&window->Surface, button->Area, 7, 0xFFFFFF, strength);
    GfxDrawText(
        &window->Surface, &GfxFontTitle, button->Area.Left + (GfxWidth(button->Area) - width) / 2,
        GfxCenterBaseline(&GfxFontTitle, button->Area.Top, button->Area.Bottom), width + 1,
        button->Label, length, button->Enabled ? UiBright : UiMuted, button->Enabled ? 256 : 120);
}

bool UiButtonMessage(UiButton *button, const Message *message, bool *changed)
{
    UiButton before = *button;
    bool clicked = false;
    if (message->Type == MessageMouseMove || message->Type == MessageMouseDown ||
        message->Type == MessageMouseUp) {
        bool left = message->Mouse.Changed == MouseButtonLeft;
        button->Hover =
            button->Enabled && GfxContainsPoint(button->Area, message->Mouse.X, message->Mouse.Y);
        if (message->Type == MessageMouseDown && left)
            button->Held = button->Hover;
        if (message->Type == MessageMouseUp && left) {
            clicked = button->Held && button->Hover;
            button->Held = false;
        }
    }
    if (message->Type == MessageBlur)
        button->Hover = button->Held = false;
    *changed |= before.Hover != button->Hover || before.Held != button->Held;
    return clicked;
}
