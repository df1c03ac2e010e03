/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_packet - a live link among hostile packets, and the readers of keyed ones.

   The input is a script: op, u16 length, that many bytes.  Packets come as they are, or with a
   header that the link would believe (its peer's next numbers), which is where the depth is.
   Received packets lie in memory of exactly their length, so that a read past the end is
   found.  At the end everything must have been given back. */
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "multicast.h"
#include "packet.h"
#include "spawn_request.h"
#include "sysmsg.h"

#define MTU 1448u
#define STEPS_MAX 400

enum op {
    OP_RAW,      /* inject the bytes */
    OP_BELIEVED, /* inject with a sound header: bytes[0..3] choose kind, seq, ack, flags */
    OP_SEND,     /* flags, class, len */
    OP_TIME,     /* u16, in 10 us */
    OP_HEARD,    /* bytes[0]: busy; deliver nothing from here on until time passes */
    OP_REFUSE,
    OP_DRY, /* the next allocations fail */
    OP_ACK,
    OP_KILL, /* and begin anew */
    OP_COUNT
};

struct fuzz_pkt {
    struct pkt pkt;
    uint32_t owners;
};

static struct pkt_pool pool;
static struct link_budget budget;
static struct link *the_link;
static void *memory;
static uint64_t bulk_live, touched;
static uint32_t fail_packets, fail_control, fail_bulk;
static uint32_t peer_next, peer_acked, peer_known; /* what a true peer would write */
static proa_ns now;
static bool paused;

static struct pkt *make(size_t room)
{
    struct fuzz_pkt *p = calloc(1, sizeof(*p));

    p->pkt.data = malloc(room > 0 ? room : 1);
    p->pkt.room = (uint16_t)room;
    p->owners = 1;
    pool.in_use++;
    return &p->pkt;
}

static struct pkt *pool_alloc(struct pkt_pool *base, int control)
{
    (void)base;
    uint32_t *fail = control ? &fail_control : &fail_packets;
    if (*fail > 0) {
        --*fail;
        return NULL;
    }
    return make(MTU);
}

static void pool_hold(struct pkt *p)
{
    ((struct fuzz_pkt *)p)->owners++;
}

static void pool_free(struct pkt *p)
{
    struct fuzz_pkt *fp = (struct fuzz_pkt *)p;

    PROA_ASSERT(fp->owners > 0);
    if (--fp->owners > 0)
        return;
    free(p->data);
    free(fp);
    pool.in_use--;
}

static const struct pkt_pool_ops ops = {pool_alloc, pool_hold, pool_free};

static void *bulk_alloc(void *ctx, size_t len)
{
    (void)ctx;
    if (fail_bulk > 0) {
        fail_bulk--;
        return NULL;
    }
    bulk_live++;
    return malloc(len);
}

static void bulk_free(void *ctx, void *buf)
{
    (void)ctx;
    bulk_live--;
    free(buf);
}

/* What the link sends tells where it stands; it must be sound itself. */
static void transmit(void *ctx, struct link *link, struct pkt *p)
{
    struct packet_header h;

    (void)ctx;
    (void)link;
    PROA_ASSERT(packet_header_get(p->data, p->len, &h) == 0);
    PROA_ASSERT(h.kind != PACKET_DATA ||
                packet_messages_check(p->data + PACKET_HEADER_LEN, p->data + p->len) > 0);
    if ((int32_t)(h.ack - peer_next) > 0)
        peer_next = h.ack;
    if (h.kind == PACKET_DATA && (int32_t)(h.seq + 1 - peer_known) > 0)
        peer_known = h.seq + 1;
    pool_free(p);
}

/* What services and their askers read (spawn_request.h, multicast.h). */
static void read_service(const struct proa_msg *msg)
{
    struct spawn_request request;
    struct multicast_body body;
    struct spawn_answer answer;

    if (spawn_request_get(msg->data, msg->len, &request)) {
        const uint8_t *arg = request.arg;
        PROA_ASSERT(strlen(request.type_name) <= PROA_TYPE_MAX);
        for (uint32_t i = 0; i < request.arg_len; i++)
            touched += arg[i];
    }
    if (multicast_body_get(msg->data, msg->len, &body)) {
        const uint8_t *data = body.data;
        PROA_ASSERT(body.group_len >= 1 && body.group_len <= PROA_NAME_MAX);
        PROA_ASSERT(strnlen(body.group, body.group_len) == body.group_len);
        PROA_ASSERT(body.len <= PROA_MULTICAST_MAX && ((uintptr_t)data & 7) == 0);
        for (uint32_t i = 0; i < body.len; i++)
            touched += data[i];
    }
    if (spawn_answer_get(msg->data, msg->len, &answer))
        PROA_ASSERT((answer.result == SPAWN_MADE) == (answer.generation != 0));
}

static void deliver(void *ctx, struct link *link, const struct proa_msg *msg,
                    bool in_place)
{
    const uint8_t *bytes = msg->data;
    struct sysmsg m;

    (void)ctx;
    (void)in_place;
    PROA_ASSERT(msg->cls <= PROA_CLASS_SYSTEM && msg->hops <= PROA_HOPS_MAX);
    for (uint32_t i = 0; i < msg->len; i++)
        touched += bytes[i];
    if (msg->flags & PROA_MSG_SYSTEM) {
        sysmsg_decode(msg->type, msg->data, msg->len, &m);
    } else if (msg->to.generation == 0 || msg->from.generation == 0) {
        read_service(msg);
    } else if (msg->flags & PROA_MSG_ASK) {
        struct proa_msg reply = *msg;
        reply.from = msg->to;
        reply.to = msg->from;
        reply.flags = PROA_MSG_REPLY;
        link_send(link, &reply, now);
    }
}

static void deliver_bulk(void *ctx, struct link *link, const struct proa_msg *msg,
                         void *buf)
{
    deliver(ctx, link, msg, true);
    bulk_free(ctx, buf);
}

/* A hint; but what is hinted must be there to be read. */
static void expect(void *ctx, const uint32_t *slots, uint32_t count)
{
    (void)ctx;
    for (uint32_t i = 0; i < count; i++)
        touched += slots[i];
}

static bool is_paused(void *ctx)
{
    (void)ctx;
    return paused;
}

static void ping(void *ctx, struct link *link, uint32_t flags)
{
    (void)ctx;
    (void)flags;
    link_pinged(link, now);
}

static void nothing(void *ctx, struct link *link)
{
    (void)ctx;
    (void)link;
}

static void lost(void *ctx, struct link *link, const struct proa_msg *msg, bool sent)
{
    (void)ctx;
    (void)link;
    PROA_ASSERT(msg->data != NULL || sent);
}

static void refused_for(void *ctx, uint64_t node, const struct refusal *refusal)
{
    (void)ctx;
    PROA_ASSERT(node != 0 && refusal->count >= 1);
}

static void passed(void *ctx, struct link *link, const struct proa_msg *msg)
{
    (void)ctx;
    PROA_ASSERT(msg->from.node != 0 && (msg->flags & PROA_MSG_ASK));
    struct forwarded f = {.to = msg->to,
                          .slot = msg->from.slot,
                          .generation = msg->from.generation,
                          .correlation = 1,
                          .hops = 1};
    uint8_t body[SYSMSG_BODY_MAX];
    struct proa_msg told = {.data = body,
                            .len = (uint32_t)sysmsg_encode_forwarded(body, &f),
                            .type = (uint32_t)SYSMSG_FORWARDED,
                            .from = {1, 0, 0},
                            .to = {2, 0, 0},
                            .flags = PROA_MSG_SYSTEM,
                            .cls = PROA_CLASS_SYSTEM};
    link_send(link, &told, now);
}

static void begin(void)
{
    static const struct link_env env = {.pool = &pool,
                                        .budget = &budget,
                                        .bulk_alloc = bulk_alloc,
                                        .bulk_free = bulk_free,
                                        .transmit = transmit,
                                        .deliver = deliver,
                                        .expect = expect,
                                        .pause = is_paused,
                                        .deliver_bulk = deliver_bulk,
                                        .ping = ping,
                                        .up = nothing,
                                        .refuse = refused_for,
                                        .writable = nothing,
                                        .passed = passed,
                                        .lost = lost};
    struct link_params params = {.node = 2,
                                 .self = 1,
                                 .link_id = 3,
                                 .peer_link_id = 4,
                                 .seq_tx = (uint32_t)-5,
                                 .seq_rx = (uint32_t)-9,
                                 .mtu = MTU,
                                 .settles = true,
                                 .message_max = 100000};

    pool.ops = &ops;
    budget = (struct link_budget){.retained_max = 300,
                                  .held_max = 10,
                                  .queued_max = 200,
                                  .queued_waiting_max = 150,
                                  .reserved_max = 100,
                                  .bulk_max = 300000};
    peer_next = params.seq_rx;
    peer_acked = peer_known = params.seq_tx;
    the_link = link_init(memory, &params, &env, now);
}

static void end(void)
{
    link_kill(the_link);
    link_fini(the_link);
    PROA_ASSERT(pool.in_use == 0 && bulk_live == 0);
    PROA_ASSERT(budget.retained == 0 && budget.held == 0 && budget.bulk == 0);
    PROA_ASSERT(budget.queued == 0 && budget.reserved == 0);
}

static void inject(const uint8_t *bytes, size_t len)
{
    struct pkt *p = make(len);

    memcpy(p->data, bytes, len);
    p->len = (uint16_t)len;
    link_input(the_link, p, now);
}

static uint64_t refused_packets(void)
{
    struct link_stats stats;

    link_stats(the_link, &stats);
    return stats.rx_malformed + stats.rx_outside + stats.rx_duplicate;
}

static void inject_believed(const uint8_t *bytes, size_t len)
{
    uint8_t data[PACKET_LEN_MAX];
    struct packet_header h = {0};
    uint32_t unacked = peer_known - peer_acked;

    if (len < 4 + PACKET_HEADER_LEN || len > sizeof(data))
        return;
    len -= 4;
    memcpy(data, bytes + 4, len);
    data[0] = PACKET_VERSION;
    if (packet_header_get(data, len, &h) != 0)
        return;
    h.kind = bytes[0] & 1 ? PACKET_ACK : PACKET_DATA;
    h.seq = peer_next + (bytes[1] < 200 ? 0 : bytes[1] - 210u);
    peer_acked += unacked > 0 ? bytes[2] % (unacked + 1) : 0;
    h.ack = peer_acked;
    h.flags = bytes[3] & (PACKET_ACK_VALID | PACKET_CE_ECHO | PACKET_PROBE);
    h.window &= 0x3ff;
    uint32_t past = peer_known - peer_acked > 0 ? peer_known - peer_acked - 1 : 0;
    if (past < 64)
        h.sack &= (1ull << past) - 1;
    packet_header_put(data, &h);

    uint64_t before = refused_packets();
    inject(data, len);
    if (h.kind == PACKET_DATA && h.seq == peer_next && refused_packets() == before)
        peer_next++;
}

static void send(const uint8_t *bytes, size_t len)
{
    static uint8_t payload[70000];
    struct proa_msg msg = {.data = payload,
                           .type = 1,
                           .from = {1, 1, 1},
                           .to = {2, 2, 2},
                           .deadline = now + PROA_S};

    if (len < 4)
        return;
    msg.flags = bytes[0] & 3;
    if (msg.flags == 3)
        msg.flags = 0;
    msg.from.node = bytes[0] & 4 ? 9 : 1;
    msg.from.slot = bytes[0] >> 4;
    msg.cls = bytes[1] & 1;
    msg.len = (uint32_t)(bytes[2] | bytes[3] << 8);
    link_send(the_link, &msg, now);
}

static void pass_time(const uint8_t *bytes, size_t len)
{
    if (len >= 2)
        now += (proa_ns)(bytes[0] | bytes[1] << 8) * 10 * PROA_US;
    paused = false;
    if (link_waits(the_link))
        link_deliver_more(the_link, now);
    link_flush(the_link, now);
    link_settle(the_link);
    if (link_deadline(the_link) <= now)
        link_tick(the_link, now);
    if (link_state(the_link) == LINK_DEAD) {
        end();
        begin();
    }
}

static void refuse(const uint8_t *bytes, size_t len)
{
    struct refusal r = {.generation = 1, .reason = PROA_REFUSED_FULL, .count = 1};

    r.slot = len > 0 ? bytes[0] : 0;
    r.correlation = len > 1 ? bytes[1] : 0;
    link_refuse(the_link, &r, now);
}

static void step(enum op op, const uint8_t *bytes, size_t len)
{
    struct packet_open open;
    struct packet_ping keyed;

    switch (op) {
    case OP_RAW:
        packet_open_get(bytes, len, &open);
        packet_ping_get(bytes, len, &keyed);
        if (len <= PACKET_LEN_MAX)
            inject(bytes, len);
        break;
    case OP_BELIEVED:
        inject_believed(bytes, len);
        break;
    case OP_SEND:
        send(bytes, len);
        break;
    case OP_TIME:
        pass_time(bytes, len);
        break;
    case OP_HEARD:
        link_heard(the_link, len > 0 && (bytes[0] & 1), now);
        paused = len > 0 && (bytes[0] & 2);
        break;
    case OP_REFUSE:
        refuse(bytes, len);
        break;
    case OP_DRY:
        fail_packets = len > 0 ? bytes[0] & 7 : 0;
        fail_bulk = len > 1 ? bytes[1] & 7 : 0;
        fail_control = len > 2 ? bytes[2] & 7 : 0;
        break;
    case OP_ACK:
        link_ack(the_link, now);
        break;
    default:
        end();
        begin();
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (memory == NULL)
        memory = aligned_alloc(64, link_size() + link_records_size());
    now = PROA_S;
    fail_packets = fail_control = fail_bulk = 0;
    paused = false;
    begin();
    for (int steps = 0; size >= 3 && steps < STEPS_MAX; steps++) {
        enum op op = (enum op)(data[0] % OP_COUNT);
        size_t len = (size_t)(data[1] | data[2] << 8);

        data += 3;
        size -= 3;
        if (len > size)
            len = size;
        step(op, data, len);
        data += len;
        size -= len;
    }
    end();
    return 0;
}
