/* SPDX-License-Identifier: Apache-2.0 */
#include "soak_books.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const soak_kind_names[SOAK_KINDS] = {"udp", "vhost", "ring"};

void soak_broken(struct soak *soak, struct soak_cluster *c, const char *format, ...)
{
    uint32_t none = 0;
    va_list args;
    int n;

    if (!atomic_compare_exchange_strong(&soak->broken, &none, 1))
        return;
    n = snprintf(soak->what, sizeof(soak->what),
                 "%s, round %u: ", soak_kind_names[c->kind], atomic_load(&c->round));
    va_start(args, format);
    vsnprintf(soak->what + n, sizeof(soak->what) - (size_t)n, format, args);
    va_end(args);
    atomic_store(&soak->broken, 2);
}

bool soak_is_broken(struct soak *soak)
{
    return atomic_load(&soak->broken) != 0;
}

/* ---- Lives ---- */

/* A restarted actor has the names and groups of its last life, which had this slot. */
static void inherit(struct soak_cluster *c, uint32_t at)
{
    struct soak_life *l = &c->lives[at];

    for (uint32_t i = at; i-- > 0;) {
        const struct soak_life *before = &c->lives[i];

        if (atomic_load(&before->state) != SOAK_ENDED ||
            before->ref.node != l->ref.node || before->ref.slot != l->ref.slot)
            continue;
        atomic_store(&l->names, atomic_load(&before->names));
        atomic_store(&l->groups, atomic_load(&before->groups));
        return;
    }
}

uint32_t soak_life_begin(struct soak_cluster *c, struct proa_ref ref, uint32_t node)
{
    uint32_t at = atomic_fetch_add(&c->life_count, 1);
    struct soak_life *l;

    if (at >= SOAK_LIVES) {
        atomic_fetch_sub(&c->life_count, 1);
        return SOAK_NONE;
    }
    l = &c->lives[at];
    l->ref = ref;
    l->node = node;
    l->boot = atomic_load(&c->node[node].boot);
    inherit(c, at);
    atomic_store(&l->state, SOAK_LIVING);
    atomic_fetch_add(&c->alive, 1);
    return at;
}

void soak_life_end(struct soak_cluster *c, uint32_t life)
{
    atomic_store(&c->lives[life].state, SOAK_ENDED);
    atomic_fetch_sub(&c->alive, 1);
}

static uint32_t life_count(struct soak_cluster *c)
{
    uint32_t n = atomic_load(&c->life_count);

    return n < SOAK_LIVES ? n : SOAK_LIVES;
}

uint32_t soak_life_of(struct soak_cluster *c, struct proa_ref ref)
{
    for (uint32_t i = life_count(c); i-- > 0;)
        if (atomic_load(&c->lives[i].state) != SOAK_FREE &&
            proa_ref_equal(c->lives[i].ref, ref))
            return i;
    return SOAK_NONE;
}

uint32_t soak_node_of(const struct soak_cluster *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->nodes; i++)
        if (atomic_load(&c->node[i].id) == id)
            return i;
    return SOAK_NONE;
}

uint32_t soak_life_some(struct soak_cluster *c, uint64_t *random)
{
    uint32_t n = life_count(c), at = SOAK_NONE;

    for (int tries = 0; tries < 8 && n > 0; tries++) {
        uint32_t some = soak_below(random, n);
        uint32_t state = atomic_load(&c->lives[some].state);

        if (state == SOAK_FREE)
            continue;
        at = some;
        if (state == SOAK_LIVING || soak_below(random, 10) == 0)
            break;
    }
    return at;
}

/* ---- The parent's ---- */

void soak_round_begin(struct soak_cluster *c, uint32_t round)
{
    memset(c->lives, 0, sizeof(c->lives));
    memset(c->pairs, 0, life_count(c) * sizeof(c->pairs[0]));
    memset(c->parted, 0, sizeof(c->parted));
    for (uint32_t i = 0; i < SOAK_GROUPS; i++)
        atomic_store(&c->joined[i], 0);
    atomic_store(&c->life_count, 0);
    atomic_store(&c->alive, 0);
    atomic_store(&c->round, round);
}

void soak_node_killed(struct soak_cluster *c, uint32_t node)
{
    uint32_t boot = atomic_load(&c->node[node].boot);

    for (uint32_t i = 0; i < life_count(c); i++) {
        struct soak_life *l = &c->lives[i];

        if (l->node == node && l->boot == boot && atomic_load(&l->state) == SOAK_LIVING)
            soak_life_end(c, i);
    }
}

/* ---- Comparing ---- */

/* The node is the one that it was then. */
static bool same_boot(struct soak_cluster *c, const struct soak_life *l)
{
    return atomic_load(&c->node[l->node].boot) == l->boot;
}

static bool together(struct soak_cluster *c, const struct soak_life *a,
                     const struct soak_life *b)
{
    return same_boot(c, a) && same_boot(c, b) &&
           !atomic_load(&c->parted[a->node][b->node]) &&
           !atomic_load(&c->parted[b->node][a->node]);
}

struct comparing {
    struct soak_cluster *c;
    struct soak_checked checked;
    uint64_t missing; /* of one sender, with no name */
    uint64_t unnamed; /* of all senders of the cluster, in this round */
    char *why;
    size_t why_len;
    bool late;
};

static void say_late(struct comparing *m, const char *what, uint32_t from, uint32_t to,
                     uint64_t count)
{
    m->late = true;
    snprintf(m->why, m->why_len, "%s: life %u (node %u), of life %u (node %u), %llu",
             what, from, m->c->lives[from].node, to,
             to == SOAK_NONE ? to : m->c->lives[to].node, (unsigned long long)count);
}

static void compare_pair(struct comparing *m, uint32_t from, uint32_t to)
{
    const struct soak_life *a = &m->c->lives[from], *b = &m->c->lives[to];
    const struct soak_pair *p = &m->c->pairs[from][to];
    uint64_t accepted = atomic_load(&p->accepted), entered = atomic_load(&p->entered);
    uint64_t refused = atomic_load(&p->refused), doubt = atomic_load(&p->doubt);
    uint64_t tried = 0;

    for (int i = 0; i < SOAK_STREAMS; i++)
        tried += atomic_load(&p->tried[i]);
    if (tried == 0 && entered == 0)
        return;
    m->checked.pairs++;
    if (entered > tried)
        say_late(m, "more messages than were sent", from, to, entered - tried);
    if (atomic_load(&a->state) != SOAK_LIVING)
        return;
    /* A message may be there before its sender has counted it: not wrong until all is quiet. */
    if (entered + refused > accepted)
        say_late(m, "more outcomes than tells", from, to, entered + refused - accepted);
    if (!together(m->c, a, b))
        return;
    m->checked.exact++;
    if (entered + refused + doubt < accepted)
        m->missing += accepted - entered - refused - doubt;
    if (entered + refused + doubt + atomic_load(&a->nameless) + m->unnamed < accepted)
        say_late(m, "tells without an outcome", from, to,
                 accepted - entered - refused - doubt);
}

static void compare_monitors(struct comparing *m, uint32_t life)
{
    const struct soak_life *l = &m->c->lives[life];

    for (int i = 0; i < SOAK_MONITORS; i++) {
        const struct soak_monitor *w = &l->monitors[i];
        uint32_t target = atomic_load(&w->target);
        const struct soak_life *t = &m->c->lives[target];

        if (atomic_load(&w->state) == SOAK_OPEN && atomic_load(&t->state) == SOAK_ENDED)
            say_late(m, "a monitor without its DOWN", life, target, 1);
    }
}

bool soak_settled(struct soak_cluster *c, struct soak_checked *ret, char *why,
                  size_t why_len)
{
    struct comparing m = {.c = c, .why = why, .why_len = why_len};

    for (uint32_t i = 0; i < c->nodes; i++) {
        uint64_t before = atomic_load(&c->node[i].unnamed_before);
        uint64_t now = atomic_load(&c->node[i].unnamed);

        m.unnamed += now > before ? now - before : 0;
    }
    for (uint32_t i = 0; i < life_count(c); i++) {
        const struct soak_life *l = &c->lives[i];

        if (atomic_load(&l->state) == SOAK_FREE)
            continue;
        m.missing = 0;
        for (uint32_t j = 0; j < life_count(c); j++)
            compare_pair(&m, i, j);
        if (atomic_load(&l->state) != SOAK_LIVING)
            continue;
        if (m.missing > atomic_load(&l->nameless) + m.unnamed)
            say_late(&m, "tells without an outcome", i, SOAK_NONE, m.missing);
        if (atomic_load(&l->asks_out) > 0)
            say_late(&m, "asks without an outcome", i, SOAK_NONE,
                     atomic_load(&l->asks_out));
        compare_monitors(&m, i);
    }
    *ret = m.checked;
    return !m.late;
}
