/* SPDX-License-Identifier: Apache-2.0 */
/* savina_actor.h - what every actor of the benchmarks begins with: an outbox that loses nothing,
   and its account.

   The state of each behaviour begins with a struct savina_actor.  A tell that cannot go now
   waits in the outbox, and what is sent later waits behind it, so that order stays: after
   AGAIN until WRITABLE, after FULL (a mailbox of the same lane, of which no signal tells) for
   SAVINA_FULL_WAIT.  Nobody spins.  The programs bound by credits, or by their nature, what is
   under way to one mailbox, so that a mailbox of another lane never overflows: if one did,
   UNDELIVERED would be counted and the run be wrong.

   Threads: as actor.h.  Units: proa_ns, messages.
   Errors:  counted in the report; the run is then wrong. */
#ifndef SAVINA_ACTOR_H
#define SAVINA_ACTOR_H

#include <proa/actor.h>

#define SAVINA_FULL_WAIT (50 * PROA_US)
#define SAVINA_POST_MAX 32u /* bytes of one message */

/* Message types.  From SAVINA_OWN on they are the program's own. */
enum {
    SAVINA_WIRE = 1, /* ask: references an actor needs */
    SAVINA_RUN,      /* ask: begin; answered when all is over */
    SAVINA_REPORT,   /* ask: answered with a struct savina_report */
    SAVINA_GO,       /* begin, or go on */
    SAVINA_DONE,     /* a party has come to its end */
    SAVINA_OWN,
};

/* An actor's account. */
struct savina_report {
    proa_ns ns;          /* whoever was told RUN: from there to the end */
    uint64_t count, sum; /* as the program says */
    uint64_t wrong;      /* messages that should not have come so, calls that failed */
    uint64_t again, full, undelivered;
};

struct savina_post {
    struct proa_ref to;
    uint32_t type, len;
    uint8_t data[SAVINA_POST_MAX];
};

struct savina_actor {
    struct savina_report report;
    struct savina_post *posts; /* waiting */
    uint32_t post_max, post_first, post_count;
    bool timed; /* the timer after FULL runs */
    void (*resume)(struct proa_actor *self);
    struct proa_token run; /* the answer to RUN */
    proa_ns began;
};

/* savina_start, in start: makes room for post_max waiting messages, as many as the program ever
   has.  resume (may be NULL) runs when the outbox has become empty and on WRITABLE.  0, or -1
   without memory.  savina_stop is the behaviour's stop. */
int savina_start(struct proa_actor *self, uint32_t post_max,
                 void (*resume)(struct proa_actor *self));
void savina_stop(struct proa_actor *self, enum proa_reason reason);

/* savina_signal is the behaviour's signal. */
void savina_signal(struct proa_actor *self, const struct proa_signal *signal);

/* savina_post puts a message into the outbox. */
void savina_post(struct proa_actor *self, struct proa_ref to, uint32_t type,
                 const void *data, uint32_t len);

/* savina_not_sent counts and waits for what proa_tell did not accept; true: keep the message. */
bool savina_not_sent(struct proa_actor *self, enum proa_outcome outcome);

/* savina_send sends len <= SAVINA_POST_MAX bytes.  False: it waits in the outbox; who sends of
   its own accord stops until resume. */
static inline bool savina_send(struct proa_actor *self, struct proa_ref to, uint32_t type,
                               const void *data, uint32_t len)
{
    struct savina_actor *a = proa_state(self);

    if (__builtin_expect(a->post_count == 0, 1)) {
        enum proa_outcome outcome = proa_tell(self, to, type, data, len);

        if (__builtin_expect(outcome == PROA_OK, 1))
            return true;
        if (!savina_not_sent(self, outcome))
            return true; /* never */
    }
    savina_post(self, to, type, data, len);
    return false;
}

/* savina_begin, in the handler of RUN, starts the measured time; savina_end ends it and answers. */
void savina_begin(struct proa_actor *self, const struct proa_msg *msg);
void savina_end(struct proa_actor *self);

void savina_on_report(struct proa_actor *self, const struct proa_msg *msg);

/* The work of one message, which main does again: the finaliser of SplitMix64 (G. Steele, D. Lea,
   C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014). */
static inline uint64_t savina_work(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The gate: told RUN, tells all parties GO and ends when each has told it DONE.  Its count is
   the number of DONEs.  Spawned with a struct savina_gate_arg. */
struct savina_gate_arg {
    const struct proa_ref *parties; /* complete before RUN, and constant from then on */
    uint32_t count;
};
extern const struct proa_behaviour savina_gate;

#endif
