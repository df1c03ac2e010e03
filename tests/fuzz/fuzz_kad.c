/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_kad.c - a living Kademlia node among members gone wrong.  The input is a list of steps, each
   a byte, two bytes of length and so many bytes:

     0  the bytes, sealed, as a datagram of one of four members; a token in it is made a good one
     1  the same, as the answer to the oldest question of the node: with its transaction id, from
        where it asked, and with a proof of the key when it wants one
     2  time passes: as many milliseconds as the two bytes say
     3  the node is asked for something: by the first byte, a name or group by the second
     4  a crowd announces itself: four times the first byte, 64 at each host.  Of the second byte half
        chooses the group, half the first host

   Whatever comes: what it sends can be read, and its tables keep their bounds. */
#include "envelope.h"
#include "kad.h"
#include "krpc.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS 4
#define STORE 64
#define PEERS 1088 /* more than one group may have */
#define HOSTS 64   /* the members live at the first ones */
#define CONTACTS 64
#define STEPS 96
#define CROWD_MAX 1152
#define QUESTIONS 32 /* the last ones */
#define WALL 1790000000000u

#define MUST(cond)                                                                       \
    do {                                                                                 \
        if (!(cond))                                                                     \
            __builtin_trap();                                                            \
    } while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cluster_keys keys;
static struct identity self, members[MEMBERS];
static void *memory;
static uint8_t tokens[HOSTS]
                     [8]; /* the same in each run, until the node changes its secret */

/* What the node has asked, and whom. */
struct question {
    struct proa_addr to;
    uint8_t t[PROA_KRPC_TID_MAX], t_len;
    uint8_t nonce[PROA_PROOF_NONCE_LEN];
    bool wants_proof;
};

struct world {
    struct kad *kad;
    proa_ns now;
    struct question questions[QUESTIONS];
    uint32_t asked, answered;
    uint32_t crowd; /* have announced themselves */
};

static struct proa_addr address(uint8_t host)
{
    struct proa_addr addr = {.family = 4, .port = 7400};

    addr.ip[10] = addr.ip[11] = 0xff;
    addr.ip[12] = 10;
    addr.ip[15] = host;
    return addr;
}

static struct kad_config config(void)
{
    return (struct kad_config){.self = &self,
                               .keys = &keys,
                               .address = address(200),
                               .seeds = {address(1)},
                               .seed_count = 1,
                               .seed = 1,
                               .store_max = STORE,
                               .names_max = 8,
                               .watches_max = 8,
                               .contacts_max = CONTACTS,
                               .peers_max = PEERS,
                               .ops_max = 16,
                               .walks_max = 4};
}

static uint64_t wall(const struct world *w)
{
    return WALL + w->now / PROA_MS;
}

/* Which member lives where the node asks. */
static const struct identity *member_at(const struct proa_addr *addr)
{
    return &members[addr->ip[15] % MEMBERS];
}

/* Takes what the node sends and says. */
static void drain(struct world *w)
{
    static struct krpc_message sent;
    uint8_t buf[KAD_PACKET_MAX];
    struct kad_stats stats;
    struct kad_event event;
    struct proa_addr to;
    size_t len;

    while ((len = kad_output(w->kad, buf, &to)) > 0) {
        MUST(envelope_open(&keys, buf, len, wall(w), 0, NULL) == 0);
        MUST(krpc_decode(&sent, buf, len) == 0 && to.family != 0);
        if (sent.kind != KRPC_QUERY)
            continue;
        struct question *q = &w->questions[w->asked++ % QUESTIONS];
        q->to = to;
        q->t_len = sent.t_len;
        memcpy(q->t, sent.t, sent.t_len);
        q->wants_proof = sent.nonce != NULL;
        if (q->wants_proof)
            memcpy(q->nonce, sent.nonce, sizeof(q->nonce));
    }
    while (kad_event(w->kad, &event))
        for (uint32_t i = 0; i < event.peer_count; i++)
            MUST(event.peers[i].port != 0 && event.peers[i].family != 0);
    kad_stats(w->kad, &stats);
    MUST(stats.contacts <= CONTACTS && stats.records <= STORE && stats.peers <= PEERS);
}

static void hand_in(struct world *w, const struct proa_addr *from, uint8_t *pkt,
                    size_t len)
{
    if (envelope_seal(&keys, pkt, len, wall(w), 0, 0) == 0)
        kad_input(w->kad, from, pkt, len, w->now, wall(w));
    drain(w);
}

/* Step 0: a member's own words. */
static void say(struct world *w, const uint8_t *data, size_t len)
{
    static struct krpc_message message;
    struct proa_addr from = address((uint8_t)(1 + len % MEMBERS));
    uint8_t pkt[KAD_PACKET_MAX];

    memcpy(pkt, data, len);
    if (krpc_decode(&message, pkt, len) == 0 && message.token.len == sizeof(tokens[0]))
        memcpy(pkt + (message.token.at - pkt), tokens[len % MEMBERS], sizeof(tokens[0]));
    hand_in(w, &from, pkt, len);
}

static void learn_tokens(void)
{
    struct kad_config c = config();
    struct kad *kad = kad_init(memory, &c, 1000 * PROA_S, WALL + 1000000);
    struct krpc_message message;
    uint8_t buf[KAD_PACKET_MAX];
    struct proa_addr to;
    size_t len;

    for (uint8_t i = 0; i < HOSTS; i++) {
        struct proa_addr from = address(1 + i);

        krpc_message_init(&message, KRPC_QUERY, "t", 1);
        message.query = KRPC_PING;
        message.id = members[i % MEMBERS].id;
        message.has = KRPC_HAS_ID | KRPC_HAS_AN;
        len = krpc_encode(&message, buf, sizeof(buf));
        MUST(envelope_seal(&keys, buf, len, WALL + 1000000, 0, 0) == 0);
        MUST(kad_input(kad, &from, buf, len, 1000 * PROA_S, WALL + 1000000));
        while ((len = kad_output(kad, buf, &to)) > 0)
            if (krpc_decode(&message, buf, len) == 0 && message.kind == KRPC_RESPONSE &&
                message.token.len == sizeof(tokens[0]))
                memcpy(tokens[i], message.token.at, sizeof(tokens[0]));
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t secret[PROA_CLUSTER_SECRET_LEN] = {1};
    struct kad_config c;

    (void)argc;
    (void)argv;
    MUST(sodium_init() >= 0);
    cluster_keys_init(&keys, secret);
    for (uint8_t i = 0; i <= MEMBERS; i++) {
        uint8_t seed[PROA_SEED_LEN] = {i, 7};

        MUST(identity_init(i < MEMBERS ? &members[i] : &self, seed) == 0);
    }
    c = config();
    memory = aligned_alloc(PROA_CACHE_LINE, kad_size(&c));
    MUST(memory != NULL);
    learn_tokens();
    return 0;
}

/* Step 1: an answer that the node waits for. */
static void answer(struct world *w, const uint8_t *data, size_t len)
{
    static struct krpc_message message;
    uint8_t proof[PROA_SIGNATURE_LEN], pkt[KAD_PACKET_MAX];

    if (w->asked - w->answered > QUESTIONS)
        w->answered = w->asked - QUESTIONS;
    if (w->answered == w->asked || krpc_decode(&message, data, len) != 0 ||
        message.kind == KRPC_QUERY)
        return;
    const struct question *q = &w->questions[w->answered++ % QUESTIONS];
    const struct identity *member = member_at(&q->to);
    memcpy(message.t, q->t, q->t_len);
    message.t_len = q->t_len;
    message.has |= KRPC_HAS_AN;
    if (message.kind == KRPC_RESPONSE) {
        message.id = member->id;
        message.has |= KRPC_HAS_ID;
    }
    if (q->wants_proof && message.kind == KRPC_RESPONSE) {
        identity_prove(member, q->nonce, &self.id, proof);
        message.k = member->public_key;
        message.proof = proof;
    }
    size_t pkt_len = krpc_encode(&message, pkt, sizeof(pkt));
    struct proa_addr from = q->to;
    if (pkt_len > 0)
        hand_in(w, &from, pkt, pkt_len);
}

/* Step 3 */
static void ask(struct world *w, uint8_t what, uint8_t whom)
{
    const char name[2] = {(char)('a' + whom % 4), '\0'};
    proa_ns deadline = w->now + 5 * PROA_S;
    struct proa_addr addr = address(whom);
    struct kad_id group;

    kad_id_of_group(name, 1, &group);
    switch (what % 12) {
    case 0:
        kad_register(w->kad, name, 1, 7, 1, 0, deadline, w->now);
        break;
    case 1:
        kad_lookup(w->kad, name, 1, whom & 16, deadline, w->now);
        break;
    case 2:
        kad_watch(w->kad, name, 1, w->now);
        break;
    case 3:
        kad_unwatch(w->kad, name, 1, w->now);
        break;
    case 4:
        kad_unregister(w->kad, name, 1, w->now);
        break;
    case 5:
        kad_announce(w->kad, &group, deadline, w->now);
        break;
    case 6:
        kad_get_peers(w->kad, &group, deadline, w->now);
        break;
    case 7:
        kad_find_node(w->kad, kad_id_node64(&members[whom % MEMBERS].id), deadline,
                      w->now);
        break;
    case 8:
        kad_meet(w->kad, &addr, w->now);
        break;
    case 9:
        kad_yield(w->kad, name, 1, w->now);
        break;
    case 10:
        kad_renew(w->kad, name, 1, w->now);
        break;
    default:
        kad_heard(w->kad, &members[whom % MEMBERS].id, &addr, w->now);
    }
    drain(w);
}

/* Step 4 */
static void crowd(struct world *w, uint8_t fours, uint8_t start)
{
    struct krpc_message message;
    uint8_t pkt[KAD_PACKET_MAX];

    for (unsigned i = 0; i < 4u * fours && w->crowd < CROWD_MAX; i++, w->crowd++) {
        uint8_t host = (uint8_t)((start / 16 * 4 + i / 64) % HOSTS);
        struct proa_addr from = address(1 + host);

        krpc_message_init(&message, KRPC_QUERY, "c", 1);
        message.query = KRPC_ANNOUNCE_PEER;
        message.id = members[host % MEMBERS].id;
        message.has = KRPC_HAS_ID | KRPC_HAS_TARGET | KRPC_HAS_PORT | KRPC_HAS_AN;
        kad_id_of_group("a", 1, &message.target);
        message.target.b[0] = start % 16;
        message.port = (uint16_t)(1000 + i % 64);
        message.token = (struct bencode_span){tokens[host], sizeof(tokens[host])};
        size_t len = krpc_encode(&message, pkt, sizeof(pkt));
        MUST(len > 0);
        hand_in(w, &from, pkt, len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.now = 1000 * PROA_S};
    struct kad_config c = config();

    w.kad = kad_init(memory, &c, w.now, wall(&w));
    drain(&w);
    for (int step = 0; step < STEPS && size >= 3; step++) {
        uint8_t kind = data[0] % 5;
        size_t len = (size_t)data[1] << 8 | data[2];
        bool has_bytes = kind < 2;

        if (has_bytes && (len > size - 3 || len > KAD_PACKET_MAX))
            return 0;
        if (kind == 0)
            say(&w, data + 3, len);
        else if (kind == 1)
            answer(&w, data + 3, len);
        else if (kind == 3)
            ask(&w, data[1], data[2]);
        else if (kind == 4)
            crowd(&w, data[1], data[2]);
        else
            w.now += len * PROA_MS;
        kad_tick(w.kad, w.now, wall(&w));
        drain(&w);
        data += 3 + (has_bytes ? len : 0);
        size -= 3 + (has_bytes ? len : 0);
    }
    return 0;
}
