/* SPDX-License-Identifier: Apache-2.0 */
/* test.h - whole nodes in one thread, in virtual time, for testing one's own actors.

   A test makes N nodes with the real schedulers, links, handshakes, Kademlia and directory, and
   joins them by a network in memory whose loss, duplication, reordering, delay and partitions
   come from a seed.  No DPDK, no root, no huge pages, no sleeping: time moves only when the
   test steps.  The same seed gives the same run.

   Link with libproa_test (pkg-config proa-test) instead of libproa.

   Threads: one thread per proa_test; several of them are independent.
   Units:   proa_ns of virtual time; bytes.
   Errors:  enum proa_outcome; the expect calls print what was expected, what came, and the seed
            that shows it again, and end the process with abort(). */
#ifndef PROA_TEST_H
#define PROA_TEST_H

#include <proa/actor.h>
#include <proa/event.h>
#include <proa/log.h>
#include <proa/node.h>
#include <proa/registry.h>

#ifdef __cplusplus
extern "C" {
#endif

struct proa_test;

#define PROA_TEST_NODES_MAX 64

struct proa_test_config {
    unsigned nodes;            /* 1..PROA_TEST_NODES_MAX; 0 = 2 */
    unsigned lanes;            /* of each node; 0 = 1 */
    uint64_t seed;             /* of everything random; 0 = 1 */
    struct proa_faults faults; /* of the network between nodes; its seed is ignored */
    uint32_t mtu;              /* of all nodes; 0 = 1,500 */
    uint32_t mtu_of[PROA_TEST_NODES_MAX]; /* of single nodes; 0 = mtu */
    bool ipv6;
    bool
        rss; /* packets arrive on lanes by a hash of addresses and UDP ports, as by a NIC's;
                 else from lane i on lane i */
    uint32_t message_max;                        /* 0 = 1 MiB */
    uint32_t actors_max;                         /* slots of each lane; 0 = 1,024 */
    uint32_t mesh_nodes_max;                     /* as in node.h */
    uint32_t mesh_published_max;                 /* 0 = 4,096 */
    const struct proa_behaviour *const *allowed; /* what others may spawn; borrowed */
    unsigned allowed_count;
};

/* proa_test_create makes the nodes; node i > 0 knows one address, that of node i - 1.  They join
   as time moves.  NULL without memory.  The caller owns it. */
PROA_API struct proa_test *proa_test_create(const struct proa_test_config *config);
PROA_API void proa_test_destroy(struct proa_test *test);

/* ---- Time ---- */

PROA_API proa_ns proa_test_now(const struct proa_test *test);

/* proa_test_step runs one loop of every node, then moves time: by 1 us when there was work, else
   to the next moment anybody waits for. */
PROA_API void proa_test_step(struct proa_test *test);

/* proa_test_advance steps until `span` has passed. */
PROA_API void proa_test_advance(struct proa_test *test, proa_ns span);

/* proa_test_until steps until done(ctx) is true: true; or until span has passed: false. */
PROA_API bool proa_test_until(struct proa_test *test, bool (*done)(void *ctx), void *ctx,
                              proa_ns span);

/* proa_test_join steps until all living nodes are part of the cluster, 30 s at the most. */
PROA_API bool proa_test_join(struct proa_test *test);

/* ---- Nodes and the network ---- */

PROA_API uint64_t proa_test_node(const struct proa_test *test, unsigned node);

/* proa_test_cut lets no packet pass from node a to node b, nor back; heal undoes it. */
PROA_API void proa_test_cut(struct proa_test *test, unsigned a, unsigned b);
PROA_API void proa_test_heal(struct proa_test *test, unsigned a, unsigned b);

/* proa_test_link_add and _remove are proa_node_link_add and _remove (node.h) of `node`, with the
   address of node `to`. */
PROA_API enum proa_outcome proa_test_link_add(struct proa_test *test, unsigned node,
                                              unsigned to, char *err, size_t err_len);
PROA_API enum proa_outcome proa_test_link_remove(struct proa_test *test, unsigned node,
                                                 unsigned to, char *err, size_t err_len);

/* proa_test_linked steps until each living node knows all that every other has published, at most
   span.  False when it does not. */
PROA_API bool proa_test_linked(struct proa_test *test, proa_ns span);

/* proa_test_faults changes the network's faults from now on. */
PROA_API void proa_test_faults(struct proa_test *test, const struct proa_faults *faults);

/* proa_test_kill ends a node without a word (kill -9); restart brings up a new one, with a new
   id, at the same address, that knows the address of a living node. */
PROA_API void proa_test_kill(struct proa_test *test, unsigned node);
PROA_API void proa_test_restart(struct proa_test *test, unsigned node);

/* ---- Actors ---- */

/* proa_test_spawn makes an actor on a lane of a node, at once. */
PROA_API enum proa_outcome proa_test_spawn(struct proa_test *test, unsigned node,
                                           unsigned lane,
                                           const struct proa_behaviour *behaviour,
                                           const void *arg, size_t arg_len,
                                           struct proa_ref *ret_ref);

/* proa_test_call runs fn at once inside a callback of an actor on lane 0 of the node, so that it
   may use everything of actor.h and registry.h. */
PROA_API void proa_test_call(struct proa_test *test, unsigned node,
                             void (*fn)(struct proa_actor *self, void *ctx), void *ctx);

/* proa_test_call_actor is the same inside a callback of the living actor `ref`. */
PROA_API void proa_test_call_actor(struct proa_test *test, struct proa_ref ref,
                                   void (*fn)(struct proa_actor *self, void *ctx),
                                   void *ctx);

PROA_API enum proa_outcome proa_test_tell(struct proa_test *test, unsigned node,
                                          struct proa_ref to, uint32_t type,
                                          const void *data, size_t len);

/* proa_test_ask asks from a node and steps until the outcome is there. */
struct proa_test_answer {
    enum proa_outcome outcome;
    struct proa_ref from;
    uint32_t len; /* of the whole reply; data holds up to its size of it */
    uint8_t data[1024];
};
PROA_API struct proa_test_answer proa_test_ask(struct proa_test *test, unsigned node,
                                               struct proa_ref to, uint32_t type,
                                               const void *data, size_t len,
                                               proa_ns deadline);

/* These step until the answer is there. */
PROA_API enum proa_outcome proa_test_register(struct proa_test *test, unsigned node,
                                              struct proa_ref ref, const char *name,
                                              proa_ns deadline, uint64_t *ret_term);
PROA_API enum proa_outcome proa_test_lookup(struct proa_test *test, unsigned node,
                                            const char *name, proa_ns deadline,
                                            struct proa_ref *ret_ref);
PROA_API enum proa_outcome proa_test_lookup_wait(struct proa_test *test, unsigned node,
                                                 const char *name, proa_ns deadline,
                                                 struct proa_ref *ret_ref);

/* ---- What nodes say ---- */

/* As proa_node_on_event, proa_node_on_dead_letter, proa_node_on_log and proa_node_log_level
   (event.h, log.h), for one node and all its further lives; called while the test steps.  Log
   lines go to stderr unless there is a function. */
PROA_API void proa_test_on_event(struct proa_test *test, unsigned node, proa_on_event fn,
                                 void *ctx);
PROA_API void proa_test_on_dead_letter(struct proa_test *test, unsigned node,
                                       proa_on_dead_letter fn, void *ctx);
PROA_API void proa_test_on_log(struct proa_test *test, unsigned node, proa_on_log fn,
                               void *ctx);
PROA_API void proa_test_log_level(struct proa_test *test, unsigned node,
                                  enum proa_log_level level);

/* ---- Expecting ---- */

/* proa_test_sink makes an actor that keeps the last tells it got (up to 1,024, 256 bytes of
   each), for expect_tell. */
PROA_API struct proa_ref proa_test_sink(struct proa_test *test, unsigned node);

/* proa_test_expect_tell steps until the sink has a further tell, at most span, and checks its type
   and payload. */
PROA_API void proa_test_expect_tell(struct proa_test *test, struct proa_ref sink,
                                    uint32_t type, const void *data, size_t len,
                                    proa_ns span);

/* proa_test_expect_nothing steps for span and fails when the sink gets a tell. */
PROA_API void proa_test_expect_nothing(struct proa_test *test, struct proa_ref sink,
                                       proa_ns span);

PROA_API void proa_test_expect_outcome(struct proa_test *test, enum proa_outcome expected,
                                       enum proa_outcome came);

/* Prints the message and the seed and aborts, when ok is false. */
PROA_API void proa_test_check(struct proa_test *test, bool ok, const char *what);

/* A number that all outputs of all nodes so far were mixed into: equal for equal runs. */
PROA_API uint64_t proa_test_trace(const struct proa_test *test);

#ifdef __cplusplus
}
#endif

#endif
