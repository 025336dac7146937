// utf.c - UTF-8 and UTF-16 (The Unicode Standard, section 3.9). Decoding rejects overlong forms,
// surrogates and values beyond U+10FFFF; each bad unit becomes one U+FFFD.
// SPDX-License-Identifier: MIT
#include "rtl/rtl.h"

constexpr uint32_t ReplacementCharacter = 0xFFFD;

uint32_t RtlDecodeUtf8(const char *text, size_t length, size_t *index)
{
    static const uint32_t lowest[5] = {0, 0, 0x80, 0x800, 0x10000}; // below: an overlong form
    unsigned char first = (unsigned char)text[(*index)++];
    if (first < 0x80)
        return first;
    size_t size = first >= 0xF0 && first < 0xF8   ? 4
                  : first >= 0xE0 && first < 0xF0 ? 3
                  : first >= 0xC0 && first < 0xE0 ? 2
                                                  : 0;
    if (!size || length - *index < size - 1)
        return ReplacementCharacter;
    uint32_t code = first & (0xFFu >> (size + 1));
    for (size_t i = 0; i < size - 1; i++) {
        unsigned char next = (unsigned char)text[*index + i];
        if ((next & 0xC0) != 0x80)
            return ReplacementCharacter;
        code = code << 6 | (next & 0x3F);
    }
    if (code < lowest[size] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return ReplacementCharacter;
    *index += size - 1;
    return code;
}

size_t RtlEncodeUtf8(uint32_t codePoint, char out[4])
{
    if (codePoint < 0x80) {
        out[0] = (char)codePoint;
        return 1;
    }
    if (codePoint < 0x800) {
        out[0] = (char)(0xC0 | codePoint >> 6);
        out[1] = (char)(0x80 | (codePoint & 0x3F));
        return 2;
    }
    if (codePoint > 0x10FFFF || (codePoint >= 0xD800 && codePoint < 0xE000))
        codePoint = ReplacementCharacter;
    if (codePoint < 0x10000) {
        out[0] = (char)(0xE0 | codePoint >> 12);
        out[1] = (char)(0x80 | (codePoint >> 6 & 0x3F));
        out[2] = (char)(0x80 | (codePoint & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | codePoint >> 18);
    out[1] = (char)(0x80 | (codePoint >> 12 & 0x3F));
    out[2] = (char)(0x80 | (codePoint >> 6 & 0x3F));
    out[3] = (char)(0x80 | (codePoint & 0x3F));
    return 4;
}

Status RtlUtf8ToUtf16(const char *text, size_t length, uint16_t *out, size_t capacity,
                      size_t *units)
{
    size_t count = 0;
    for (size_t i = 0; i < length;) {
        size_t before = i;
        uint32_t code = RtlDecodeUtf8(text, length, &i);
        // A real U+FFFD in the text takes three bytes; the stand-in for a bad one takes one.
        if (code == ReplacementCharacter && i - before != 3)
            return StatusInvalidName;
        size_t need = code >= 0x10000 ? 2 : 1;
        if (count + need >= capacity)
            return StatusBufferTooSmall;
        if (need == 2) {
            out[count++] = (uint16_t)(0xD800 + ((code - 0x10000) >> 10));
            out[count++] = (uint16_t)(0xDC00 + ((code - 0x10000) & 0x3FF));
        } else {
            out[count++] = (uint16_t)code;
        }
    }
    if (count >= capacity)
        return StatusBufferTooSmall;
    out[count] = 0;
    *units = count;
    return StatusSuccess;
}

Status RtlUtf16ToUtf8(const uint16_t *text, size_t length, char *out, size_t capacity,
                      size_t *bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        uint32_t code = text[i];
        if (code >= 0xD800 && code < 0xE000) {
            if (code >= 0xDC00 || i + 1 == length || text[i + 1] < 0xDC00 || text[i + 1] >= 0xE000)
                return StatusInvalidName;
            code = 0x10000 + ((code - 0xD800) << 10) + (text[++i] - 0xDC00u);
        }
        char encoded[4];
        size_t size = RtlEncodeUtf8(code, encoded);
        if (count + size >= capacity)
            return StatusBufferTooSmall;
        for (size_t k = 0; k < size; k++)
            out[count++] = encoded[k];
    }
    if (count >= capacity)
        return StatusBufferTooSmall;
    out[count] = 0;
    *bytes = count;
    return StatusSuccess;
}
