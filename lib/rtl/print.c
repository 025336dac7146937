// print.c - formatted print without allocation, floating point or locale.
//
// One engine (RtlFormatToV) parses the format and hands pieces to a sink; printing to a buffer is a
// sink that counts and cuts. A conversion it does not know is printed as it stands, so that a
// mistake shows.
// SPDX-License-Identifier: MIT
#include "rtl/rtl.h"

typedef struct Conversion {
    bool Left, Zero, Plus, Space, Alternate;
    int Width;
    int Precision; // -1: none given
    char Length;   // 'H' hh, 'h', 'l', 'q' 64 bits, 0 int
    char Kind;
} Conversion;

static void Pad(RtlSink *sink, void *context, char fill, int count)
{
    static const char spaces[17] = "                ", zeros[17] = "0000000000000000";
    while (count > 0) {
        int piece = count < 16 ? count : 16;
        sink(context, fill == '0' ? zeros : spaces, (size_t)piece);
        count -= piece;
    }
}

static void PrintText(RtlSink *sink, void *context, const Conversion *c, const char *text,
                      int length)
{
    if (!c->Left)
        Pad(sink, context, ' ', c->Width - length);
    sink(context, text, (size_t)length);
    if (c->Left)
        Pad(sink, context, ' ', c->Width - length);
}

static void PrintNumber(RtlSink *sink, void *context, const Conversion *c, uint64_t value,
                        bool negative)
{
    char digits[24], prefix[3];
    int count = 0, prefixLength = 0;
    unsigned base = c->Kind == 'x' || c->Kind == 'X' || c->Kind == 'p' ? 16 : 10;
    const char *alphabet = c->Kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    bool nonZero = value != 0;
    for (; value; value /= base)
        digits[sizeof digits - (size_t)++count] = alphabet[value % base];
    if (!count && c->Precision != 0)
        digits[sizeof digits - (size_t)++count] = '0';

    if (negative)
        prefix[prefixLength++] = '-';
    else if (c->Plus)
        prefix[prefixLength++] = '+';
    else if (c->Space)
        prefix[prefixLength++] = ' ';
    if (base == 16 && (c->Kind == 'p' || (c->Alternate && nonZero))) {
        prefix[prefixLength++] = '0';
        prefix[prefixLength++] = c->Kind == 'X' ? 'X' : 'x';
    }

    int zeros = c->Precision > count ? c->Precision - count : 0;
    int blanks = c->Width - prefixLength - zeros - count;
    if (c->Zero && !c->Left && c->Precision < 0 && blanks > 0) {
        zeros += blanks;
        blanks = 0;
    }
    if (!c->Left)
        Pad(sink, context, ' ', blanks);
    sink(context, prefix, (size_t)prefixLength);
    Pad(sink, context, '0', zeros);
    sink(context, digits + sizeof digits - count, (size_t)count);
    if (c->Left)
        Pad(sink, context, ' ', blanks);
}

static int ParseNumber(const char **format)
{
    int value = 0;
    for (; **format >= '0' && **format <= '9'; ++*format)
        if (value < 10000)
            value = value * 10 + (**format - '0');
    return value;
}

static void ParseFlags(const char **format, Conversion *c)
{
    for (;; ++*format) {
        switch (**format) {
        case '-':
            c->Left = true;
            break;
        case '0':
            c->Zero = true;
            break;
        case '+':
            c->Plus = true;
            break;
        case ' ':
            c->Space = true;
            break;
        case '#':
            c->Alternate = true;
            break;
        default:
            return;
        }
    }
}

static void ParseLength(const char **format, Conversion *c)
{
    char first = **format;
    if (first == 'h' || first == 'l') {
        ++*format;
        c->Length = first;
        if (**format == first) {
            ++*format;
            c->Length = first == 'h' ? 'H' : 'q';
        }
    } else if (first == 'z' || first == 't' || first == 'j') {
        ++*format;
        c->Length = 'q';
    }
}

static int64_t Narrow(uint64_t value, char length)
{
    switch (length) {
    case 'H':
        return (int8_t)value;
    case 'h':
        return (int16_t)value;
    case 'q':
        return (int64_t)value;
    default:
        return (int32_t)value;
    }
}

static uint64_t NarrowUnsigned(uint64_t value, char length)
{
    switch (length) {
    case 'H':
        return (uint8_t)value;
    case 'h':
        return (uint16_t)value;
    case 'q':
        return value;
    default:
        return (uint32_t)value;
    }
}

void RtlFormatToV(RtlSink *sink, void *context, const char *format, va_list arguments)
{
    va_list args;
    va_copy(args, arguments);
    while (*format) {
        const char *start = format;
        while (*format && *format != '%')
            format++;
        if (format != start)
            sink(context, start, (size_t)(format - start));
        if (!*format)
            break;

        start = format++;
        Conversion c = {.Precision = -1};
        ParseFlags(&format, &c);
        if (*format == '*') {
            format++;
            c.Width = va_arg(args, int);
            if (c.Width < 0) {
                c.Left = true;
                c.Width = c.Width < -10000 ? 10000 : -c.Width;
            }
        } else {
            c.Width = ParseNumber(&format);
        }
        if (*format == '.') {
            format++;
            if (*format == '*') {
                format++;
                c.Precision = va_arg(args, int);
            } else {
                c.Precision = ParseNumber(&format);
            }
        }
        ParseLength(&format, &c);
        c.Kind = *format;
        if (c.Kind)
            format++;
        switch (c.Kind) {
        case 'd':
        case 'i': {
            int64_t value =
                Narrow(c.Length == 'q' ? va_arg(args, uint64_t) : va_arg(args, uint32_t), c.Length);
            PrintNumber(sink, context, &c, value < 0 ? -(uint64_t)value : (uint64_t)value,
                        value < 0);
            break;
        }
        case 'u':
        case 'x':
        case 'X':
            c.Plus = c.Space = false;
            PrintNumber(
                sink, context, &c,
                NarrowUnsigned(c.Length == 'q' ? va_arg(args, uint64_t) : va_arg(args, uint32_t),
                               c.Length),
                false);
            break;
        case 'p':
            c.Plus = c.Space = false;
            c.Precision = 16;
            PrintNumber(sink, context, &c, (uint64_t)va_arg(args, void *), false);
            break;
        case 's': {
            const char *text = va_arg(args, const char *);
            if (!text)
                text = "(null)";
            int length = 0;
            while ((c.Precision < 0 || length < c.Precision) && text[length])
                length++;
            PrintText(sink, context, &c, text, length);
            break;
        }
        case 'c': {
            char character = (char)va_arg(args, int);
            PrintText(sink, context, &c, &character, 1);
            break;
        }
        case '%':
            sink(context, "%", 1);
            break;
        default:
            sink(context, start, (size_t)(format - start));
            break;
        }
    }
    va_end(args);
}

typedef struct BufferSink {
    char *Buffer;
    size_t Size, Length;
} BufferSink;

static void WriteToBuffer(void *context, const char *text, size_t length)
{
    BufferSink *out = context;
    for (size_t i = 0; i < length; i++, out->Length++)
        if (out->Length + 1 < out->Size)
            out->Buffer[out->Length] = text[i];
}

size_t RtlFormatV(char *buffer, size_t size, const char *format, va_list arguments)
{
    BufferSink out = {.Buffer = buffer, .Size = size};
    RtlFormatToV(WriteToBuffer, &out, format, arguments);
    if (size)
        buffer[RTL_MIN(out.Length, size - 1)] = 0;
    return out.Length;
}

size_t RtlFormat(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t length = RtlFormatV(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}
