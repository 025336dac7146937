// graph.c - the tree of calls as a flame graph: who calls whom from below to above, as wide as the
// time that was spent. After Brendan Gregg's.
// SPDX-License-Identifier: MIT
#include "prof.h"

enum {
    Width = 1200,
    RowHeight = 17,
    Margin = 10,
    TitleHeight = 40,
    LetterWidth = 7,
    TitleLetters = 75, // beside the legend
    MaximumDepth = 64
};

static FILE *out;
static uint64_t allSamples;
static int height;

static int Depth(const CallNode *node)
{
    int deepest = 0;
    for (const CallNode *child = node->Child; child != nullptr; child = child->Next) {
        int depth = 1 + Depth(child);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest;
}

static void WriteText(const char *text, size_t length)
{
    for (size_t i = 0; i < length && text[i] != '\0'; i++) {
        const char *entity = text[i] == '&'   ? "&amp;"
                             : text[i] == '<' ? "&lt;"
                             : text[i] == '>' ? "&gt;"
                                              : nullptr;
        if (entity != nullptr)
            fputs(entity, out);
        else
            fputc(text[i], out);
    }
}

// As much of the name as there is room for: the function without its module rather than a part of
// both.
static void WriteLabel(const char *name, double width)
{
    const char *function = strchr(name, '!');
    size_t room = (size_t)(width / LetterWidth);
    if (strlen(name) > room && function != nullptr)
        name = function + 1;
    bool whole = strlen(name) <= room;
    WriteText(name, whole ? room : room - 1);
    if (!whole)
        fputs("\u2026", out);
}

// The kernel's frames are blue, a library's green, a program's between red and yellow.
static void WriteColour(const char *name)
{
    unsigned hash = 5381;
    for (const char *at = name; *at != '\0'; at++)
        hash = hash * 33 + (unsigned char)*at;
    unsigned shade = hash % 50;
    if (strncmp(name, "moskrnl!", 8) == 0)
        fprintf(out, "rgb(%u,%u,%u)", 100 + shade, 150 + shade, 230);
    else if (strncmp(name, "mosrt!", 6) == 0)
        fprintf(out, "rgb(%u,%u,%u)", 110 + shade, 200, 110 + shade);
    else
        fprintf(out, "rgb(%u,%u,%u)", 225 + shade / 2, 90 + shade * 2, 60);
}

static void WriteNode(const CallNode *node, const char *name, double x, int level)
{
    double width = (double)node->Count / allSamples * (Width - 2 * Margin);
    int y = height - Margin - (level + 1) * RowHeight;
    if (width < 0.5 || level > MaximumDepth)
        return;
    fprintf(out, "<g><title>");
    WriteText(name, SIZE_MAX);
    fprintf(out,
            " (%llu samples, %.1f%%)</title><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" "
            "rx=\"1\" fill=\"",
            (unsigned long long)node->Count, 100.0 * node->Count / allSamples, x, y, width,
            RowHeight - 1);
    WriteColour(name);
    fputs("\"/>", out);
    if (width > 4 * LetterWidth) {
        fprintf(out, "<text x=\"%.1f\" y=\"%d\">", x + 3, y + RowHeight - 5);
        WriteLabel(name, width - 3);
        fputs("</text>", out);
    }
    fputs("</g>\n", out);
    for (const CallNode *child = node->Child; child != nullptr; child = child->Next) {
        WriteNode(child, GetSymbol(child->Symbol)->Name, x, level + 1);
        x += (double)child->Count / allSamples * (Width - 2 * Margin);
    }
}

// What was measured, how often it was looked at, and what the colours mean.
static void WriteTitle(const char *title)
{
    enum { LegendLeft = Width - Margin - 255, LegendStep = 85 };
    static const char *const legend[][2] = {
        {"program", "doom!"}, {"library", "mosrt!"}, {"kernel", "moskrnl!"}};
    fprintf(out, "<text x=\"%d\" y=\"24\" font-size=\"16\">", Margin);
    WriteText(title, TitleLetters);
    fprintf(out, "<tspan dx=\"16\" font-size=\"11\" fill=\"#666\">%llu samples</tspan></text>\n",
            (unsigned long long)allSamples);
    for (int i = 0; i < 3; i++) {
        int x = LegendLeft + i * LegendStep;
        fprintf(out, "<rect x=\"%d\" y=\"14\" width=\"11\" height=\"11\" rx=\"1\" fill=\"", x);
        WriteColour(legend[i][1]);
        fprintf(out, "\"/><text x=\"%d\" y=\"24\">%s</text>\n", x + 16, legend[i][0]);
    }
}

bool WriteGraph(const char *path, const Samples *samples, const char *title)
{
    int depth = Depth(&samples->Root);
    out = fopen(path, "w");
    if (out == nullptr)
        return false;
    allSamples = samples->Count == 0 ? 1 : samples->Count;
    height =
        TitleHeight + 2 * Margin + ((depth < MaximumDepth ? depth : MaximumDepth) + 1) * RowHeight;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "font-family=\"monospace\" font-size=\"11\">\n"
            "<rect width=\"%d\" height=\"%d\" fill=\"#f8f8f8\"/>\n",
            Width, height, Width, height);
    WriteTitle(title);
    WriteNode(&samples->Root, "all", Margin, 0);
    fputs("</svg>\n", out);
    return fclose(out) == 0;
}
