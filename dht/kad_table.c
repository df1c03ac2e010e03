/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_table.h"

#include "kad_index.h"

#include <string.h>

#define CLASS_BITS 3 /* of the sub-prefix by which a bucket is kept diverse */
#define CLASSES (1u << CLASS_BITS)
#define MEDIAN_OF 63    /* contacts looked at for the median */
#define MEDIAN_EVERY 16 /* samples between two computations */

bool kad_addr_equal(const struct proa_addr *a, const struct proa_addr *b)
{
    return a->port == b->port && a->family == b->family &&
           memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

void kad_table_init(struct kad_table *self, const struct kad_id *id,
                    struct kad_contact *contacts, uint32_t cap)
{
    memset(self, 0, sizeof(*self));
    self->self = *id;
    self->contacts = contacts;
    self->cap = cap;
    self->free = KAD_NONE;
    for (uint32_t i = 0; i < PROA_KAD_ID_BITS; i++) {
        self->buckets[i].live = KAD_NONE;
        self->buckets[i].spare = KAD_NONE;
    }
}

uint32_t kad_table_bucket_size(uint32_t bucket)
{
    return bucket < 4 ? 128u >> bucket : KAD_K; /* 128 64 32 16 8.  Source: registry.md */
}

static struct kad_contact *find_in(const struct kad_table *self, uint32_t first,
                                   const struct kad_id *id)
{
    for (uint32_t at = first; at != KAD_NONE; at = self->contacts[at].next)
        if (kad_id_equal(&self->contacts[at].id, id))
            return &self->contacts[at];
    return NULL;
}

struct kad_contact *kad_table_find(const struct kad_table *self, const struct kad_id *id)
{
    uint32_t prefix = kad_id_prefix(&self->self, id);

    if (prefix == PROA_KAD_ID_BITS)
        return NULL;
    const struct kad_bucket *bucket = &self->buckets[prefix];
    struct kad_contact *found = find_in(self, bucket->live, id);
    return found != NULL ? found : find_in(self, bucket->spare, id);
}

struct kad_contact *kad_table_find_addr(const struct kad_table *self,
                                        const struct proa_addr *addr)
{
    for (uint32_t i = 0; i < self->high; i++) {
        struct kad_contact *contact = &self->contacts[i];

        if (contact->state != KAD_CONTACT_FREE && kad_addr_equal(&contact->addr, addr))
            return contact;
    }
    return NULL;
}

static uint32_t number_of(const struct kad_table *self, const struct kad_contact *contact)
{
    return (uint32_t)(contact - self->contacts);
}

static void unlink_from(struct kad_table *self, uint32_t *first, uint32_t number)
{
    uint32_t *at = first;

    while (*at != number) {
        PROA_ASSERT(*at != KAD_NONE);
        at = &self->contacts[*at].next;
    }
    *at = self->contacts[number].next;
}

/* Takes the contact out of its list; its state is then the caller's to set. */
static void take_out(struct kad_table *self, struct kad_contact *contact)
{
    struct kad_bucket *bucket = &self->buckets[contact->bucket];

    if (contact->state == KAD_CONTACT_LIVE) {
        unlink_from(self, &bucket->live, number_of(self, contact));
        bucket->live_count--;
        self->live--;
    } else {
        unlink_from(self, &bucket->spare, number_of(self, contact));
        bucket->spare_count--;
    }
}

static void put_in(struct kad_table *self, struct kad_contact *contact, bool live)
{
    struct kad_bucket *bucket = &self->buckets[contact->bucket];

    contact->state = live ? KAD_CONTACT_LIVE : KAD_CONTACT_SPARE;
    if (live) {
        contact->next = bucket->live;
        bucket->live = number_of(self, contact);
        bucket->live_count++;
        self->live++;
    } else {
        contact->next = bucket->spare;
        bucket->spare = number_of(self, contact);
        bucket->spare_count++;
    }
}

static void release(struct kad_table *self, struct kad_contact *contact)
{
    contact->state = KAD_CONTACT_FREE;
    contact->next = self->free;
    self->free = number_of(self, contact);
}

/* The spare heard longest ago: of one bucket, or of all when bucket is NULL. */
static struct kad_contact *oldest_spare(const struct kad_table *self,
                                        const struct kad_bucket *bucket)
{
    struct kad_contact *oldest = NULL;

    if (bucket != NULL) {
        for (uint32_t at = bucket->spare; at != KAD_NONE; at = self->contacts[at].next)
            if (oldest == NULL || self->contacts[at].heard_at < oldest->heard_at)
                oldest = &self->contacts[at];
        return oldest;
    }
    for (uint32_t i = 0; i < self->high; i++)
        if (self->contacts[i].state == KAD_CONTACT_SPARE &&
            (oldest == NULL || self->contacts[i].heard_at < oldest->heard_at))
            oldest = &self->contacts[i];
    return oldest;
}

static struct kad_contact *allocate(struct kad_table *self)
{
    if (self->free == KAD_NONE && self->high == self->cap) {
        struct kad_contact *spare = oldest_spare(self, NULL);

        if (spare == NULL)
            return NULL;
        take_out(self, spare);
        release(self, spare);
    }
    uint32_t number = self->free;
    if (number != KAD_NONE)
        self->free = self->contacts[number].next;
    else
        number = self->high++;
    memset(&self->contacts[number], 0, sizeof(self->contacts[number]));
    return &self->contacts[number];
}

/* The contact of a full bucket that a newcomer may push out, or NULL: one that fails, or the
   slowest of a sub-prefix that has at least two more than the newcomer's own. */
static struct kad_contact *victim(const struct kad_table *self,
                                  const struct kad_bucket *bucket,
                                  const struct kad_id *newcomer, uint32_t prefix)
{
    struct kad_contact *worst = NULL;
    uint32_t counts[CLASSES] = {0}, crowded = 0;

    for (uint32_t at = bucket->live; at != KAD_NONE; at = self->contacts[at].next) {
        struct kad_contact *contact = &self->contacts[at];

        counts[kad_id_bits(&contact->id, prefix + 1, CLASS_BITS)]++;
        if (contact->fails > 0 && (worst == NULL || contact->fails > worst->fails))
            worst = contact;
    }
    if (worst != NULL)
        return worst;
    for (uint32_t i = 1; i < CLASSES; i++)
        if (counts[i] > counts[crowded])
            crowded = i;
    if (counts[crowded] < counts[kad_id_bits(newcomer, prefix + 1, CLASS_BITS)] + 2)
        return NULL;
    for (uint32_t at = bucket->live; at != KAD_NONE; at = self->contacts[at].next) {
        struct kad_contact *contact = &self->contacts[at];

        if (kad_id_bits(&contact->id, prefix + 1, CLASS_BITS) == crowded &&
            (worst == NULL || contact->rtt.srtt > worst->rtt.srtt))
            worst = contact;
    }
    return worst;
}

static void make_spare(struct kad_table *self, struct kad_contact *contact)
{
    struct kad_bucket *bucket = &self->buckets[contact->bucket];

    if (bucket->spare_count == KAD_TABLE_SPARES) {
        struct kad_contact *oldest = oldest_spare(self, bucket);

        take_out(self, oldest);
        release(self, oldest);
    }
    put_in(self, contact, false);
}

enum kad_table_added kad_table_add(struct kad_table *self, const struct kad_id *id,
                                   const struct proa_addr *addr, proa_ns now,
                                   struct kad_contact **ret_contact)
{
    uint32_t prefix = kad_id_prefix(&self->self, id);
    struct kad_contact *contact = kad_table_find(self, id);

    if (contact != NULL) {
        *ret_contact = contact;
        return KAD_TABLE_KNOWN;
    }
    if (prefix == PROA_KAD_ID_BITS || !kad_id_valid(id))
        return KAD_TABLE_NO_PLACE;
    struct kad_bucket *bucket = &self->buckets[prefix];
    contact = allocate(self);
    if (contact == NULL)
        return KAD_TABLE_NO_PLACE;
    contact->id = *id;
    contact->addr = *addr;
    contact->bucket = (uint8_t)prefix;
    contact->heard_at = now;
    *ret_contact = contact;
    kad_table_forget_gone(self, id, addr);
    if (bucket->live_count == kad_table_bucket_size(prefix)) {
        struct kad_contact *out = victim(self, bucket, id, prefix);

        if (out == NULL) {
            make_spare(self, contact);
            return KAD_TABLE_SPARE;
        }
        take_out(self, out);
        make_spare(self, out);
    }
    put_in(self, contact, true);
    return KAD_TABLE_LIVE;
}

static void remember_gone(struct kad_table *self, const struct kad_contact *contact)
{
    struct kad_gone *gone = &self->gone[self->gone_at++ % KAD_TABLE_GONE];

    gone->id = contact->id;
    gone->addr = contact->addr;
    gone->heard_at = contact->heard_at > 0 ? contact->heard_at : 1;
}

/* Moves the spare heard last up into its bucket. */
static void promote(struct kad_table *self, struct kad_bucket *bucket)
{
    struct kad_contact *best = NULL;

    for (uint32_t at = bucket->spare; at != KAD_NONE; at = self->contacts[at].next) {
        struct kad_contact *contact = &self->contacts[at];

        if (contact->fails == 0 && (best == NULL || contact->heard_at > best->heard_at))
            best = contact;
    }
    if (best == NULL)
        return;
    take_out(self, best);
    put_in(self, best, true);
}

void kad_table_remove(struct kad_table *self, struct kad_contact *contact, bool remember)
{
    struct kad_bucket *bucket = &self->buckets[contact->bucket];
    bool live = contact->state == KAD_CONTACT_LIVE;

    PROA_ASSERT(contact->state != KAD_CONTACT_FREE);
    take_out(self, contact);
    if (remember)
        remember_gone(self, contact);
    release(self, contact);
    if (live)
        promote(self, bucket);
}

void kad_table_forget_gone(struct kad_table *self, const struct kad_id *id,
                           const struct proa_addr *addr)
{
    for (uint32_t i = 0; i < KAD_TABLE_GONE; i++) {
        struct kad_gone *gone = &self->gone[i];

        if (gone->heard_at != 0 &&
            (kad_id_equal(&gone->id, id) || kad_addr_equal(&gone->addr, addr)))
            gone->heard_at = 0;
    }
}

uint32_t kad_table_closest(const struct kad_table *self, const struct kad_id *target,
                           bool healthy, struct kad_contact **ret, uint32_t max)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < self->high; i++) {
        struct kad_contact *contact = &self->contacts[i];
        uint32_t at = count;

        if (contact->state != KAD_CONTACT_LIVE || (healthy && contact->fails > 0))
            continue;
        if (count == max) {
            if (kad_id_closer(target, &contact->id, &ret[max - 1]->id) >= 0)
                continue;
            at = max - 1;
        } else {
            count++;
        }
        while (at > 0 && kad_id_closer(target, &contact->id, &ret[at - 1]->id) < 0) {
            ret[at] = ret[at - 1];
            at--;
        }
        ret[at] = contact;
    }
    return count;
}

uint32_t kad_table_closer(const struct kad_table *self, const struct kad_id *target,
                          const struct kad_id *id, uint32_t max)
{
    uint32_t count = kad_id_closer(target, &self->self, id) < 0 ? 1 : 0;

    for (uint32_t i = 0; i < self->high && count < max; i++) {
        const struct kad_contact *contact = &self->contacts[i];

        if (contact->state == KAD_CONTACT_LIVE && contact->fails == 0 &&
            kad_id_closer(target, &contact->id, id) < 0)
            count++;
    }
    return count;
}

uint32_t kad_table_heard(const struct kad_table *self, proa_ns since, uint32_t max)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < self->high && count < max; i++)
        if (self->contacts[i].state != KAD_CONTACT_FREE &&
            self->contacts[i].heard_at >= since)
            count++;
    for (uint32_t i = 0; i < KAD_TABLE_GONE && count < max; i++)
        if (self->gone[i].heard_at != 0 && self->gone[i].heard_at >= since)
            count++;
    return count;
}

struct kad_contact *kad_table_stalest(const struct kad_table *self)
{
    struct kad_contact *stalest = NULL;

    for (uint32_t i = 0; i < self->high; i++) {
        struct kad_contact *contact = &self->contacts[i];

        if (contact->state == KAD_CONTACT_LIVE &&
            (stalest == NULL || contact->heard_at < stalest->heard_at))
            stalest = contact;
    }
    return stalest;
}

bool kad_table_full(const struct kad_table *self)
{
    for (uint32_t i = 0; i < PROA_KAD_ID_BITS; i++)
        if (self->buckets[i].live_count == kad_table_bucket_size(i))
            return true;
    return false;
}

void kad_table_sampled(struct kad_table *self)
{
    self->samples++;
}

static proa_ns compute_median(const struct kad_table *self)
{
    proa_ns sorted[MEDIAN_OF];
    uint32_t count = 0;

    for (uint32_t i = 0; i < self->high && count < MEDIAN_OF; i++) {
        proa_ns srtt = self->contacts[i].rtt.srtt;
        uint32_t at = count;

        if (self->contacts[i].state != KAD_CONTACT_LIVE || srtt == 0)
            continue;
        for (; at > 0 && sorted[at - 1] > srtt; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = srtt;
        count++;
    }
    return count > 0 ? sorted[count / 2] : 0;
}

proa_ns kad_table_median(struct kad_table *self)
{
    if (self->median == 0 ? self->samples > 0 : self->samples >= MEDIAN_EVERY) {
        self->median = compute_median(self);
        self->samples = 0;
    }
    return self->median;
}
