/* SPDX-License-Identifier: Apache-2.0 */
/* The lane's half of a client: a slot whose mailbox leads into the client's rings. */
#include "client_ring.h"
#include "scheduler_internal.h"

#define RETRY (200 * PROA_US) /* looks again at a client's full ring so often */

/* ---- Records ---- */

static void touch(struct sched *s, struct proa_client *client)
{
    if (client->touched)
        return;
    client->touched = true;
    client->next_touched = s->clients_touched;
    s->clients_touched = client;
}

static bool push(struct sched *s, struct proa_client *client, struct byte_ring *ring,
                 uint32_t record, const struct client_head *head, const void *data)
{
    if (!byte_ring_push(ring, (uint16_t)record, head, sizeof(*head), data, head->len))
        return false;
    touch(s, client);
    return true;
}

bool client_tell_out(struct sched *s, struct proa_client *client, uint32_t record,
                     const struct client_head *head, const void *data)
{
    return push(s, client, client->tells, record, head, data);
}

/* A record that found its ring full becomes a node: the record's kind and outcome lie in
   deadline, the id in correlation. */
static void queue_record(struct sched *s, struct slot *slot, uint32_t record,
                         const struct client_head *head, const void *data)
{
    struct proa_msg msg = {.data = data,
                           .len = head->len,
                           .type = head->type,
                           .from = head->from,
                           .deadline = (uint64_t)head->outcome << 32 | record,
                           .correlation = head->id,
                           .flags = PROA_MSG_REPLY};

    if (!enqueue_reserved(s, slot, &msg, NULL, PROA_CLASS_SYSTEM))
        STAT_ADD(s, client_dropped, 1);
}

void client_record(struct sched *s, struct slot *slot, uint32_t record,
                   const struct client_head *head, const void *data)
{
    struct proa_client *client = slot->client;

    if (slot->mailbox.last[PROA_CLASS_SYSTEM] == NULL &&
        push(s, client, client->answers, record, head, data))
        return;
    queue_record(s, slot, record, head, data);
}

void client_answer(struct sched *s, struct slot *slot, uint32_t id, uint32_t record,
                   enum proa_outcome outcome, const struct proa_msg *reply)
{
    struct client_head head = {.id = id, .outcome = outcome};
    const void *data = NULL;

    if (reply != NULL && reply->len > PROA_CLIENT_MSG_MAX) {
        head.outcome = PROA_NO_REPLY; /* it ran, and its answer cannot be had */
        head.from = reply->from;
    } else if (reply != NULL) {
        head.type = reply->type;
        head.len = reply->len;
        head.from = reply->from;
        data = reply->data;
    }
    client_record(s, slot, record, &head, data);
}

static void answer_ref(struct sched *s, struct slot *slot, uint32_t id, uint32_t record,
                       enum proa_outcome outcome, struct proa_ref ref)
{
    struct client_head head = {.id = id, .outcome = outcome, .from = ref};

    client_record(s, slot, record, &head, NULL);
}

void client_named(struct sched *s, struct slot *slot, uint32_t id,
                  enum proa_outcome outcome, struct proa_ref ref)
{
    answer_ref(s, slot, id, CLIENT_NAMED, outcome, ref);
}

void client_spawned(struct sched *s, struct slot *slot, uint32_t id,
                    enum proa_outcome outcome, struct proa_ref ref)
{
    answer_ref(s, slot, id, CLIENT_SPAWNED, outcome, ref);
}

/* ---- A turn: from the mailbox into the rings ---- */

/* Moves one node of a client's mailbox into its ring; false: the ring is full. */
static bool node_out(struct sched *s, struct slot *slot, const struct node *node)
{
    struct proa_client *client = slot->client;
    const struct proa_msg msg = node_msg(s, slot, node);
    struct client_head head = {.id = msg.correlation,
                               .type = msg.type,
                               .outcome = (uint32_t)(msg.deadline >> 32),
                               .len = msg.len,
                               .from = msg.from};

    if (msg.type == NODE_CHANGED && (msg.flags & PROA_MSG_SYSTEM) != 0)
        return client_changed(s, slot, node);
    if ((msg.flags & PROA_MSG_REPLY) != 0)
        return push(s, client, client->answers, (uint32_t)msg.deadline, &head, msg.data);
    if ((msg.flags & PROA_MSG_ASK) != 0) {
        refuse_msg(s, &msg, PROA_REFUSED_UNKNOWN_TYPE);
        return true;
    }
    if (msg.len > PROA_CLIENT_MSG_MAX) {
        refuse_msg(s, &msg, PROA_REFUSED_BAD_LENGTH);
        return true;
    }
    head.id = 0;
    head.outcome = PROA_OK;
    return push(s, client, client->tells, CLIENT_TOLD, &head, msg.data);
}

/* Empties one class as far as the ring goes; false when it is full. */
static bool class_out(struct sched *s, struct slot *slot, uint32_t cls, uint32_t max,
                      uint32_t *done)
{
    struct node *last, *node, *next;
    bool room = true;

    node = mailbox_take_all(&slot->mailbox, cls, &last);
    for (; node != NULL && *done < max; node = next) {
        next = node->next;
        room = node_out(s, slot, node);
        if (!room)
            break;
        mailbox_taken(&slot->mailbox, node);
        node_drop(s, node);
        s->hot.mailbox++;
        ++*done;
    }
    if (node != NULL)
        mailbox_put_back(&slot->mailbox, cls, node, last);
    return room;
}

static void block(struct sched *s, struct proa_client *client)
{
    if (!client->blocked) {
        client->blocked = true;
        client->next_blocked = s->clients_blocked;
        s->clients_blocked = client;
    }
    if (s->clients_retry == PROA_NS_NEVER)
        s->clients_retry = s->now + RETRY;
}

uint32_t client_turn(struct sched *s, struct slot *slot, uint32_t max)
{
    uint32_t done = 0;
    bool room = class_out(s, slot, PROA_CLASS_SYSTEM, max, &done);

    room &= class_out(s, slot, PROA_CLASS_URGENT, max, &done) &&
            class_out(s, slot, PROA_CLASS_NORMAL, max, &done);
    if (!room)
        block(s, slot->client);
    else if (!mailbox_empty(&slot->mailbox))
        ready_push(s, slot);
    if ((slot->flags & SLOT_TELL) != 0)
        full_check(s, slot);
    return done > 0 ? done : 1;
}

void clients_begin(struct sched *s)
{
    struct proa_client *client = s->clients_blocked, *next;

    s->clients_blocked = NULL;
    s->clients_retry = PROA_NS_NEVER;
    for (; client != NULL; client = next) {
        next = client->next_blocked;
        client->blocked = false;
        ready_push(s, &s->slots.slots[client->ref.slot & SLOT_INDEX_MAX]);
    }
}

void clients_flush(struct sched *s)
{
    struct proa_client *client = s->clients_touched, *next;

    s->clients_touched = NULL;
    for (; client != NULL; client = next) {
        next = client->next_touched;
        client->touched = false;
        doorbell_ring(&client->bell);
    }
}

/* ---- Life ---- */

static void open_client(struct sched *s, struct proa_client *client)
{
    struct slot *slot = s->draining ? NULL : slot_alloc(&s->slots);
    struct client_head head = {.outcome = PROA_LIMIT};

    if (slot != NULL) {
        slot->state = SLOT_LIVE;
        slot->flags = SLOT_CLIENT;
        slot->mailbox.capacity = PROA_MAILBOX_DEFAULT;
        slot->client = client;
        client->ref = ref_of(s, slot);
        head.outcome = PROA_OK;
        head.from = client->ref;
        STAT_ADD(s, clients, 1);
    } else if (s->draining) {
        head.outcome = PROA_STOPPED;
    }
    push(s, client, client->answers, CLIENT_OPENED, &head, NULL);
    if (slot == NULL) {
        /* The client frees itself once it has read this, so ring now and forget it. */
        client->touched = false;
        s->clients_touched = client->next_touched;
        doorbell_ring(&client->bell);
        /* O1 release, pairs with O2: the lane is done with this client. */
        atomic_store_explicit(&client->closed, 1, memory_order_release);
    }
}

static void unlist(struct sched *s, struct proa_client *client)
{
    struct proa_client **at = &s->clients_touched;

    while (client->touched && *at != client)
        at = &(*at)->next_touched;
    if (client->touched)
        *at = client->next_touched;
    at = &s->clients_blocked;
    while (client->blocked && *at != client)
        at = &(*at)->next_blocked;
    if (client->blocked)
        *at = client->next_blocked;
}

void client_gone(struct sched *s, struct slot *slot)
{
    struct proa_client *client = slot->client;

    slot_ending(slot);
    slot->client = NULL;
    waits_end(s, slot);
    if ((slot->marks & SLOT_MARK_WATCHES) != 0)
        watching_end(s, slot);
    full_tell(s, slot);
    unlist(s, client);
    STAT_ADD(s, clients, UINT64_MAX); /* one less */
    if ((slot->flags & SLOT_READY) == 0)
        actor_drain(s, slot, SCHED_TURN_MAX);
    /* O1 release, pairs with O2: the lane is done with this client. */
    atomic_store_explicit(&client->closed, 1, memory_order_release);
}

/* ---- Requests ---- */

static void name_request(struct sched *s, struct slot *slot, const struct proa_msg *msg)
{
    struct punt_name call;
    struct ask *ask;
    enum proa_outcome outcome;

    memcpy(&call, msg->data, sizeof(call));
    PROA_ASSERT(call.len <= PROA_NAME_MAX && sizeof(call) + call.len <= msg->len);
    if (call.op != PUNT_REGISTER) {
        call.slot = msg->from.slot;
        call.generation = msg->from.generation;
    }
    outcome = name_call(s, slot, ASK_CLIENT_NAME, &call,
                        (const char *)msg->data + sizeof(call), &ask);
    if (outcome == PROA_OK)
        ask->fn.client_id = msg->correlation;
    else
        client_named(s, slot, msg->correlation, send_failed(s, NULL, outcome),
                     proa_ref_none());
}

static void spawn_request(struct sched *s, const struct proa_msg *msg)
{
    struct spawned_item done = {
        msg->from.slot, msg->from.generation, msg->correlation, PROA_OK, {0, 0, 0}};
    struct client_spawn call;

    memcpy(&call, msg->data, sizeof(call));
    PROA_ASSERT(sizeof(call) + call.arg_len <= msg->len);
    done.outcome =
        spawn_here(s, call.behaviour, (const uint8_t *)msg->data + sizeof(call),
                   call.arg_len, call.named != 0, &done.ref);
    if (proa_ref_lane(msg->from) == s->lane)
        spawned_item(s, &done);
    else
        cross_body(s, proa_ref_lane(msg->from), PAIR_SPAWNED, &done, sizeof(done), true);
}

void client_command(struct sched *s, const struct proa_msg *msg)
{
    struct slot *slot = slot_find(&s->slots, msg->from.slot, msg->from.generation);
    struct proa_ref to;

    if (msg->type == CLIENT_OPEN) {
        struct proa_client *client;

        memcpy(&client, msg->data, sizeof(client));
        open_client(s, client);
    } else if (msg->type == CLIENT_SPAWN) {
        spawn_request(s, msg);
    } else if (slot == NULL || (slot->flags & SLOT_CLIENT) == 0) {
        STAT_ADD(s, malformed, 1);
    } else if (msg->type == CLIENT_CLOSE) {
        client_gone(s, slot);
    } else if (msg->type == CLIENT_NAME) {
        name_request(s, slot, msg);
    } else if (msg->type == CLIENT_WATCH) {
        client_watch(s, slot, msg);
    } else if (msg->type == CLIENT_UNWATCH) {
        client_unwatch(s, slot, msg);
    } else if (msg->type == CLIENT_MULTICAST) {
        client_multicast(s, slot, msg);
    } else if (msg->type == CLIENT_STOP) {
        memcpy(&to, msg->data, sizeof(to));
        answer_ref(s, slot, msg->correlation, CLIENT_STOPPED, stop_request(s, to, false),
                   to);
    } else {
        STAT_ADD(s, malformed, 1);
    }
}

static enum proa_outcome client_ask(struct sched *s, struct slot *slot,
                                    const struct proa_msg *request)
{
    struct proa_msg msg = *request;
    struct ask *ask;

    if (s->draining)
        return PROA_STOPPED;
    if (msg.deadline <= s->now)
        return PROA_NOT_SENT;
    if (msg.len > s->message_max)
        return PROA_TOO_LARGE;
    ask = ask_alloc(&s->asks, slot, slot_index(&s->slots, slot), ASK_CLIENT);
    if (ask == NULL)
        return PROA_LIMIT;
    ask->fn.client_id = request->correlation;
    return ask_send(s, slot, &msg, ask);
}

void client_msg(struct sched *s, const struct proa_msg *msg)
{
    struct slot *slot = slot_find(&s->slots, msg->from.slot, msg->from.generation);
    enum proa_outcome outcome;

    if (slot == NULL || (slot->flags & SLOT_CLIENT) == 0) {
        STAT_ADD(s, malformed, 1);
        return;
    }
    if ((msg->flags & PROA_MSG_ASK) != 0) {
        outcome = client_ask(s, slot, msg);
        if (outcome != PROA_OK)
            client_answer(s, slot, msg->correlation, CLIENT_ANSWER,
                          send_failed(s, NULL, outcome), NULL);
        return;
    }
    outcome = msg->len <= s->message_max ? msg_send(s, msg, NULL) : PROA_TOO_LARGE;
    if (outcome == PROA_OK) {
        s->hot.tells++;
        return;
    }
    send_failed(s, NULL, outcome);
    STAT_ADD(s, undelivered, 1);
    STAT_ADD(s, undelivered_nobody, 1);
}

uint32_t inbox_poll(struct sched *s)
{
    struct pair_item *item;
    uint32_t n = 0;

    for (; n < SCHED_INBOX_MAX && (item = inbox_peek(s->inbox)) != NULL; n++) {
        struct pair_node *node = item->kind == PAIR_MSG_NODE ? item->node : NULL;
        struct proa_msg space;

        if (item->kind <= PAIR_MSG_NODE) {
            const struct proa_msg *msg = pair_item_open(item, s->node, &space);

            if ((msg->flags & PROA_MSG_SYSTEM) != 0)
                client_command(s, msg);
            else
                client_msg(s, msg);
        } else if (item->kind == PAIR_OFFLOADED) {
            offload_item(s, item->ptr);
        } else {
            STAT_ADD(s, malformed, 1);
        }
        inbox_consume(s->inbox);
        inbox_node_free(node);
    }
    if (n > 0)
        STAT_ADD(s, inbox, n);
    return n;
}
