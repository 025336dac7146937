"""Looks at a picture of the screen: binary PPM, as QEMU's screendump writes it."""
# SPDX-License-Identifier: MIT


class Screen:
    """width, height, and pixels as bytes r, g, b from the top left."""

    def __init__(self, data):
        fields, position = [], 0
        while len(fields) < 4:  # "P6 width height maximum", white space between, one byte of it behind
            end = position
            while not data[end:end + 1].isspace():
                end += 1
            fields.append(data[position:end])
            position = end + 1
        if fields[0] != b"P6" or fields[3] != b"255":
            raise ValueError("no PPM picture with 8 bits a sample")
        self.width, self.height = int(fields[1]), int(fields[2])
        self.pixels = data[position:position + self.width * self.height * 3]
        if len(self.pixels) != self.width * self.height * 3:
            raise ValueError("the picture is cut short")

    def pixel(self, x, y):
        """(red, green, blue) at x, y."""
        at = (y * self.width + x) * 3
        return tuple(self.pixels[at:at + 3])

    def row(self, y, left=0, right=None):
        """The bytes of the pixels from left to before right."""
        right = self.width if right is None else right
        return self.pixels[(y * self.width + left) * 3:(y * self.width + right) * 3]

    def crop(self, left, top, right, bottom):
        """The bytes of a rectangle, for comparison with another."""
        return b"".join(self.row(y, left, right) for y in range(top, bottom))

    def colours(self, left=0, top=0, right=None, bottom=None):
        """The set of colours in a rectangle."""
        data = self.crop(left, top, self.width if right is None else right,
                         self.height if bottom is None else bottom)
        return set(zip(data[::3], data[1::3], data[2::3]))

    def count(self, colour, left=0, top=0, right=None, bottom=None):
        """How many pixels of a rectangle have the colour."""
        data = self.crop(left, top, self.width if right is None else right,
                         self.height if bottom is None else bottom)
        return sum(1 for pixel in zip(data[::3], data[1::3], data[2::3]) if pixel == tuple(colour))

    def differs(self, other, left=0, top=0, right=None, bottom=None):
        """Whether a rectangle of two screens differs."""
        box = (left, top, self.width if right is None else right,
               self.height if bottom is None else bottom)
        return self.crop(*box) != other.crop(*box)
