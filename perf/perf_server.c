/* SPDX-License-Identifier: Apache-2.0 */
#include <proa/life.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "perf_remote.h"

#define LOOK (5 * PROA_MS)
#define STOP_IN (10 * PROA_S) /* all receivers of a session */
#define REGISTER_IN (10 * PROA_S)

#define CLAIMED UINT32_MAX

/* What the desk and the server's thread share: the desk writes `wanted` and then `request`, the
   thread does it, writes the answer and tells the desk READY.  Who reads or changes groups claims
   `request` first. */
struct desk {
    _Atomic uint32_t request; /* PERF_REMOTE_ PREPARE or RESULT; CLAIMED; 0: none */
    struct perf_remote_wanted wanted;
    struct perf_remote_result result; /* of either; PREPARE: only the answer */
    _Atomic uint32_t gone;            /* the session whose client has ended */

    /* The thread's; the desk reads it while it has claimed `request`. */
    struct perf_groups groups;
    uint32_t receivers_max;
    uint32_t session; /* counts them, from 1 */
    proa_ns until;    /* the session's; 0: there is none */

    /* The desk's own. */
    struct proa_token token;   /* of the ask that waits */
    uint32_t asked;            /* its type */
    struct proa_monitor watch; /* of the session's client */
    uint32_t watched;          /* that session */
};

/* acquire, pairs with the release in let_go and step: what it guards is as they left it. */
static bool claim(struct desk *desk)
{
    uint32_t none = 0;

    return atomic_compare_exchange_strong_explicit(
        &desk->request, &none, CLAIMED, memory_order_acquire, memory_order_relaxed);
}

static void let_go(struct desk *desk)
{
    atomic_store_explicit(&desk->request, 0, memory_order_release);
}

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
    (void)sig;
    stopped = 1;
}

/* ---- The desk, on the lane ---- */

static void refuse(struct proa_actor *self, const struct proa_msg *msg, const char *why)
{
    struct perf_remote_result result = {.answer.ok = 0};

    snprintf(result.answer.why, sizeof(result.answer.why), "%s", why);
    proa_reply(self, msg, &result,
               msg->type == PERF_REMOTE_RESULT ? sizeof(result) : sizeof(result.answer));
}

/* Hands the ask to the thread, which answers by READY. */
static void hand_over(struct proa_actor *self, struct desk *desk,
                      const struct proa_msg *msg)
{
    if (!claim(desk)) {
        refuse(self, msg, "the server is busy with another request");
        return;
    }
    if (proa_reply_later(self, msg, &desk->token) != PROA_OK) {
        let_go(desk);
        refuse(self, msg, "the server has no room for another request");
        return;
    }
    desk->asked = msg->type;
    if (msg->type == PERF_REMOTE_PREPARE)
        memcpy(&desk->wanted, msg->data, sizeof(desk->wanted));
    /* release, pairs with the acquire in step: wanted is written. */
    atomic_store_explicit(&desk->request, msg->type, memory_order_release);
}

static struct desk *desk_of(struct proa_actor *self)
{
    return *(struct desk **)proa_state(self);
}

static void on_request(struct proa_actor *self, const struct proa_msg *msg)
{
    hand_over(self, desk_of(self), msg);
}

static void on_refs(struct proa_actor *self, const struct proa_msg *msg)
{
    struct desk *desk = desk_of(self);
    const struct perf_remote_page *page = msg->data;
    const struct perf_group *group;
    uint32_t left;

    if (!claim(desk)) {
        refuse(self, msg, "the server is busy with another request");
        return;
    }
    if (page->group >= desk->groups.count ||
        page->first >= desk->groups.group[page->group].options.receivers) {
        refuse(self, msg, "there are no such references");
    } else {
        group = &desk->groups.group[page->group];
        left = group->options.receivers - page->first;
        left = left < PERF_REMOTE_PAGE ? left : PERF_REMOTE_PAGE;
        proa_reply(self, msg, &group->refs[page->first], left * sizeof(group->refs[0]));
    }
    let_go(desk);
}

/* A session lives as long as its client: one that cannot be watched counts as gone. */
static void watch_client(struct proa_actor *self, struct desk *desk)
{
    proa_demonitor(self, desk->watch);
    desk->watched = desk->session;
    if (proa_monitor(self, desk->wanted.visitor, &desk->watch) != PROA_OK)
        atomic_store_explicit(&desk->gone, desk->watched, memory_order_relaxed);
}

static void on_ready(struct proa_actor *self, const struct proa_msg *msg)
{
    struct desk *desk = desk_of(self);
    bool whole = desk->asked == PERF_REMOTE_RESULT;

    (void)msg;
    (void)proa_reply_token(self, desk->token, &desk->result,
                           whole ? sizeof(desk->result) : sizeof(desk->result.answer));
    if (!whole && desk->result.answer.ok != 0)
        watch_client(self, desk);
    let_go(desk);
}

/* relaxed: only the number counts. */
static void on_signal(struct proa_actor *self, const struct proa_signal *signal)
{
    struct desk *desk = desk_of(self);

    if (signal->kind == PROA_SIGNAL_DOWN &&
        signal->monitor.serial == desk->watch.serial &&
        signal->monitor.index == desk->watch.index)
        atomic_store_explicit(&desk->gone, desk->watched, memory_order_relaxed);
}

static int desk_start(struct proa_actor *self, const void *arg, size_t arg_len)
{
    if (arg_len != sizeof(struct desk *))
        return -1;
    memcpy(proa_state(self), arg, arg_len);
    return 0;
}

static const struct proa_on desk_on[] = {
    {PERF_REMOTE_PREPARE, sizeof(struct perf_remote_wanted), on_request},
    {PERF_REMOTE_RESULT, 0, on_request},
    {PERF_REMOTE_REFS, sizeof(struct perf_remote_page), on_refs},
    {PERF_REMOTE_READY, 0, on_ready},
};

static const struct proa_behaviour desk_behaviour = {
    .type_name = "perf_desk",
    .state_size = sizeof(struct desk *),
    .on = desk_on,
    .on_count = sizeof(desk_on) / sizeof(desk_on[0]),
    .start = desk_start,
    .signal = on_signal,
};

/* ---- Sessions, on the server's thread ---- */

static bool refused(struct desk *desk, const char *why)
{
    desk->result.answer.ok = 0;
    snprintf(desk->result.answer.why, sizeof(desk->result.answer.why), "%s", why);
    return false;
}

/* What a client says is believed no more than a stranger's bytes. */
static bool acceptable(struct desk *desk)
{
    const struct perf_remote_wanted *w = &desk->wanted;
    bool bulk = w->bulk == 0 || (w->bulk % 8 == 0 && w->bulk >= PERF_BULK_LEAST &&
                                 w->bulk <= PERF_SIZE_MAX);

    if (w->version != PERF_REMOTE_VERSION ||
        w->result_len != sizeof(struct perf_remote_result))
        return refused(desk, "server and client are of different versions: run the same "
                             "proa-perf on both machines");
    if (w->receivers == 0 || w->receivers > desk->receivers_max)
        return refused(desk, "more receivers than the server has room for: start it with "
                             "--receivers N");
    if ((w->mode != PERF_MODE_TELL && w->mode != PERF_MODE_ASK) || !bulk ||
        w->size % 8 != 0 || w->size < PERF_SIZE_MIN || w->size > PERF_SIZE_MAX ||
        w->seconds == 0 || w->seconds > 3600 || w->warmup_ms > 60000)
        return refused(desk, "options out of range");
    return true;
}

static bool stop_one(struct perf_node *node, struct proa_ref ref, proa_ns until)
{
    const struct timespec pause = {0, 1000 * 1000};

    while (proa_client_stop_actor(node->client, ref) == PROA_AGAIN) {
        if (perf_clock_ns() > until)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

/* acquire, pairs with the release of who counts himself. */
static bool await_count(const _Atomic uint32_t *count, uint32_t wanted, proa_ns until)
{
    const struct timespec pause = {0, 1000 * 1000};

    while (atomic_load_explicit(count, memory_order_acquire) < wanted) {
        if (perf_clock_ns() > until)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

/* Stops all actors of a group and waits until none is left that would write to its sink: the maker
   first, since until then there may be more.  False: the sink must stay. */
static bool stop_group(struct perf_node *node, const struct perf_group *group)
{
    proa_ns until = perf_clock_ns() + STOP_IN;
    uint32_t made;

    if (proa_ref_is_none(group->maker))
        return true;
    if (!stop_one(node, group->maker, until) ||
        !await_count(&group->sink->makers_ended, 1, until))
        return false;
    made = atomic_load(&group->sink->made);
    for (uint32_t i = 0; i < made; i++) {
        if (!stop_one(node, group->refs[i], until))
            return false;
    }
    return await_count(&group->sink->ended, made, until);
}

static void end_session(struct desk *desk, struct perf_node *node)
{
    bool all = true;

    for (uint32_t i = 0; i < desk->groups.count; i++)
        all = stop_group(node, &desk->groups.group[i]) && all;
    if (all)
        perf_groups_fini(&desk->groups);
    else
        desk->groups.count = 0; /* actors still use it */
    desk->until = 0;
}

static void prepare(struct desk *desk, struct perf_node *node,
                    const struct perf_options *server)
{
    const struct perf_remote_wanted *w = &desk->wanted;
    struct perf_options o = *server;
    proa_ns now = perf_clock_ns();
    char err[sizeof(desk->result.answer.why)];

    if (desk->until > now) {
        refused(desk, "another client measures");
        return;
    }
    if (!acceptable(desk))
        return;
    end_session(desk, node);
    o.mode = (enum perf_mode)w->mode;
    o.size = w->size;
    o.receivers = w->receivers;
    o.bulk = w->bulk;
    o.mailbox = w->mailbox != 0;
    perf_groups_plan(&desk->groups, &o);
    desk->session++;
    desk->until = now + w->warmup_ms * PROA_MS + w->seconds * PROA_S + PERF_REMOTE_SPARE;
    desk->result.answer.ok = perf_groups_receive(&desk->groups, node, err, sizeof(err));
    if (!desk->result.answer.ok) {
        refused(desk, err);
        end_session(desk, node);
        return;
    }
    if (!server->quiet)
        fprintf(stderr, "proa-perf: a client: %s, %u bytes, %u receivers\n",
                perf_mode_name(o.mode), o.size, o.receivers);
}

static void give_result(struct desk *desk, const struct perf_node *node)
{
    desk->result.answer.ok = 1;
    desk->result.done = perf_groups_received_all(&desk->groups);
    for (uint32_t i = 0; i < desk->groups.count; i++)
        perf_group_received(&desk->groups.group[i], node, &desk->result.received[i]);
    if (desk->groups.count == 0)
        refused(desk, "there is no session");
    if (desk->result.done)
        desk->until = 0; /* the next one may come */
}

/* The client of this session is no more: the next one may come. */
static void end_abandoned(struct desk *desk, struct perf_node *node)
{
    if (desk->groups.count == 0 || atomic_load(&desk->gone) != desk->session ||
        !claim(desk))
        return;
    end_session(desk, node);
    let_go(desk);
}

static void step(struct desk *desk, struct perf_node *node, struct proa_ref ref,
                 const struct perf_options *server)
{
    /* acquire, pairs with the release in hand_over. */
    uint32_t request = atomic_load_explicit(&desk->request, memory_order_acquire);

    if (request == 0 || request == CLAIMED) {
        end_abandoned(desk, node);
        return;
    }
    memset(&desk->result, 0, sizeof(desk->result));
    if (request == PERF_REMOTE_PREPARE)
        prepare(desk, node, server);
    else
        give_result(desk, node);
    /* release, pairs with claims: until the desk has answered the request stays claimed. */
    atomic_store_explicit(&desk->request, CLAIMED, memory_order_release);
    while (proa_client_tell(node->client, ref, PERF_REMOTE_READY, NULL, 0) == PROA_AGAIN)
        ;
}

static bool open_desk(struct desk *desk, struct perf_node *node, struct proa_ref *ret)
{
    enum proa_outcome outcome =
        proa_client_spawn(node->client, 0, &desk_behaviour, &desk, sizeof(desk),
                          PERF_REMOTE_NAME, REGISTER_IN, ret);

    if (outcome != PROA_OK)
        fprintf(stderr,
                "proa-perf: registering \"" PERF_REMOTE_NAME "\": %s; is there another "
                "server in this cluster?\n",
                proa_outcome_name(outcome));
    return outcome == PROA_OK;
}

int perf_server(const struct perf_options *options, const char *dir)
{
    const struct sigaction stop = {.sa_handler = on_stop};
    const struct timespec pause = {0, (long)LOOK};
    struct perf_node_args args = {
        .options = options, .dir = dir, .lanes = 1, .core = (int)options->remote.core};
    struct desk *desk = calloc(1, sizeof(*desk));
    struct perf_node node = {0};
    char err[320] = "no memory", address[PROA_TEXT_MAX];
    struct proa_ref ref;
    bool ok;

    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    memcpy(args.cluster_key, options->remote.key, sizeof(args.cluster_key));
    ok = desk != NULL && perf_node_start(&node, &args, err, sizeof(err));
    if (!ok)
        fprintf(stderr, "proa-perf: the server: %s\n", err);
    if (ok) {
        desk->receivers_max = options->receivers;
        ok = open_desk(desk, &node, &ref);
    }
    if (ok) {
        proa_node_address(node.node, address, sizeof(address));
        printf("ready %s\n", address);
        fflush(stdout);
    }
    while (ok && !stopped) {
        step(desk, &node, ref, options);
        nanosleep(&pause, NULL);
    }
    perf_node_stop(&node);
    if (desk != NULL)
        perf_groups_fini(&desk->groups);
    free(desk);
    return ok ? 0 : 1;
}
