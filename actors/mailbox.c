/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox.h"

_Static_assert(sizeof(struct mailbox) == 40, "fits the slot's first cache line");

void mailbox_put_back(struct mailbox *m, uint32_t cls, struct node *first,
                      struct node *last)
{
    struct node *newest = m->last[cls];

    if (newest == NULL) {
        last->next = first;
        m->last[cls] = last;
    } else {
        last->next = newest->next;
        newest->next = first;
    }
}

struct node *mailbox_take_counted(struct mailbox *m, uint32_t cls)
{
    struct node *last = m->last[cls], *before = last, *node;

    if (last == NULL)
        return NULL;
    for (node = last->next; !node_is_counted(node); node = node->next) {
        if (node == last)
            return NULL;
        before = node;
    }
    if (node == before) { /* the only one */
        m->last[cls] = NULL;
    } else {
        before->next = node->next;
        if (node == last)
            m->last[cls] = before;
    }
    mailbox_taken(m, node);
    return node;
}
