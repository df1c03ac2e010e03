/* SPDX-License-Identifier: Apache-2.0 */
#include "kad_store.h"

#include <string.h>

void kad_stamp_of(const struct record *fields, struct kad_stamp *ret_stamp)
{
    memset(ret_stamp, 0, sizeof(*ret_stamp));
    ret_stamp->owner = fields->owner;
    ret_stamp->term = fields->term;
    ret_stamp->issued = fields->issued;
    ret_stamp->claim = fields->claim;
    ret_stamp->kind = fields->kind;
}

static bool claimed_before(const struct kad_stamp *a, const struct kad_stamp *b)
{
    if (a->claim != b->claim)
        return a->claim < b->claim;
    return kad_id_compare(&a->owner, &b->owner) < 0;
}

enum kad_put_verdict kad_put_rule(const struct kad_stamp *cur,
                                  const struct kad_stamp *put)
{
    if (cur == NULL)
        return KAD_PUT_ACCEPT;
    if (kad_id_equal(&cur->owner, &put->owner)) {
        if (put->issued == cur->issued)
            return KAD_PUT_SAME;
        return put->issued > cur->issued ? KAD_PUT_ACCEPT : KAD_PUT_REFUSE;
    }
    if (put->term < cur->term)
        return KAD_PUT_REFUSE;
    if (cur->kind == RECORD_TOMBSTONE) {
        bool ends_it = put->kind == RECORD_NAME || put->term > cur->term;
        return ends_it ? KAD_PUT_ACCEPT : KAD_PUT_REFUSE;
    }
    if (put->term > cur->term)
        return KAD_PUT_ASK;
    if (put->kind == RECORD_TOMBSTONE)
        return KAD_PUT_REFUSE;
    return claimed_before(put, cur) ? KAD_PUT_ACCEPT : KAD_PUT_REFUSE;
}

void kad_store_init(struct kad_store *self)
{
    self->records_high = 0;
    self->owners_high = 0;
    self->records_free = KAD_NONE;
    self->owners_free = KAD_NONE;
    self->count = 0;
    self->look = 0;
}

struct kad_record *kad_store_find(const struct kad_store *self,
                                  const struct kad_id *target)
{
    uint32_t at = *kad_index_head(&self->by_target, target);

    while (at != KAD_NONE && !kad_id_equal(&self->records[at].target, target))
        at = self->records[at].next;
    return at != KAD_NONE ? &self->records[at] : NULL;
}

struct kad_owner *kad_store_owner(const struct kad_store *self, const struct kad_id *id)
{
    uint32_t at = *kad_index_head(&self->by_owner, id);

    while (at != KAD_NONE && !kad_id_equal(&self->owners[at].id, id))
        at = self->owners[at].next;
    return at != KAD_NONE ? &self->owners[at] : NULL;
}

bool kad_store_silent(const struct kad_store *self, const struct kad_record *record)
{
    return self->owners[record->owner].fails >= KAD_OWNER_FAILURES;
}

static void release_owner(struct kad_store *self, uint32_t number)
{
    struct kad_owner *owner = &self->owners[number];
    uint32_t *at = kad_index_head(&self->by_owner, &owner->id);

    if (--owner->records > 0)
        return;
    while (*at != number)
        at = &self->owners[*at].next;
    *at = owner->next;
    owner->next = self->owners_free;
    self->owners_free = number;
}

void kad_store_remove(struct kad_store *self, struct kad_record *record)
{
    uint32_t number = (uint32_t)(record - self->records);
    uint32_t *at = kad_index_head(&self->by_target, &record->target);

    PROA_ASSERT(record->used);
    while (*at != number)
        at = &self->records[*at].next;
    *at = record->next;
    release_owner(self, record->owner);
    record->used = false;
    record->next = self->records_free;
    self->records_free = number;
    self->count--;
}

/* How many records the owners at this IP address have here. */
static uint32_t count_address(const struct kad_store *self, const struct proa_addr *addr)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < self->owners_high; i++)
        if (self->owners[i].records > 0 &&
            memcmp(self->owners[i].addr.ip, addr->ip, sizeof(addr->ip)) == 0)
            count += self->owners[i].records;
    return count;
}

/* The owner's entry, made if need be; KAD_NONE when a bound forbids one record more. */
static uint32_t claim_owner(struct kad_store *self, const struct record *fields,
                            proa_ns heard_at)
{
    struct kad_owner *owner = kad_store_owner(self, &fields->owner);
    struct proa_addr addr = {0};

    if (fields->endpoint_count > 0)
        addr = fields->endpoints[0];
    if (owner != NULL ? owner->records >= self->per_owner : false)
        return KAD_NONE;
    if (addr.family != 0 && count_address(self, &addr) >= self->per_address)
        return KAD_NONE;
    if (owner != NULL) {
        owner->records++;
        return (uint32_t)(owner - self->owners);
    }
    uint32_t number = self->owners_free;
    if (number != KAD_NONE)
        self->owners_free = self->owners[number].next;
    else if (self->owners_high < self->owners_cap)
        number = self->owners_high++;
    else
        return KAD_NONE;
    owner = &self->owners[number];
    memset(owner, 0, sizeof(*owner));
    owner->id = fields->owner;
    owner->addr = addr;
    owner->heard_at = heard_at;
    owner->records = 1;
    uint32_t *head = kad_index_head(&self->by_owner, &owner->id);
    owner->next = *head;
    *head = number;
    return number;
}

/* Looks at a few records for one that may be given up, and gives it up. */
static void make_room(struct kad_store *self, proa_ns now)
{
    for (uint32_t i = 0; i < KAD_STORE_LOOK; i++) {
        struct kad_record *record = &self->records[self->look++ % self->records_cap];

        if (record->used && (record->expires <= now || kad_store_silent(self, record))) {
            kad_store_remove(self, record);
            return;
        }
    }
}

static struct kad_record *allocate(struct kad_store *self, const struct kad_id *target,
                                   proa_ns now)
{
    if (self->count == self->records_cap)
        make_room(self, now);
    uint32_t number = self->records_free;
    if (number != KAD_NONE)
        self->records_free = self->records[number].next;
    else if (self->records_high < self->records_cap)
        number = self->records_high++;
    else
        return NULL;
    struct kad_record *record = &self->records[number];
    uint32_t *head = kad_index_head(&self->by_target, target);
    record->target = *target;
    record->used = true;
    record->next = *head;
    *head = number;
    self->count++;
    return record;
}

/* Undoes allocate for a record that has no owner yet. */
static void put_back(struct kad_store *self, struct kad_record *record)
{
    uint32_t number = (uint32_t)(record - self->records);
    uint32_t *at = kad_index_head(&self->by_target, &record->target);

    while (*at != number)
        at = &self->records[*at].next;
    *at = record->next;
    record->used = false;
    record->next = self->records_free;
    self->records_free = number;
    self->count--;
}

struct kad_record *kad_store_put(struct kad_store *self, const struct kad_id *target,
                                 const struct record *fields, const uint8_t *raw,
                                 size_t len, proa_ns expires, proa_ns heard_at,
                                 proa_ns now)
{
    struct kad_record *record = kad_store_find(self, target);
    bool fresh = record == NULL;

    PROA_ASSERT(len <= PROA_RECORD_MAX);
    if (fresh) {
        record = allocate(self, target, now);
        if (record == NULL)
            return NULL;
    }
    if (fresh || !kad_id_equal(&record->stamp.owner, &fields->owner)) {
        uint32_t owner = claim_owner(self, fields, heard_at);

        if (owner == KAD_NONE) {
            if (fresh)
                put_back(self, record);
            return NULL;
        }
        if (!fresh)
            release_owner(self, record->owner);
        record->owner = owner;
    }
    if (fields->endpoint_count > 0)
        self->owners[record->owner].addr = fields->endpoints[0];
    kad_stamp_of(fields, &record->stamp);
    record->expires = expires;
    record->disowned_at = 0;
    record->told_at = 0;
    record->slot = fields->slot;
    record->generation = fields->generation;
    record->len = (uint16_t)len;
    memcpy(record->raw, raw, len);
    return record;
}

void kad_store_heard(struct kad_store *self, const struct kad_id *id, proa_ns now)
{
    struct kad_owner *owner = kad_store_owner(self, id);

    if (owner == NULL)
        return;
    owner->heard_at = now;
    owner->failed_at = 0;
    owner->fails = 0;
}
