/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_internal.h"

#include <string.h>

/* ---- Messages of the caller's own data ---- */

void mesh_post(struct mesh *mesh, const uint8_t *bytes, size_t len, const uint64_t *to,
               unsigned count)
{
    if (mesh->letter_count == MESH_LETTERS) {
        mesh->stats.overflow++;
        return;
    }
    if (mesh->letter_count == 0)
        mesh->letter_first = 0;
    uint32_t at = (mesh->letter_first + mesh->letter_count++) % MESH_LETTERS;
    struct mesh_letter *letter = &mesh->letters[at];
    letter->len = (uint16_t)len;
    letter->count = (uint16_t)count;
    memcpy(letter->to, to, count * sizeof(*to));
    memcpy(letter->bytes, bytes, len);
}

static size_t take_letter(struct mesh *mesh, uint8_t *buf, uint64_t *to, unsigned *ret_to)
{
    const struct mesh_letter *letter = &mesh->letters[mesh->letter_first];

    if (mesh->letter_count == 0)
        return 0;
    mesh->letter_first = (mesh->letter_first + 1) % MESH_LETTERS;
    mesh->letter_count--;
    memcpy(buf, letter->bytes, letter->len);
    memcpy(to, letter->to, letter->count * sizeof(*to));
    *ret_to = letter->count;
    return letter->len;
}

/* ---- To all linked nodes ---- */

static size_t write_digest(const struct mesh *mesh, uint8_t *buf)
{
    struct mesh_digest digest;
    struct mesh_writer w;

    mesh_own_digest(mesh, &digest);
    mesh_begin(&w, buf, MESH_M_DIGEST);
    mesh_put_digest(&w, &digest);
    return w.len;
}

/* Changes go before the digest that tells of them. */
static bool begin_cast(struct mesh *mesh)
{
    struct mesh_own *own = &mesh->own;
    struct mesh_cast *cast = &mesh->cast;
    bool digest_due = mesh->now >= mesh->digest_due;

    if (mesh->link_count == 0 || mesh->left)
        return false;
    cast->at = 0;
    if (mesh->leaving) {
        struct mesh_writer w;

        mesh_begin(&w, cast->bytes, MESH_M_LEAVING);
        cast->len = w.len;
        mesh->left = true;
    } else if (own->dirty_first != MESH_NONE &&
               (digest_due || mesh->now >= own->flush_due)) {
        cast->len = mesh_write_delta(mesh, cast->bytes);
    } else if (digest_due) {
        cast->len = write_digest(mesh, cast->bytes);
        mesh->digest_due = mesh->now + MESH_DIGEST_EVERY;
    } else {
        return false;
    }
    return true;
}

static size_t take_cast(struct mesh *mesh, uint8_t *buf, uint64_t *to, unsigned *ret_to)
{
    struct mesh_cast *cast = &mesh->cast;
    unsigned count = 0;

    if (cast->len == 0 && !begin_cast(mesh))
        return 0;
    size_t len = cast->len;
    while (cast->at < mesh->link_count && count < MESH_TO_MAX)
        to[count++] = mesh->nodes[mesh->links[cast->at++]].node;
    if (cast->at >= mesh->link_count)
        cast->len = 0;
    memcpy(buf, cast->bytes, len);
    *ret_to = count;
    return count > 0 ? len : 0;
}

/* ---- To one node ---- */

static size_t write_hello(struct mesh *mesh, struct mesh_node *node, uint8_t *buf)
{
    uint8_t flags = mesh_node_linked(node) ? 0 : MESH_HELLO_WANT;
    struct mesh_digest digest;
    struct mesh_writer w;

    if (node->back)
        flags |= MESH_HELLO_BACK;
    mesh_own_digest(mesh, &digest);
    node->told_version = digest.version;
    mesh_begin(&w, buf, MESH_M_HELLO);
    mesh_put_hello(&w, flags, &mesh->self, &mesh->address, &digest);
    return w.len;
}

static size_t write_links(struct mesh *mesh, struct mesh_node *node, uint8_t *buf)
{
    struct mesh_writer w;

    mesh_begin(&w, buf, MESH_M_LINKS);
    size_t empty = w.len;
    for (; node->links_at < mesh->link_count; node->links_at++) {
        const struct mesh_node *link = &mesh->nodes[mesh->links[node->links_at]];

        if (link != node && !mesh_put_link(&w, &link->id, &link->addr))
            break;
    }
    return w.len > empty ? w.len : 0;
}

static size_t write_ask(struct mesh_node *node, uint8_t *buf)
{
    struct mesh_writer w;

    if (node->ask_mask == 0)
        return 0;
    mesh_begin(&w, buf, MESH_M_ASK_HASHES);
    mesh_put_u64(&w, node->ask_mask);
    node->ask_mask = 0;
    return w.len;
}

static size_t write_bare(uint8_t *buf, enum mesh_message_kind kind)
{
    struct mesh_writer w;

    mesh_begin(&w, buf, kind);
    return w.len;
}

/* Writes what `work`, one bit, asks for; 0: nothing of it is left. */
static size_t write_one(struct mesh *mesh, struct mesh_node *node, uint32_t work,
                        uint8_t *buf)
{
    switch (work) {
    case MESH_WORK_CUT:
        return write_bare(buf, MESH_M_CUT);
    case MESH_WORK_REFUSED:
        return write_bare(buf, MESH_M_REFUSED);
    case MESH_WORK_HELLO:
        return write_hello(mesh, node, buf);
    case MESH_WORK_LINKS:
        return write_links(mesh, node, buf);
    case MESH_WORK_WANT_LINKS:
        return write_bare(buf, MESH_M_WANT_LINKS);
    case MESH_WORK_DIGEST:
        return write_digest(mesh, buf);
    case MESH_WORK_ASK_HASHES:
        return write_ask(node, buf);
    case MESH_WORK_HASHES:
        return mesh_write_hashes(mesh, node, buf);
    case MESH_WORK_PULL:
        return mesh_write_pull(mesh, node, buf);
    default:
        return mesh_write_range(mesh, node, buf);
    }
}

#define REPEATED                                                                         \
    (MESH_WORK_LINKS | MESH_WORK_HASHES | MESH_WORK_PULL |                               \
     MESH_WORK_SERVE) /* one message may not be all of it */

static size_t take_work(struct mesh *mesh, uint8_t *buf, uint64_t *to, unsigned *ret_to)
{
    while (mesh->work_first != MESH_NONE) {
        struct mesh_node *node = &mesh->nodes[mesh->work_first];
        uint32_t left = node->work;

        mesh->work_first = node->work_next;
        node->in_work = false;
        if (left == 0)
            continue;
        uint32_t work = left & (~left + 1);
        size_t len = write_one(mesh, node, work, buf);
        if (len == 0 || (work & REPEATED) == 0)
            node->work &= ~work;
        if (node->work != 0)
            mesh_work(mesh, node, 0);
        if (len == 0)
            continue;
        to[0] = node->node;
        *ret_to = 1;
        return len;
    }
    return 0;
}

size_t mesh_output(struct mesh *mesh, uint8_t *buf, uint64_t *to, unsigned *ret_to)
{
    size_t len = take_letter(mesh, buf, to, ret_to);

    if (len == 0)
        len = take_cast(mesh, buf, to, ret_to);
    if (len == 0 && !mesh->leaving)
        len = take_work(mesh, buf, to, ret_to);
    if (len > 0) {
        mesh->stats.tx += *ret_to;
        mesh->stats.tx_bytes += *ret_to * len;
    }
    return len;
}
