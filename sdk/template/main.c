// A window with a gradient that follows the mouse; Escape or the close button ends it.
// SPDX-License-Identifier: MIT
#include "MetalKeys.h"
#include "MetalOS.h"

#include <stdio.h>

static void Draw(const WindowBuffer *buffer, int mouseX, int mouseY)
{
    for (uint32_t y = 0; y < buffer->Height; y++)
        for (uint32_t x = 0; x < buffer->Width; x++)
            buffer->Pixels[y * buffer->Stride + x] =
                ((x + (uint32_t)mouseX) & 0xFF) << 16 | ((y + (uint32_t)mouseY) & 0xFF) << 8 | 0x60;
}

int main(void)
{
    const WindowParameters parameters = {
        .Title = "Hello",
        .X = WindowPositionDefault,
        .Y = WindowPositionDefault,
        .Width = 320,
        .Height = 200,
        .Flags = WindowFrame | WindowResizable,
    };
    WindowBuffer buffer;
    Handle window;
    Message message = {};
    Status status = AllocWindow(&parameters, &window, &buffer);
    if (status != StatusSuccess) {
        fprintf(stderr, "hello: no window: %s\n", GetStatusText(status));
        return 1;
    }
    do {
        if (message.Type == MessageResize) // keeps its size when there is no memory
            (void)ResizeWindow(window, message.Size.Width, message.Size.Height, &buffer);
        Draw(&buffer, message.Type == MessageMouseMove ? message.Mouse.X : 0,
             message.Type == MessageMouseMove ? message.Mouse.Y : 0);
        status = PaintWindow(window, nullptr);
        if (status == StatusSuccess)
            status = GetMessage(&message, InfiniteTimeout);
    } while (status == StatusSuccess && message.Type != MessageClose &&
             !(message.Type == MessageKeyDown && message.Key.Code == KeyEscape));
    return status == StatusSuccess ? 0 : 1;
}
