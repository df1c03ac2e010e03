/* SPDX-License-Identifier: Apache-2.0 */
/* node.h - starting and ending a node in this process.

   A node is N lanes, each a polling thread on a core of its own, and one control thread.
   DPDK's environment is once per process: a second node is refused with ALREADY_RUNNING, unless
   both use `ring` ports only.

   Threads: start, leave and close from one ordinary thread; never from a lane.
   Units:   as the fields say.
   Errors:  enum proa_outcome, with one sentence for people in err. */
#ifndef PROA_NODE_H
#define PROA_NODE_H

#include <proa/actor.h>

#ifdef __cplusplus
extern "C" {
#endif

struct proa_node;

#define PROA_PORTS_MAX 8
#define PROA_DENY_MAX 64
#define PROA_NETWORK_MAX 48      /* bytes of an address with prefix, as text */
#define PROA_SOURCE_RATE_MIN 100 /* datagrams a second */
#define PROA_SOURCE_RATE_MAX 10000000
#define PROA_SEEDS_MAX 16
#define PROA_ALLOW_MAX 64
#define PROA_KEY_LEN 32
#define PROA_TEXT_MAX 256
#define PROA_SYSCALLS_MAX 64 /* names in seccomp_allow */
#define PROA_SYSCALL_MAX 31  /* bytes of one */

enum proa_idle {
    PROA_IDLE_DEFAULT,  /* adaptive */
    PROA_IDLE_ADAPTIVE, /* spin 50 us, then sleep until a packet or a deadline */
    PROA_IDLE_SPIN,     /* never sleep: dedicated cores, benchmarks */
};

enum proa_pages {
    PROA_PAGES_AUTO, /* huge pages when some are free, else ordinary ones */
    PROA_PAGES_HUGE, /* huge pages, or start fails */
    PROA_PAGES_NONE, /* ordinary pages */
};

/* Deterministic faults in front of a port; rates are parts per million, 0 = none.  For tests,
   also in release builds. */
struct proa_faults {
    uint64_t seed;
    uint32_t loss, duplicate, reorder, corrupt; /* ppm of packets, each direction sent */
    uint32_t delay_us;                          /* added to every packet */
    uint32_t jitter_us;                         /* up to, added at random */
};

struct proa_port_config {
    char spec[PROA_TEXT_MAX]; /* "vhost:listen=PATH", "vhost:connect=PATH",
                                    "af_xdp:eth0", "ethdev:0000:03:00.0",
                                    "udp:127.0.0.1:7400", "udp:[::1]:7400", "ring:NAME" */
    char address
        [PROA_TEXT_MAX]; /* "10.0.0.1/24", "fd00::1/64"; "" = derived from the port */
    char gateway[PROA_TEXT_MAX]; /* ethdev: way to other networks; "" = none */
    uint32_t vlan;               /* ethdev: 1..4,094; 0 = untagged */
    uint32_t mtu; /* bytes of an IP packet, 1,280..9,000; 0 = the port's own */
    struct proa_faults faults;
    /* af_xdp only: datagrams for this node are dropped before a lane sees them when they are from
       one of these addresses ("10.0.0.9", "10.9.0.0/16", "fd00:9::/32"), or are more than
       source_rate a second from one address (PROA_SOURCE_RATE_MIN..MAX; 0 = any number). */
    char deny[PROA_DENY_MAX][PROA_NETWORK_MAX];
    unsigned deny_count;
    uint32_t source_rate;
};

struct proa_config {
    struct proa_port_config ports[PROA_PORTS_MAX];
    unsigned port_count;
    char seeds[PROA_SEEDS_MAX]
              [PROA_TEXT_MAX]; /* "ADDR:PORT"; none: this node is the first */
    unsigned seed_count;
    uint8_t cluster_key[PROA_KEY_LEN];
    bool has_cluster_key; /* false: read, or made, in state_dir/cluster.key (0600) */
    char state_dir[PROA_TEXT_MAX]; /* "": $XDG_STATE_HOME/proa or ~/.local/state/proa */
    char socket[PROA_TEXT_MAX];    /* local socket for the CLI; "": none */
    unsigned lanes;                /* 1..PROA_LANES_MAX; 0 = 1 */
    int cores[PROA_LANES_MAX];     /* core of each lane; -1 = chosen */
    enum proa_idle idle;
    enum proa_pages pages;
    uint32_t memory_mb;   /* for packets; 0 = chosen */
    uint32_t message_max; /* bytes of one message; 0 = 1 MiB, at most 16 MiB */
    uint32_t actors_max;  /* slots of each lane; 0 = 65,536; at most 2^24 */
    /* Threads of proa_offload (offload.h): 2 after proa_config_init, at most
       PROA_OFFLOAD_THREADS_MAX; 0: proa_offload is refused. */
    unsigned offload_threads;
    /* Linked registries (group.h).  Nodes linked, this one included, at most 1,024; 0 = 256; 1: none,
       names and groups are found through Kademlia.  The seeds are the first neighbours. */
    uint32_t mesh_nodes_max;
    uint32_t
        mesh_published_max; /* names and memberships this node publishes; 0 = 65,536, and
                                    at most */
    const struct proa_behaviour *const *behaviours; /* known types; borrowed */
    unsigned behaviour_count;
    /* Of these, by type name, the ones that other nodes may spawn here (remote.h). */
    char allow_spawn[PROA_ALLOW_MAX][PROA_TYPE_MAX + 1];
    unsigned allow_spawn_count; /* 0: none, the default */
    /* What the process gives up once the node runs, for good; docs/security.md.  Nothing, unless
       it is said here. */
    char user[PROA_TEXT_MAX]; /* "NAME" or "NAME:GROUP", to become; "": stay who one is */
    bool seccomp;             /* only the system calls of a node */
    /* And these, by name, for the program's own handlers and offloaded jobs. */
    char seccomp_allow[PROA_SYSCALLS_MAX][PROA_SYSCALL_MAX + 1];
    unsigned seccomp_allow_count;
};

/* proa_config_init fills config with defaults: one lane, no port, adaptive, automatic pages. */
PROA_API void proa_config_init(struct proa_config *config);

/* proa_config_load reads a YAML file (docs/config.md).  Unknown keys and bad values are refused:
   BAD_CONFIG, and err says file, line and reason. */
PROA_API enum proa_outcome proa_config_load(const char *path, struct proa_config *config,
                                            char *err, size_t err_len);

/* proa_node_start starts a node; *ret is owned, end it by proa_node_close.  Borrows config
   during the call and its behaviours for the node's life.  OK; BAD_CONFIG, NO_PORT, NO_MEMORY,
   ALREADY_RUNNING: err (err_len bytes, may be NULL) holds one sentence with cause and remedy.

   With `user`, call it before the program has other threads; with `user` or `seccomp`, open
   before it what handlers are to write to.  A start that fails after the ports were open may
   leave the process with less than it had, never with some of its threads as they were. */
PROA_API enum proa_outcome proa_node_start(const struct proa_config *config,
                                           struct proa_node **ret, char *err,
                                           size_t err_len);

/* proa_node_udp starts a node with one lane on one udp port and nothing else to configure, for
   examples and first steps: address as "127.0.0.1:7400" (port 0: any free one), seed another
   node's address or NULL.  NULL when it failed, after saying why on stderr. */
PROA_API struct proa_node *proa_node_udp(const char *address, const char *seed);

/* proa_node_join waits until the node is part of its cluster: a seed has answered, or there are
   no seeds.  OK; TIMEOUT: err says "no answer from any seed (wrong cluster key or address?)". */
PROA_API enum proa_outcome proa_node_join(struct proa_node *node, proa_ns deadline,
                                          char *err, size_t err_len);

/* The node's id: ref.node of its actors. */
PROA_API uint64_t proa_node_id(const struct proa_node *node);

/* Endpoint of the node as others reach it, as text, e.g. "127.0.0.1:7400". */
PROA_API void proa_node_address(const struct proa_node *node, char *buf, size_t len);

/* ---- Linked registries ---- */

/* proa_node_link_add links this node's registry with that of the node at address ("ADDR:PORT"), and
   by it with all that one knows; event REGISTRY_LINKED says when, NEIGHBOUR_SILENT that nobody
   answers: it is tried on.  OK, also when it is linked already; INVALID: no address, or this node's
   own; NO_ROUTE: no port reaches it; LIMIT.  err (may be NULL) gets one sentence. */
PROA_API enum proa_outcome proa_node_link_add(struct proa_node *node, const char *address,
                                              char *err, size_t err_len);

/* proa_node_link_remove undoes a link, on both sides: neither knows the other's names and groups by it
   any more.  Neither links again by itself, and only proa_node_link_add on this node takes it back, not
   one on the other; a restart of the other makes it another node.  which: its address, or its id in hexadecimal.  OK;
   NOT_FOUND; INVALID. */
PROA_API enum proa_outcome proa_node_link_remove(struct proa_node *node,
                                                 const char *which, char *err,
                                                 size_t err_len);

/* proa_node_leave unregisters names, tells the neighbours and stops the actors, within 2 s.
   proa_node_close ends the threads and frees all; leave comes first if it was not called.  It
   waits for offloaded jobs that run, 2 s at the most; how many it then leaves running, with
   their threads, it says on stderr. */
PROA_API void proa_node_leave(struct proa_node *node);
PROA_API void proa_node_close(struct proa_node *node);

/* proa_node_run blocks until SIGINT or SIGTERM, then leaves and closes. */
PROA_API void proa_node_run(struct proa_node *node);

/* proa_main is a whole node in one line: `PROGRAM node --config FILE` and the other verbs of the
   proa program (docs/cli.md), with these behaviours known.  Returns the exit status. */
PROA_API int proa_main(int argc, char **argv,
                       const struct proa_behaviour *const *behaviours, unsigned count);

#ifdef __cplusplus
}
#endif

#endif
