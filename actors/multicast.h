/* SPDX-License-Identifier: Apache-2.0 */
/* multicast.h - one message for all members of a group (proa_multicast).

   The sender's lane reads the group.  It tells the members of its own lane as any tell does; each
   other lane of the node, and each other node, that has members gets one message to a service of
   its (an address whose generation is 0, as remote_spawn's): type, sender and class are those of
   the tell, the body, little-endian,

     u8 length of the group's name, 7 B zero, the name, zeros up to a multiple of 8, the payload

   What came over a link is handed out by the lane it came to: its own members, and again one
   message for each other lane that has some.  So a payload is copied once for each node, once for
   each lane, and once for each mailbox; and it takes the way that tells from the same sender to
   the same members take.  Who is a member is what each node knows itself.

   One message of another node's must not cost a lane its time.  A group of up to
   PROA_MULTICAST_ORDERED members is handed out as it comes, in order with tells.  A larger one
   waits in line, first come first served, and gets MULTICAST_AT_ONCE hand-outs a loop: so two of them
   keep their order at every member, but a tell, or a message to a small group, may come first at
   those whose turn has not come.  Members are those of the moment when its turn begins.  Beyond
   MULTICAST_WAITING_MAX, or without memory, what comes is refused as BUSY, unlooked at.  The members
   on the sender's own lane are told by its call, always.

   Refusals name the member, as those of tells, or, where a whole lane or node could not take the
   message, its service, with the number of members that this was for (1 when nobody has looked).

   Threads: one lane.  Units: bytes.  Errors: as each function says. */
#ifndef MULTICAST_H
#define MULTICAST_H

#include <proa/group.h>

#define SERVICE_MULTICAST 2u /* index of its slot; 1: spawn_request.h */

#define MULTICAST_HEAD 8u
#define MULTICAST_BODY_MAX (MULTICAST_HEAD + PROA_NAME_MAX + 1u + PROA_MULTICAST_MAX)
#define MULTICAST_NODES_MAX 2048u /* members of further nodes are told one by one */

#define MULTICAST_AT_ONCE 256u /* hand-outs of what waits, in one loop */
#define MULTICAST_LOOKS 64u    /* members looked at for the price of a hand-out */
#define MULTICAST_WAITING_MAX                                                            \
    64u /* multicasts in line on a lane, the first one included */

struct multicast_body {
    const char *group; /* in the body, group_len bytes */
    uint32_t group_len;
    const void *data; /* 8-aligned when the body is */
    uint32_t len;
};

/* multicast_body_put writes a body into buf (MULTICAST_BODY_MAX bytes) and returns its length; names
   of 1..PROA_NAME_MAX bytes, at most PROA_MULTICAST_MAX bytes of data. */
size_t multicast_body_put(void *buf, const struct multicast_body *body);
/* False for bytes that say no such thing. */
bool multicast_body_get(const void *bytes, size_t len, struct multicast_body *ret);

/* Members by node, while a multicast is under way; and those nodes. */
struct multicast_node {
    uint64_t node; /* 0: free */
    uint32_t members;
    uint32_t zero;
};

struct multicast_nodes {
    uint32_t count;
    uint16_t places[MULTICAST_NODES_MAX]; /* in slots, in the order met */
    struct multicast_node slots[2 * MULTICAST_NODES_MAX];
};

/* A member of this lane, yet to be told. */
struct multicast_rest {
    uint32_t slot, generation;
};

/* A lane's: what waits in line, and memory made when first needed. */
struct node;
struct multicasts {
    struct multicast_nodes *nodes;
    struct multicast_rest
        *rest; /* of the first one in line; as many as the lane has slots */
    uint32_t rest_at, rest_count;
    uint32_t waiting; /* in line */
    bool begun;       /* the first one: rest is its */
    struct node *first, *last;
};

#endif
