/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_internal.h"
#include "perf_wake.h"

/* ---- Planning ---- */

static void plan_bulk(struct perf_groups *groups, const struct perf_options *o)
{
    struct perf_group *group = &groups->group[groups->count++];

    *group = (struct perf_group){.options = *o};
    group->options.mode = PERF_MODE_TELL;
    group->options.size = o->bulk;
    group->options.rate = 0;
    group->options.receivers = 1;
    group->options.burst = 4; /* as many as a link sends at once */
    group->options.take = true;
}

void perf_groups_plan(struct perf_groups *groups, const struct perf_options *options)
{
    uint32_t lanes = options->lanes > 1 ? options->lanes : 1;

    *groups = (struct perf_groups){.count = 0};
    for (uint32_t lane = 0; lane < lanes; lane++) {
        struct perf_group *group = &groups->group[groups->count++];

        group->options = *options;
        group->send_lane = lane;
        group->receive_lane = perf_mode_is_cross(options->mode) ? 1 : lane;
    }
    if (options->bulk != 0)
        plan_bulk(groups, options);
}

void perf_groups_fini(struct perf_groups *groups)
{
    for (uint32_t i = 0; i < groups->count; i++) {
        struct perf_group *group = &groups->group[i];

        free(group->sink);
        free(group->refs);
        perf_load_destroy(group->load);
    }
    groups->count = 0;
}

/* ---- References ---- */

static size_t refs_len(const struct perf_group *group)
{
    return group->options.receivers * sizeof(*group->refs);
}

bool perf_groups_refs(struct perf_groups *groups, char *err, size_t err_len)
{
    for (uint32_t i = 0; i < groups->count; i++) {
        struct perf_group *group = &groups->group[i];

        group->refs = calloc(1, refs_len(group));
        if (group->refs == NULL) {
            snprintf(err, err_len, "no memory for %u references",
                     group->options.receivers);
            return false;
        }
    }
    return true;
}

bool perf_groups_write_refs(const struct perf_groups *groups,
                            const struct perf_pipe *pipe)
{
    bool ok = true;

    for (uint32_t i = 0; i < groups->count && ok; i++) {
        const struct perf_group *group = &groups->group[i];

        ok = perf_pipe_write(pipe, group->refs, refs_len(group));
    }
    return ok;
}

bool perf_groups_read_refs(struct perf_groups *groups, const struct perf_pipe *pipe,
                           proa_ns patience)
{
    bool ok = true;

    for (uint32_t i = 0; i < groups->count && ok; i++) {
        struct perf_group *group = &groups->group[i];

        ok = perf_pipe_read(pipe, group->refs, refs_len(group), patience);
    }
    return ok;
}

/* ---- Receiving ---- */

static bool make_receivers(const struct perf_group *group, struct perf_node *node,
                           struct proa_ref maker, char *err, size_t err_len)
{
    uint32_t count = group->options.receivers;

    for (uint32_t done = 0; done < count;) {
        uint32_t left = count - done, answer = PROA_OK;
        struct perf_make make = {done, left < PERF_MAKE_MAX ? left : PERF_MAKE_MAX};
        enum proa_outcome outcome =
            proa_client_ask(node->client, maker, PERF_TYPE_MAKE, &make, sizeof(make),
                            PERF_SPAWN_FOR, &answer, sizeof(answer), NULL);

        if (outcome == PROA_OK)
            outcome = (enum proa_outcome)answer;
        if (outcome != PROA_OK) {
            snprintf(err, err_len, "making receivers %u and on: %s", done,
                     proa_outcome_name(outcome));
            return false;
        }
        done += make.count;
    }
    return true;
}

static bool receive(struct perf_group *group, struct perf_node *node, char *err,
                    size_t err_len)
{
    const struct perf_options *o = &group->options;

    group->sink = perf_sink_create(o->size, o->receivers);
    if (group->sink == NULL) {
        snprintf(err, err_len, "no memory for %u receivers", o->receivers);
        return false;
    }
    group->sink->mailbox = o->mailbox;

    struct perf_maker_arg arg = {.sink = group->sink, .refs = group->refs};

    return perf_node_spawn(node, group->receive_lane, &perf_maker, &arg, sizeof(arg),
                           &group->maker, err, err_len) &&
           make_receivers(group, node, group->maker, err, err_len);
}

bool perf_groups_receive(struct perf_groups *groups, struct perf_node *node, char *err,
                         size_t err_len)
{
    bool ok = perf_groups_refs(groups, err, err_len);

    for (uint32_t i = 0; i < groups->count && ok; i++)
        ok = receive(&groups->group[i], node, err, err_len);
    return ok;
}

bool perf_groups_received_all(const struct perf_groups *groups)
{
    for (uint32_t i = 0; i < groups->count; i++) {
        if (!perf_sink_done(groups->group[i].sink))
            return false;
    }
    return true;
}

void perf_group_received(const struct perf_group *group, const struct perf_node *node,
                         struct perf_received *ret)
{
    const struct perf_sink *sink = group->sink;
    uint32_t done = atomic_load_explicit(&sink->done, memory_order_acquire);

    memset(ret, 0, sizeof(*ret));
    ret->unfinished = sink->receivers - done;
    ret->messages = sink->received;
    ret->sum = sink->sum;
    ret->gaps = sink->gaps;
    ret->repeats = sink->repeats;
    ret->wrong = sink->wrong;
    ret->misdelivered = sink->misdelivered;
    ret->unequal = sink->unequal;
    ret->mallocs = sink->mallocs;
    if (sink->last_at > sink->marked_at && sink->received > sink->sent_at_mark) {
        ret->measured = sink->received - sink->sent_at_mark;
        ret->span = sink->last_at - sink->marked_at;
    }
    if (node != NULL)
        perf_node_stats(node, group->receive_lane, &ret->stats);
}

/* ---- Sending ---- */

bool perf_groups_send(struct perf_groups *groups, struct perf_node *node,
                      double ns_per_tick, char *err, size_t err_len)
{
    for (uint32_t i = 0; i < groups->count; i++) {
        struct perf_group *group = &groups->group[i];
        const struct node_lane *lane = &node->node->lanes[group->send_lane];
        struct perf_load *load =
            perf_load_create(&group->options, group->refs, ns_per_tick);
        struct proa_ref ref;

        group->load = load;
        if (load == NULL) {
            snprintf(err, err_len, "no memory for the load");
            return false;
        }
        load->inbox = lane->inbox;
        load->client = proa_client_ref(node->client);
        load->lane = group->options.flush_each ? lane->lane : NULL;
        /* What is beside the first works as long as that does. */
        if (group->options.mode != groups->group[0].options.mode)
            load->until = groups->group[0].load;
        bool idle = group->options.mode == PERF_MODE_IDLE;
        if (!perf_node_spawn(node, group->send_lane, idle ? &perf_waker : &perf_loader,
                             &load, sizeof(load), &ref, err, err_len))
            return false;
    }
    if (!groups->group[0].options.quiet)
        fprintf(stderr, "proa-perf: the nodes have met; warming up, then %u s\n",
                groups->group[0].options.seconds);
    return true;
}

bool perf_groups_sent_all(const struct perf_groups *groups, char *err, size_t err_len)
{
    bool all = true;

    for (uint32_t i = 0; i < groups->count; i++) {
        const struct perf_load *load = groups->group[i].load;
        enum perf_load_state state = perf_load_state(load);

        if (state == PERF_LOAD_FAILED) {
            snprintf(err, err_len, "%s", load->why);
            return true;
        }
        all = all && state == PERF_LOAD_DONE;
    }
    return all;
}

/* Read while the loads may run: for a last word on one that stands still. */
void perf_groups_say_where(const struct perf_groups *groups, char *buf, size_t len)
{
    const struct perf_load *load = groups->group[0].load;

    snprintf(buf, len, "it stands still: %llu messages accepted, phase %d, %s",
             (unsigned long long)load->sent, (int)load->phase,
             load->waiting ? "waiting for WRITABLE" : "not waiting");
}

void perf_group_sent(const struct perf_group *group, const struct perf_node *node,
                     struct perf_sent *ret)
{
    struct perf_load *load = group->load;

    memset(ret, 0, sizeof(*ret));
    if (perf_load_state(load) == PERF_LOAD_DONE)
        perf_load_count_unsent(load);
    ret->messages = load->sent;
    ret->measured = load->sent - load->sent_at_mark;
    for (uint32_t i = 0; i < load->options.receivers; i++)
        ret->sum += load->sums[i];
    ret->answered = load->answered;
    ret->unsent = load->unsent;
    ret->span = load->ended_at > load->marked_at ? load->ended_at - load->marked_at : 0;
    if (load->options.rate != 0) /* by the schedule's own clock */
        ret->span =
            (proa_ns)((double)(load->end_ticks - load->mark_ticks) * load->ns_per_tick);
    ret->again = load->again;
    ret->full = load->full;
    ret->mallocs = load->mallocs;
    perf_latency_sum_up(load->rtt, &ret->trips);
    perf_node_stats(node, group->send_lane, &ret->stats);
}

/* ---- Both ---- */

bool perf_group_checked(const struct perf_sent *sent,
                        const struct perf_received *received)
{
    const struct perf_received *r = received;

    return r->unfinished == 0 && r->gaps == 0 && r->repeats == 0 && r->wrong == 0 &&
           r->misdelivered == 0 && r->unequal == 0 && r->messages > 0 &&
           r->messages == sent->messages && r->sum == sent->sum;
}

double perf_group_rate(const struct perf_options *options, const struct perf_sent *sent,
                       const struct perf_received *received)
{
    bool answered = perf_mode_answers(options->mode);
    uint64_t messages = answered ? sent->answered : received->measured;
    proa_ns span = answered ? sent->span : received->span;

    if (perf_mode_is_pingpong(options->mode))
        messages *= 2;
    return span == 0 ? 0 : (double)messages * 1e9 / (double)span;
}
