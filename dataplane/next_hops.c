/* SPDX-License-Identifier: Apache-2.0 */
#include "next_hops.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "mix.h"

#define VALID (UINT64_C(1) << 63) /* in a value, above the 48 bits of the address */

/* A lane's question. */
struct want {
    alignas(PROA_CACHE_LINE) _Atomic bool asked;
    uint8_t ip[16];
};

struct next_hops {
    _Atomic uint64_t version;
    unsigned lanes;
    int wanted; /* eventfd */
    _Atomic uint64_t full;
    uint64_t secret;
    struct want *wants;
    struct next_hop entries[NEXT_HOPS_MAX];
};

struct next_hops *next_hops_create(unsigned lanes)
{
    struct next_hops *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return NULL;
    t->lanes = lanes;
    t->version = 1;
    t->wanted = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    t->wants = aligned_alloc(PROA_CACHE_LINE, lanes * sizeof(*t->wants));
    if (t->wants != NULL)
        memset(t->wants, 0, lanes * sizeof(*t->wants));
    if (t->wanted < 0 || t->wants == NULL ||
        getrandom(&t->secret, sizeof(t->secret), 0) != sizeof(t->secret)) {
        next_hops_destroy(t);
        return NULL;
    }
    return t;
}

void next_hops_destroy(struct next_hops *t)
{
    if (t == NULL)
        return;
    if (t->wanted >= 0)
        close(t->wanted);
    free(t->wants);
    free(t);
}

static void words_of(const uint8_t ip[16], uint64_t ret[2])
{
    memcpy(ret, ip, 16);
}

static struct next_hop *place(struct next_hops *t, const uint64_t key[2], uint32_t i)
{
    uint64_t hash = mix64(key[0] ^ mix64(key[1] ^ t->secret));

    return &t->entries[((uint32_t)hash + i) % NEXT_HOPS_MAX];
}

/* ---- Lanes ---- */

uint64_t next_hops_version(const struct next_hops *t)
{
    /* acquire, pairs with the release in next_hops_put. */
    return atomic_load_explicit(&t->version, memory_order_acquire);
}

/* An entry gets another key only after it has been unknown for seconds: a value that is the same
   before and after the key was read belongs to that key. */
bool next_hops_find(struct next_hops *t, const uint8_t ip[16], uint8_t mac[6])
{
    uint64_t key[2], value;

    words_of(ip, key);
    for (uint32_t i = 0; i < NEXT_HOPS_CHAIN; i++) {
        struct next_hop *e = place(t, key, i);

        /* acquire, pairs with the releases in next_hops_put and add. */
        value = atomic_load_explicit(&e->value, memory_order_acquire);
        uint64_t k0 = atomic_load_explicit(&e->key[0], memory_order_acquire);
        uint64_t k1 = atomic_load_explicit(&e->key[1], memory_order_acquire);

        if (k0 != key[0] || k1 != key[1])
            continue;
        if ((value & VALID) == 0 ||
            value != atomic_load_explicit(&e->value, memory_order_acquire))
            return false;
        /* relaxed: a mark that somebody uses it, looked at seconds later; not stored anew, so
           that lanes do not take the line from each other. */
        if (!atomic_load_explicit(&e->seen, memory_order_relaxed))
            atomic_store_explicit(&e->seen, true, memory_order_relaxed);
        memcpy(mac, &value, 6);
        return true;
    }
    return false;
}

bool next_hops_want(struct next_hops *t, unsigned lane, const uint8_t ip[16])
{
    struct want *w = &t->wants[lane];
    const uint64_t one = 1;

    /* acquire: the thread has read the ip before. */
    if (atomic_load_explicit(&w->asked, memory_order_acquire))
        return false;
    memcpy(w->ip, ip, 16);
    atomic_store_explicit(&w->asked, true, memory_order_release);
    return write(t->wanted, &one, sizeof(one)) > 0 || errno == EAGAIN; /* full: awake */
}

const uint8_t *hop_cache_miss(struct hop_cache *cache, struct next_hops *t, unsigned lane,
                              const uint8_t ip[16], proa_ns now)
{
    uint64_t version = next_hops_version(t);

    if (next_hops_find(t, ip, cache->mac)) {
        memcpy(cache->ip, ip, 16);
        cache->version = version;
        cache->at = now;
        return cache->mac;
    }
    cache->version = 0;
    if (memcmp(cache->wanted_ip, ip, 16) != 0 ||
        now - cache->wanted_at >= NEXT_HOPS_WANT) {
        if (next_hops_want(t, lane, ip)) {
            memcpy(cache->wanted_ip, ip, 16);
            cache->wanted_at = now;
        }
    }
    return NULL;
}

/* ---- The filling thread ---- */

int next_hops_fd(const struct next_hops *t)
{
    return t->wanted;
}

bool next_hop_known(const struct next_hop *e)
{
    return atomic_load_explicit(&e->value, memory_order_relaxed) != 0;
}

bool next_hop_take_seen(struct next_hop *e)
{
    return atomic_exchange_explicit(&e->seen, false, memory_order_relaxed);
}

uint64_t next_hops_full(const struct next_hops *t)
{
    return atomic_load_explicit(&t->full, memory_order_relaxed);
}

struct next_hop *next_hops_at(struct next_hops *t, unsigned i)
{
    return t->entries[i].used ? &t->entries[i] : NULL;
}

void next_hops_put(struct next_hops *t, struct next_hop *e, const uint8_t *mac)
{
    uint64_t value = 0;

    if (mac != NULL) {
        memcpy(&value, mac, 6);
        value |= VALID;
    }
    if (value == atomic_load_explicit(&e->value, memory_order_relaxed))
        return;
    atomic_store_explicit(&e->value, value, memory_order_release);
    atomic_fetch_add_explicit(&t->version, 1, memory_order_release);
}

void next_hops_reach(struct next_hops *t, const uint8_t hop[16], const uint8_t *mac)
{
    for (unsigned i = 0; i < NEXT_HOPS_MAX; i++) {
        struct next_hop *e = &t->entries[i];

        if (e->used && e->routed && memcmp(e->hop, hop, 16) == 0)
            next_hops_put(t, e, mac);
    }
}

static bool is_dead(const struct next_hop *e)
{
    return !e->used || (e->age >= NEXT_HOPS_FORGET && !next_hop_known(e));
}

/* The entry of ip, made if need be.  NULL: those where it could be are all taken. */
static struct next_hop *add(struct next_hops *t, const uint8_t ip[16])
{
    struct next_hop *free = NULL;
    uint64_t key[2];

    words_of(ip, key);
    for (uint32_t i = 0; i < NEXT_HOPS_CHAIN; i++) {
        struct next_hop *e = place(t, key, i);

        if (e->used && memcmp(e->ip, ip, 16) == 0)
            return e;
        if (free == NULL && is_dead(e))
            free = e;
    }
    if (free == NULL)
        return NULL;
    free->used = true;
    free->routed = false;
    free->age = 0;
    memcpy(free->ip, ip, 16);
    atomic_store_explicit(&free->key[0], key[0], memory_order_release);
    atomic_store_explicit(&free->key[1], key[1], memory_order_release);
    return free;
}

void next_hops_take_wants(struct next_hops *t, void (*fn)(void *ctx, struct next_hop *e),
                          void *ctx)
{
    uint64_t count;

    if (read(t->wanted, &count, sizeof(count)) < 0)
        return;
    for (unsigned lane = 0; lane < t->lanes; lane++) {
        struct want *w = &t->wants[lane];
        struct next_hop *e;

        /* acquire, pairs with the release in next_hops_want: ip is written. */
        if (!atomic_load_explicit(&w->asked, memory_order_acquire))
            continue;
        e = add(t, w->ip);
        if (e == NULL)
            atomic_fetch_add_explicit(&t->full, 1, memory_order_relaxed);
        if (e != NULL && (e->age > 0 || !next_hop_known(e)))
            fn(ctx, e);
        atomic_store_explicit(&w->asked, false, memory_order_release);
    }
}
