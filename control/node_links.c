/* SPDX-License-Identifier: Apache-2.0 */
/* proa_node_link_add and _remove, done by the control thread's own hand. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "clock.h"
#include "node_internal.h"

struct change {
    struct proa_addr addr;
    uint64_t node; /* 0: by addr */
    enum proa_outcome outcome;
    char *err;
    size_t err_len;
};

static void add(struct proa_node *node, void *ctx)
{
    struct change *change = ctx;

    change->outcome = core_mesh_add(node->core, &change->addr, clock_ns(), change->err,
                                    change->err_len);
}

static void take_away(struct proa_node *node, void *ctx)
{
    struct change *change = ctx;
    uint64_t which = change->node;

    if (which == 0 && addr_equal(&change->addr, &node->address))
        which = core_node(node->core);
    if (which == 0)
        which = core_mesh_find(node->core, &change->addr);
    if (which == 0)
        change->outcome = core_mesh_forget(node->core, &change->addr, clock_ns(),
                                           change->err, change->err_len);
    else
        change->outcome =
            core_mesh_remove(node->core, which, clock_ns(), change->err, change->err_len);
}

static enum proa_outcome stopped(char *err, size_t err_len)
{
    if (err != NULL && err_len > 0)
        snprintf(err, err_len, "this node is leaving");
    return PROA_STOPPED;
}

/* relaxed, where it is read: a node that stops a moment later refuses by itself. */
static bool is_stopping(struct proa_node *node)
{
    return atomic_load_explicit(&node->stopping, memory_order_relaxed);
}

enum proa_outcome proa_node_link_add(struct proa_node *node, const char *address,
                                     char *err, size_t err_len)
{
    struct change change = {.err = err, .err_len = err_len};

    if (is_stopping(node))
        return stopped(err, err_len);
    if (!addr_parse(address, PROA_PORT, &change.addr) || change.addr.port == 0) {
        if (err != NULL && err_len > 0)
            snprintf(err, err_len,
                     "'%.64s' is no address with port, like 10.0.0.1:7400 or "
                     "[fd00::1]:7400",
                     address);
        return PROA_INVALID;
    }
    node_call(node, add, &change);
    return change.outcome;
}

/* An id as events and `proa cluster` print it: 16 hexadecimal digits, fewer when it begins with 0. */
static bool parse_id(const char *text, uint64_t *ret)
{
    size_t len = strlen(text);

    if (len == 0 || len > 16 || strspn(text, "0123456789abcdefABCDEF") != len)
        return false;
    *ret = strtoull(text, NULL, 16);
    return *ret != 0;
}

enum proa_outcome proa_node_link_remove(struct proa_node *node, const char *which,
                                        char *err, size_t err_len)
{
    struct change change = {.err = err, .err_len = err_len};

    if (is_stopping(node))
        return stopped(err, err_len);
    if (!parse_id(which, &change.node) &&
        (!addr_parse(which, PROA_PORT, &change.addr) || change.addr.port == 0)) {
        if (err != NULL && err_len > 0)
            snprintf(err, err_len,
                     "'%.64s' is neither an address with port, like 10.0.0.1:7400, nor a "
                     "node's id in hexadecimal",
                     which);
        return PROA_INVALID;
    }
    node_call(node, take_away, &change);
    return change.outcome;
}
