// source.c - the text of a node, for who keeps it longer than the text it was read from.
// SPDX-License-Identifier: MIT
#include "syntax.h"

#include <stdlib.h>
#include <string.h>

typedef struct Copy {
    const Node *Node;
    char *Text; // nullptr: only measured
    size_t Length;
} Copy;

static void CopyPiece(Copy *copy, const char *text, size_t length)
{
    if (copy->Text != nullptr)
        memcpy(copy->Text + copy->Length, text, length);
    copy->Length += length;
}

// The bodies below a node that stand outside the copied one's source, in their order.
static void CopyBodies(Copy *copy, const Node *node)
{
    for (size_t i = 0; i < node->ChildCount; i++)
        CopyBodies(copy, node->Children[i]);
    for (size_t i = 0; i < node->RedirectionCount; i++) {
        const Redirection *made = &node->Redirections[i];
        if (made->Body != nullptr && made->Body >= copy->Node->Text + copy->Node->Length) {
            CopyPiece(copy, "\n", copy->Length == copy->Node->Length);
            CopyPiece(copy, made->Body, made->BodyLength);
        }
    }
}

char *CopySource(const Node *node)
{
    Copy copy = {.Node = node, .Length = node->Length};
    CopyBodies(&copy, node);
    copy.Text = malloc(copy.Length + 1);
    if (copy.Text == nullptr)
        return nullptr;
    copy.Length = 0;
    CopyPiece(&copy, node->Text, node->Length);
    CopyBodies(&copy, node);
    copy.Text[copy.Length] = '\0';
    return copy.Text;
}
