/* SPDX-License-Identifier: Apache-2.0 */
/* up_world.h - one lane with an actor `a`, and what it tells the control thread, for the tests of
   groups.c.  Include first. */
#ifndef UP_WORLD_H
#define UP_WORLD_H

#include "sched_world.h"

#include <proa/group.h>
#include <proa/life.h>

static struct world *w;
static struct log a_log, pub_log;
static struct proa_ref a;

static const struct proa_behaviour published = {.type_name = "worker",
                                                .state_size = sizeof(struct probe),
                                                .on = probe_on,
                                                .on_count = 7,
                                                .start = probe_start,
                                                .stop = probe_stop,
                                                .published = true};

static int setup(void **state)
{
    (void)state;
    memset(&a_log, 0, sizeof(a_log));
    memset(&pub_log, 0, sizeof(pub_log));
    w = world_make(1, NULL);
    a = spawn(w, 0, &a_log);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_clean(w);
    world_free(w);
    return 0;
}

/* ---- What went up ---- */

struct up {
    uint16_t kind; /* 0: nothing */
    struct punt_name name;
    char text[PROA_NAME_MAX + 1];
    struct punt_actor actor;
    struct punt_restart restart;
};

static struct up next_up(void)
{
    const struct byte_record *r = byte_ring_peek(w->lane[0].up);
    struct up u = {0};

    if (r == NULL)
        return u;
    u.kind = r->kind;
    if (r->kind == PUNT_NAME) {
        memcpy(&u.name, r->body, sizeof(u.name));
        assert_int_equal(r->len, sizeof(u.name) + u.name.len);
        memcpy(u.text, r->body + sizeof(u.name), u.name.len);
    } else if (r->kind == PUNT_ACTOR_STOPPED) {
        memcpy(&u.actor, r->body, sizeof(u.actor));
    } else if (r->kind == PUNT_ACTOR_RESTARTED) {
        memcpy(&u.restart, r->body, sizeof(u.restart));
    }
    byte_ring_pop(w->lane[0].up);
    return u;
}

static void fill_up(void)
{
    while (byte_ring_push(w->lane[0].up, PUNT_DATAGRAM, NULL, 0, "xxxxxxxxxxxxxxxx", 16))
        ;
}

/* Takes the filling out again, up to the first record of another kind. */
static void empty_up(void)
{
    const struct byte_record *r;

    while ((r = byte_ring_peek(w->lane[0].up)) != NULL && r->kind == PUNT_DATAGRAM)
        byte_ring_pop(w->lane[0].up);
}

/* The full ring is looked at again after a while. */
static inline void retry(void)
{
    world_advance(w, PROA_MS);
}

static void assert_call(const struct up *u, enum punt_name_op op, struct proa_ref who,
                        const char *group)
{
    assert_int_equal(u->kind, PUNT_NAME);
    assert_int_equal(u->name.op, op);
    assert_int_equal(u->name.slot, who.slot);
    assert_int_equal(u->name.generation, who.generation);
    assert_string_equal(u->text, group);
}

#endif
