/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h - the two measurements that each peer of proa is put through, whatever carries its messages.

   A case is a transport, a placement and a way to wait.  For each case two runs, each in two fresh
   processes: round trips, where end A sends a message, end B sends it back and A compares it, one at a
   time; and one way, where A sends as fast as it may and B reads and compares every word.  Both ends of
   a run are pinned, with all threads their library will start: A on core 0, B on core 1, or both on
   core 0.  The parent runs nothing of the peer but its server, if it has one; it collects and prints one
   JSON object a case.

   A peer with calls that send and receive gives struct peer_calls and uses peer_calls_run; one that
   calls back (CAF) writes the two ends itself.

   Threads: an end belongs to its process's first thread, unless said otherwise.
   Units:   bytes; proa_ns; rates are per second.
   Errors:  false, after one sentence on stderr (peer_fail). */
#ifndef PEER_H
#define PEER_H

#include <proa/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "perf_json.h"
#include "perf_payload.h"
#include "perf_process.h"

#define PEER_SIZE 64u /* of every message, both measurements */
#define PEER_WORDS (PEER_SIZE / 8)
#define PEER_ADDRESS_MAX 128u
#define PEER_WARM 5000u /* messages one way that are checked and not timed */
/* The number of the message that ends a run, plus how many there were: no message has it. */
#define PEER_END ((uint64_t)1 << 63)
#define PEER_PATIENCE (30 * PROA_S) /* until the other end is there */

struct peer_case {
    const char *transport;
    const char *wait; /* "blocking", or "spinning": asks again and again for a message */
    bool same_core;
};

enum peer_phase { PEER_ROUND_TRIPS, PEER_ONE_WAY };

/* What an end found out.  A fills rtt and count, the messages it counts; B fills count, those
   that came, and ns. */
struct peer_result {
    uint64_t count; /* with those that only warmed */
    uint64_t wrong; /* lost, repeated, out of order, or with other words than were sent */
    proa_ns ns;     /* B, one way: from message PEER_WARM to the last */
    struct {
        uint64_t count, min, p50, p90, p99, p999, max; /* ns */
    } rtt;
};

/* One end of one run, in its own process. */
struct peer_end {
    const struct peer *peer;
    const struct peer_case *kase;
    enum peer_phase phase;
    bool is_a;
    proa_ns span;                   /* of the measurement */
    char address[PEER_ADDRESS_MAX]; /* where B listens: A reads it */
    const struct perf_pipe *pipe;   /* to the parent */
    struct peer_result result;
};

struct peer {
    const char *name;
    const struct peer_case *cases;
    unsigned case_count;

    /* Writes the version in use, of at most len bytes with its 0. */
    void (*version)(char *text, size_t len);
    /* Adds the fields of "settings". */
    void (*settings)(const struct peer_case *kase, struct perf_json *json);
    /* Runs the end and fills end->result.  B calls peer_end_ready when A may connect; both call
       peer_end_done before they let go of the transport. */
    bool (*run)(struct peer_end *end);
    /* Or NULL: starts what both ends connect to, in the parent, and writes its address. */
    bool (*server_start)(const struct peer_case *kase, char *address);
    void (*server_stop)(void);
};

/* peer_main measures all cases of the peer: main's work.  Options: --seconds N, of each
   measurement.  Exit status 0: every message of every case was checked and right; 1: not; 2: bad
   options. */
int peer_main(int argc, char **argv, const struct peer *peer);

/* peer_fail says on stderr what did not work, and returns false. */
bool peer_fail(const struct peer_end *end, const char *what, const char *why);

/* B: A may connect to `address`, which may be end->address. */
bool peer_end_ready(struct peer_end *end, const char *address);

/* Both: hands the result over and waits until the parent has that of the other end as well, so that
   nothing is torn down under it. */
void peer_end_done(struct peer_end *end);

/* ---- Round trips, timed ---- */

struct perf_latency;

struct peer_samples {
    struct perf_latency *latency; /* as proa-perf counts its own */
    double scale;                 /* ns per tick */
};

/* peer_samples_open makes room for them, and measures the clock.  Returns false without memory. */
bool peer_samples_open(struct peer_samples *samples);

/* peer_samples_add counts one round trip of so many ticks of perf_clock.h. */
void peer_samples_add(struct peer_samples *samples, uint64_t ticks);

/* peer_samples_close fills result->rtt and frees them.  False: there are none. */
bool peer_samples_close(struct peer_samples *samples, struct peer_result *result);

/* ---- Messages, checked ---- */

/* peer_check_echo says whether a message that came back is the one sent: A's side of round trips. */
bool peer_check_echo(struct peer_end *end, const uint64_t *words, uint64_t number);

/* peer_check_next compares a message with the one B expects next, and counts it.  True: it was the
   end of the run, and said how many there were. */
bool peer_check_next(struct peer_end *end, const uint64_t *words);

/* ---- Peers with calls ---- */

struct peer_calls {
    /* B listens, then A connects.  *ret_ctx is the other calls'. */
    bool (*open)(struct peer_end *end, void **ret_ctx);
    void (*close)(void *ctx);
    /* Sends the message, or puts it behind those that flush will send.  May wait. */
    bool (*send)(void *ctx, const uint64_t *words);
    bool (*flush)(void *ctx);
    /* Waits for a message. */
    bool (*receive)(void *ctx, uint64_t *words);
    /* One way, B lets A have so many messages under way and says after each quarter how far it got.
       0: the transport holds A back itself. */
    uint64_t window;
};

bool peer_calls_run(struct peer_end *end, const struct peer_calls *calls);

#ifdef __cplusplus
}
#endif

#endif
