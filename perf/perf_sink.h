/* SPDX-License-Identifier: Apache-2.0 */
/* perf_sink.h - the receiving actors: they read and check every message.

   One struct perf_sink serves all receivers of a process.  Each receiver counts for itself, so
   that nothing is shared on the path of a message, and settles its account in the sink when
   the sender's LAST comes, which says how many messages there were and what their words add
   up to.  The first receiver also gets MARK, where the measurement begins.

   Threads: perf_sink_init before the first receiver; the atomics are for anybody, the rest is
            the receivers' until done.
   Units:   proa_ns; counts are messages.
   Errors:  counted: gaps, repeats, misdelivered, wrong. */
#ifndef PERF_SINK_H
#define PERF_SINK_H

#include <stdatomic.h>

#include <proa/actor.h>

#include "perf_malloc.h"
#include "perf_payload.h"

/* Types of the messages between loader and receivers. */
enum {
    PERF_TYPE_TELL = 1, /* payload; counted */
    PERF_TYPE_ASK,      /* payload; counted, sent back as the answer */
    PERF_TYPE_PING,     /* payload; counted, told back as PONG */
    PERF_TYPE_PONG,
    PERF_TYPE_MARK,   /* struct perf_mark: measuring starts */
    PERF_TYPE_LAST,   /* struct perf_last: nothing follows */
    PERF_TYPE_GO,     /* loader to itself: one more burst */
    PERF_TYPE_BOUNCE, /* told back as GO */
    PERF_TYPE_MAKE,   /* struct perf_make, asked of a maker */
    PERF_TYPE_WAKE,   /* struct perf_wake, asked after silence */
};

struct perf_mark {
    uint64_t sent; /* messages before this one, to all receivers */
};

struct perf_last {
    uint64_t sent; /* messages this receiver must have got */
    uint64_t sum;  /* and what their words add up to */
};

struct perf_wake {
    uint64_t number; /* counted as a message whose one word it is */
};

struct perf_woken {
    uint64_t number;
    proa_ns heard_at; /* by perf_clock_ns, at the start of the handler */
};

struct perf_sink {
    uint32_t size;      /* of each payload */
    bool mailbox;       /* nothing is to run in place on the makers' lanes */
    uint32_t receivers; /* that will end */

    /* Settled by each receiver when LAST comes. */
    _Atomic uint32_t done;
    _Atomic uint64_t received, sum;
    _Atomic uint64_t gaps, repeats, wrong; /* messages missing, come twice, damaged */
    _Atomic uint64_t misdelivered;         /* another receiver's */
    _Atomic uint64_t unequal; /* receivers whose count or sum is not LAST's */

    _Atomic uint32_t made, ended;  /* receivers that were made, and have stopped again */
    _Atomic uint32_t makers_ended; /* makers that have stopped: no more are made */

    /* The first receiver's. */
    uint64_t sent_at_mark;
    _Atomic proa_ns marked_at; /* 0: not yet */
    struct perf_malloc malloc_at_mark;

    /* Whoever ends last; a lane's clock, so good to one loop. */
    _Atomic proa_ns last_at;
    _Atomic uint64_t mallocs; /* of the first receiver's lane, from MARK to its LAST */
};

void perf_sink_init(struct perf_sink *sink, uint32_t size, uint32_t receivers);

/* perf_sink_create makes one on lines of its own; free it.  NULL without memory. */
struct perf_sink *perf_sink_create(uint32_t size, uint32_t receivers);

/* perf_sink_done is true once all receivers have their LAST; what they wrote is then readable. */
bool perf_sink_done(const struct perf_sink *sink);

/* perf_sink_good: every message came once, in order and whole. */
bool perf_sink_good(const struct perf_sink *sink);

/* What one receiver has read, wherever it is: an actor here, the far end of a link in a crowd. */
struct perf_reader {
    struct perf_sink *sink;
    uint32_t size, words, index;
    uint64_t next; /* number of the message to come */
    uint64_t sum;  /* of all words read */
};

void perf_reader_init(struct perf_reader *reader, struct perf_sink *sink, uint32_t index);

/* Not the message expected: counts which way it is wrong, and goes on behind it. */
void perf_reader_surprise(struct perf_reader *reader, uint64_t number, bool whole);

/* perf_reader_take reads and checks one message. */
static inline void perf_reader_take(struct perf_reader *reader, const void *data,
                                    uint32_t len)
{
    const uint64_t *words = data;
    uint64_t number = words[0];
    bool whole = len == reader->size &&
                 perf_payload_check_any(words, reader->words, number, &reader->sum);

    if (__builtin_expect(!whole || number != reader->next, 0)) {
        perf_reader_surprise(reader, number, whole);
        return;
    }
    reader->next++;
}

void perf_reader_mark(struct perf_reader *reader, const struct perf_mark *mark,
                      proa_ns now);
void perf_reader_last(struct perf_reader *reader, const struct perf_last *last,
                      proa_ns now);

/* What a receiver is spawned with. */
struct perf_sink_arg {
    struct perf_sink *sink; /* borrowed for its life */
    uint32_t index;         /* 0: gets MARK */
};

extern const struct proa_behaviour perf_receiver;

/* Makes receivers on its own lane, as many as it is asked for; by clients, one call each, ten
   million take minutes. */
struct perf_maker_arg {
    struct perf_sink *sink; /* both borrowed for its life */
    struct proa_ref *refs;
};

struct perf_make {
    uint32_t first, count; /* indices of receivers; count no more than PERF_MAKE_MAX */
};

#define PERF_MAKE_MAX 1024u

extern const struct proa_behaviour
    perf_maker; /* the answer: enum proa_outcome, 4 bytes */

#endif
