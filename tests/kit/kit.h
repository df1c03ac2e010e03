/* SPDX-License-Identifier: Apache-2.0 */
/* kit.h - the test kit from inside (include/proa/test.h is its manual).

   Threads: one per struct proa_test.  Units: proa_ns of virtual time.  Errors: as test.h. */
#ifndef KIT_H
#define KIT_H

#include <proa/test.h>

#include "core.h"
#include "lane.h"
#include "pool_plain.h"
#include "port_faults.h"
#include "port_ring.h"

#define KIT_LANES_MAX 8
#define KIT_SINK_TELLS 1024
#define KIT_SINK_BYTES 256
#define KIT_POOL 2048 /* packets of a lane */
#define KIT_PUNT_BYTES (1u << 18)
#define KIT_NOTES_BYTES (1u << 16)
#define KIT_PAIR_ITEMS 256
#define KIT_STEP PROA_US               /* virtual time of a loop with work */
#define KIT_CONTROL_LAG (20 * PROA_US) /* wake-up of a control thread */
#define KIT_JOIN_MAX (30 * PROA_S)

struct kit_lane {
    struct lane *lane;
    struct arena *arena;
    struct pkt_pool *pool;
    struct byte_ring *up, *down, *notes;
    struct doorbell bell;
    struct inbox *inbox;
    int reader;
    /* A slow lane: so long between two of its loops; 0: none.  For tests of the kit's own tree. */
    proa_ns nap, wakes_at;
};

/* What a test wants to be told of a node, kept over its lives. */
struct kit_hooks {
    proa_on_event event;
    proa_on_dead_letter dead_letter;
    proa_on_log log;
    void *event_ctx, *dead_letter_ctx, *log_ctx;
};

struct kit_node {
    bool alive;
    unsigned lives; /* restarts, for its seeds */
    uint64_t id;
    struct proa_addr address;
    struct port *port;
    struct directory *directory;
    struct core *core;
    struct doorbell control_bell;
    struct offload *offload;
    struct pair_ring *pairs[KIT_LANES_MAX][KIT_LANES_MAX]; /* [from][to] */
    struct kit_lane lanes[KIT_LANES_MAX];
    struct proa_ref prober; /* the actor proa_test_call runs in */
    proa_ns control_at;     /* its control thread runs not before this */
};

struct proa_test {
    struct proa_test_config config;
    proa_ns now;
    uint64_t wall_base; /* ms */
    uint64_t trace;
    uint64_t random;
    char hub[32]; /* name of the network */
    bool cut[PROA_TEST_NODES_MAX][PROA_TEST_NODES_MAX];
    struct kit_node nodes[PROA_TEST_NODES_MAX];
    struct kit_hooks hooks[PROA_TEST_NODES_MAX];
};

/* kit_node.c */
bool kit_node_start(struct proa_test *test, unsigned index, int seed_index);
void kit_node_stop(struct proa_test *test, unsigned index);
bool kit_node_step(struct proa_test *test,
                   struct kit_node *node); /* true: there was work */
proa_ns kit_node_deadline(const struct proa_test *test, const struct kit_node *node);
uint64_t kit_random(struct proa_test *test);
struct kit_node *kit_node_of(struct proa_test *test, uint64_t id);
uint64_t kit_wall(const struct proa_test *test);

/* kit_event.c */
void kit_hooks_set(struct proa_test *test, unsigned index);

/* kit_actor.c */
extern const struct proa_behaviour kit_prober;

#endif
