/* SPDX-License-Identifier: Apache-2.0 */
#include "holders.h"

#include <string.h>

#include "registrar_internal.h"
#include "watchers.h"

bool holders_alive(const struct core *core, uint64_t node)
{
    const struct directory_node *record = directory_node(core->config.directory, node);

    /* relaxed: a moment, nothing is read by it. */
    return record != NULL &&
           core->now < atomic_load_explicit(&record->heard_until, memory_order_relaxed);
}

/* ---- Who ---- */

static void own_holder(const struct core *core, const struct owned *owned,
                       struct holder *ret)
{
    *ret = (struct holder){
        .ref = owned_ref(core, owned), .type = owned->type, .term = owned->term};
}

static void mesh_holder(const struct mesh_entry *entry, struct holder *ret)
{
    *ret = (struct holder){.ref = {entry->node, entry->slot, entry->generation},
                           .type = entry->type,
                           .term = entry->term,
                           .issued = entry->issued,
                           .claim = entry->claim};
}

/* Does Kademlia's word win against the mesh's? */
static bool told_beats(const struct holder *told, const struct mesh_entry *entry)
{
    struct mesh_entry other = {.node = told->ref.node,
                               .term = told->term,
                               .issued = told->issued,
                               .claim = told->claim};

    if (told->ref.node == entry->node)
        return told->term > entry->term ||
               (told->term == entry->term && told->issued > entry->issued);
    return mesh_beats(&other, entry);
}

bool holders_find(const struct core *core, const char *name, size_t len,
                  struct holder *ret)
{
    const struct owned *owned = owned_visible(core, name, len);
    const struct mesh_entry *entry;
    struct holder told;

    if (owned != NULL) {
        own_holder(core, owned, ret);
        return true;
    }
    entry = mesh_name(core->mesh_port.mesh, name, len);
    if (wanted_told(core, name, len, &told) &&
        (entry == NULL || told_beats(&told, entry))) {
        *ret = told;
        return true;
    }
    if (entry == NULL)
        return false;
    mesh_holder(entry, ret);
    return true;
}

bool holders_settled(const struct core *core, const char *name, size_t len,
                     const struct holder *holder)
{
    const struct owned *owned = owned_visible(core, name, len);

    if (owned != NULL)
        return owned_settled(core, owned);
    return core->wall_ms >= record_clock_ms(holder->claim) + REGISTRAR_SETTLES / PROA_MS;
}

/* ---- What follows ---- */

static void publish(struct core *core, const char *name, size_t len,
                    const struct holder *holder)
{
    struct directory *dir = core->config.directory;
    proa_ns absent_until = wanted_absent_until(core, name, len);

    if (holder != NULL) {
        if (!directory_put(dir, name, len, holder->ref, holder->type, core->now))
            core->stats.names_refused++;
    } else if (absent_until > core->now) {
        directory_put_absent(dir, name, len, absent_until);
    } else {
        directory_remove(dir, name, len);
    }
}

static void tell(struct core *core, const char *name, size_t len,
                 enum proa_change_kind kind, struct proa_ref ref)
{
    const struct watchers_change change = {
        .kind = kind, .ref = ref, .version = ++core->names_version};

    watchers_change(core, &change, name, len);
}

void holders_decide(struct core *core, const char *name, size_t len)
{
    struct directory *dir = core->config.directory;
    struct proa_ref before = proa_ref_none(), after = proa_ref_none();
    struct holder holder;
    bool held = holders_find(core, name, len, &holder);

    directory_holder(dir, name, len, &before);
    publish(core, name, len, held ? &holder : NULL);
    directory_holder(dir, name, len, &after);
    if (!proa_ref_equal(before, after)) {
        if (!proa_ref_is_none(before))
            tell(core, name, len, PROA_CHANGE_LEFT, before);
        if (!proa_ref_is_none(after))
            tell(core, name, len, PROA_CHANGE_JOINED, after);
    }
    if (held && holders_alive(core, holder.ref.node))
        wanted_answer(core, name, len, &holder);
}
