/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "perf_json.h"

static void cpu_model(char *buf, size_t len)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[256];

    snprintf(buf, len, "unknown");
    if (file == NULL)
        return;
    while (fgets(line, sizeof(line), file) != NULL) {
        char *colon = strstr(line, ": ");

        if (strncmp(line, "model name", 10) != 0 || colon == NULL)
            continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(buf, len, "%s", colon + 2);
        break;
    }
    fclose(file);
}

static void put_machine(struct perf_json *json)
{
    struct utsname kernel = {0};
    char cpu[256];

    cpu_model(cpu, sizeof(cpu));
    uname(&kernel);
    perf_json_open(json, "versions");
    perf_json_str(json, "proa", PERF_PROA_VERSION);
    perf_json_str(json, "dpdk", PERF_DPDK_VERSION);
    perf_json_str(json, "kernel", kernel.release);
    perf_json_str(json, "compiler", __VERSION__);
    perf_json_close(json);
    perf_json_str(json, "cpu", cpu);
    perf_json_u64(json, "cores", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
}

static void put_options(struct perf_json *json, const struct perf_options *o)
{
    perf_json_str(json, "mode", perf_mode_name(o->mode));
    if (o->role != PERF_ROLE_BOTH) {
        perf_json_str(json, "port", o->remote.port);
        perf_json_str(json, "server", o->remote.to);
    } else if (!perf_mode_is_local(o->mode) || o->flood != PERF_FLOOD_NONE) {
        perf_json_str(json, "port", perf_port_name(o->port));
    }
    if (o->role == PERF_ROLE_BOTH && o->port == PERF_PORT_ETHDEV)
        perf_json_str(json, "device", o->devargs);
    perf_json_u64(json, "size", o->size);
    if (o->mode == PERF_MODE_ASK || o->mode == PERF_MODE_RAW)
        perf_json_u64(json, "window", o->window);
    if (o->mode != PERF_MODE_RAW) {
        perf_json_u64(json, "receivers", o->receivers);
        perf_json_u64(json, "burst", o->burst);
        perf_json_bool(json, "in_place", !o->mailbox);
    }
    if (o->mode == PERF_MODE_TELL) {
        perf_json_str(json, "flush", o->flush_each ? "each" : "loop");
        perf_json_bool(json, "take", o->take);
        perf_json_u64(json, "crowd", o->crowd);
    }
    if (perf_mode_is_local(o->mode))
        perf_json_u64(json, "lanes", perf_mode_is_cross(o->mode) ? 2 : o->lanes);
    if (o->role == PERF_ROLE_BOTH && o->port == PERF_PORT_VHOST)
        perf_json_str(json, "sender", o->reverse ? "vhost" : "virtio-user");
    perf_json_str(json, "loop", o->rate != 0 ? "open" : "closed");
    perf_json_str(json, "idle", o->idle == PROA_IDLE_SPIN ? "spin" : "adaptive");
    perf_json_bool(json, "defaults", o->defaults);
    perf_json_u64(json, "mtu", o->mtu);
    perf_json_u64(json, "loss_ppm", o->loss_ppm);
    perf_json_u64(json, "duplicate_ppm", o->duplicate_ppm);
    perf_json_u64(json, "reorder_ppm", o->reorder_ppm);
    perf_json_u64(json, "warmup_ms", o->warmup_ms);
}

static void put_trips(struct perf_json *json, const char *key, const struct perf_trips *t)
{
    perf_json_open(json, key);
    perf_json_u64(json, "timed", t->count);
    perf_json_u64(json, "min", t->least);
    perf_json_u64(json, "p50", t->p50);
    perf_json_u64(json, "p90", t->p90);
    perf_json_u64(json, "p99", t->p99);
    perf_json_u64(json, "p999", t->p999);
    perf_json_u64(json, "max", t->most);
    perf_json_close(json);
}

static void put_latency(struct perf_json *json, const char *key,
                        const struct perf_trips *t, bool distribution)
{
    perf_json_open(json, key);
    perf_json_u64(json, "count", t->count);
    perf_json_num(json, "mean", t->mean);
    perf_json_u64(json, "min", t->least);
    perf_json_u64(json, "p50", t->p50);
    perf_json_u64(json, "p90", t->p90);
    perf_json_u64(json, "p99", t->p99);
    perf_json_u64(json, "p99.9", t->p999);
    perf_json_u64(json, "p99.99", t->p9999);
    perf_json_u64(json, "max", t->most);
    if (distribution) {
        perf_json_pairs_open(json, "distribution");
        for (uint32_t i = 0; i < t->points; i++)
            perf_json_pair(json, t->point[i].value, t->point[i].count);
        perf_json_pairs_close(json);
    }
    perf_json_close(json);
}

/* Of all groups together; what the words of each add up to is told of the first. */
static void put_checked(struct perf_json *json, const struct perf_result *result)
{
    struct perf_received all = {0};
    uint64_t sent = 0;

    for (uint32_t i = 0; i < result->groups; i++) {
        const struct perf_received *r = &result->received[i];

        sent += result->sent[i].messages;
        all.messages += r->messages;
        all.gaps += r->gaps;
        all.repeats += r->repeats;
        all.misdelivered += r->misdelivered;
        all.wrong += r->wrong;
        all.unequal += r->unequal;
        all.unfinished += r->unfinished;
    }
    perf_json_open(json, "checked");
    perf_json_bool(json, "all", perf_result_checked(result));
    perf_json_u64(json, "sent", sent);
    perf_json_u64(json, "received", all.messages);
    perf_json_hex(json, "checksum_sent", result->sent[0].sum);
    perf_json_hex(json, "checksum_received", result->received[0].sum);
    perf_json_u64(json, "gaps", all.gaps);
    perf_json_u64(json, "repeats", all.repeats);
    perf_json_u64(json, "misdelivered", all.misdelivered);
    perf_json_u64(json, "wrong_payload", all.wrong);
    perf_json_u64(json, "receivers_unequal", all.unequal);
    perf_json_u64(json, "receivers_unfinished", all.unfinished);
    perf_json_close(json);
}

static void put_node(struct perf_json *json, const char *key,
                     const struct perf_node_stats *s, uint64_t mallocs, bool link)
{
    perf_json_open(json, key);
    perf_json_u64(json, "lane_mallocs", mallocs);
    perf_json_u64(json, "ran_in_place", s->in_place);
    perf_json_u64(json, "ran_from_mailbox", s->mailbox);
    perf_json_u64(json, "loop_gap_max_ns", s->loop_gap_max_ns);
    perf_json_num(json, "busy_loops_percent",
                  100.0 * (double)s->busy_loops / (double)(s->loops ? s->loops : 1));
    perf_json_num(json, "busy_time_percent",
                  100.0 * (double)s->busy_ns / (double)(s->busy_ns + s->idle_ns + 1));
    if (link) {
        perf_json_u64(json, "tx_packets", s->tx_packets);
        perf_json_u64(json, "tx_messages", s->tx_messages);
        perf_json_u64(json, "rx_packets", s->rx_packets);
        perf_json_u64(json, "acks_tx", s->acks_tx);
        perf_json_u64(json, "resends", s->resends);
        perf_json_u64(json, "spurious_resends", s->spurious);
        perf_json_u64(json, "rto", s->rto);
        perf_json_u64(json, "cwnd_packets", s->cwnd);
        perf_json_u64(json, "window_packets", s->window);
        perf_json_u64(json, "srtt_ns", s->srtt_ns);
        perf_json_u64(json, "min_rtt_ns", s->min_rtt_ns);
        perf_json_u64(json, "port_drops", s->port_drops);
    }
    perf_json_close(json);
}

static void put_open_loop(struct perf_json *json, const struct perf_options *o,
                          const struct perf_sent *sent, double rate)
{
    perf_json_u64(json, "offered_per_s", o->rate);
    perf_json_num(json, "achieved_per_s", rate);
    perf_json_u64(json, "unsent", sent->unsent);
}

/* The load of bulk messages beside the first group. */
static void put_bulk(struct perf_json *json, const struct perf_options *o,
                     const struct perf_result *result)
{
    const struct perf_received *r = &result->received[1];
    double rate = r->span == 0 ? 0 : (double)r->measured * 1e9 / (double)r->span;

    perf_json_open(json, "bulk");
    perf_json_u64(json, "size", o->bulk);
    perf_json_u64(json, "messages", r->measured);
    perf_json_num(json, "messages_per_s", rate);
    perf_json_num(json, "payload_mbit_per_s", rate * o->bulk * 8 / 1e6);
    perf_json_close(json);
}

static double percent(proa_ns part, proa_ns whole)
{
    return whole == 0 ? NAN : 100.0 * (double)part / (double)whole;
}

static void put_quiet(struct perf_json *json, const char *key,
                      const struct perf_quiet *quiet)
{
    perf_json_open(json, key);
    perf_json_num(json, "seconds", (double)quiet->span / 1e9);
    perf_json_num(json, "lane_percent_of_core", percent(quiet->lane, quiet->span));
    perf_json_num(json, "process_percent_of_core", percent(quiet->process, quiet->span));
    perf_json_num(json, "wakeups_per_s",
                  (double)quiet->wakeups * 1e9 / (double)quiet->span);
    perf_json_close(json);
}

static void put_rates(struct perf_json *json, const struct perf_options *o,
                      const struct perf_result *result)
{
    const struct perf_sent *sent = &result->sent[0];
    const struct perf_received *received = &result->received[0];
    bool asks = o->mode == PERF_MODE_ASK, answers = perf_mode_answers(o->mode);
    double rate = perf_result_rate(o, result);

    perf_json_num(json, "seconds", (double)(answers ? sent->span : received->span) / 1e9);
    perf_json_u64(json, "messages", answers ? sent->answered : received->measured);
    perf_json_num(json, asks ? "replies_per_s" : "messages_per_s", rate);
    perf_json_num(json, "payload_mbit_per_s", rate * o->size * 8 / 1e6);
    if (o->rate != 0)
        put_open_loop(json, o, sent, rate);
    if (answers)
        put_trips(json, "rtt_ns", &sent->trips);
}

static void put_pages(struct perf_json *json, const struct perf_result *result)
{
    bool huge = result->sent[0].stats.huge && result->received[0].stats.huge;

    perf_json_str(json, "pages", huge ? "huge" : "ordinary");
}

static void put_result(struct perf_json *json, const struct perf_options *o,
                       const struct perf_result *result)
{
    const struct perf_sent *sent = &result->sent[0];
    const struct perf_received *received = &result->received[0];
    bool link = !perf_mode_is_local(o->mode), idle = o->mode == PERF_MODE_IDLE;

    put_pages(json, result);
    if (!idle)
        put_rates(json, o, result);
    if (idle || perf_mode_answers(o->mode))
        put_latency(json, "latency_ns", &sent->trips, true);
    if (idle) {
        put_latency(json, "first_message_ns", &result->first, true);
        put_quiet(json, "idle", &result->received_quiet);
        put_quiet(json, "sender_idle", &result->sent_quiet);
    }
    if (o->bulk != 0)
        put_bulk(json, o, result);
    put_checked(json, result);
    perf_json_open(json, "refused_at_once");
    perf_json_u64(json, "again", sent->again);
    perf_json_u64(json, "full", sent->full);
    perf_json_close(json);
    put_node(json, "sending_lane", &sent->stats, sent->mallocs, link);
    put_node(json, "receiving_lane", &received->stats, received->mallocs, link);
}

static void put_flood(struct perf_json *json, const char *key,
                      const struct perf_raw_flood *flood)
{
    if (flood->size == 0)
        return;
    perf_json_open(json, key);
    perf_json_u64(json, "frame_bytes", flood->size);
    perf_json_num(json, "packets_per_s", flood->packets_per_s);
    if (flood->how[0] != '\0')
        perf_json_str(json, "how", flood->how);
    if (flood->other > 0)
        perf_json_num(json, "otherwise", flood->other);
    perf_json_close(json);
}

/* The loop that also copies what it got. */
static void put_copy(struct perf_json *json, const struct perf_raw_flood *flood)
{
    if (flood->size == 0)
        return;
    perf_json_open(json, "copy");
    perf_json_u64(json, "frame_bytes", flood->size);
    perf_json_num(json, "packets_per_s", flood->packets_per_s);
    perf_json_num(json, "payload_mbit_per_s", perf_raw_copied(flood) * 8 / 1e6);
    perf_json_close(json);
}

static void put_raw(struct perf_json *json, const struct perf_raw *raw)
{
    perf_json_open(json, "raw");
    perf_json_str(json, "pages", raw->huge ? "huge" : "ordinary");
    put_flood(json, "packets", &raw->full);
    put_flood(json, "one_message_packets", &raw->one);
    put_copy(json, &raw->copy);
    if (raw->trip_size != 0) {
        perf_json_u64(json, "rtt_frame_bytes", raw->trip_size);
        put_trips(json, "rtt_ns", &raw->trips);
        if (raw->trip_how[0] != '\0')
            perf_json_str(json, "rtt_how", raw->trip_how);
        if (raw->trip_other > 0)
            perf_json_u64(json, "rtt_p50_otherwise", raw->trip_other);
    }
    if (raw->touched.count != 0)
        put_trips(json, "rtt_touched_ns", &raw->touched);
    perf_json_close(json);
}

static void put_bare(struct perf_json *json, const struct perf_bare *bare)
{
    perf_json_open(json, "bare");
    perf_json_num(json, "spsc_words_per_s", bare->words_per_s);
    perf_json_u64(json, "spsc_word_rtt_ns", bare->word_trip);
    perf_json_num(json, "pair_ring_items_per_s", bare->items_per_s);
    perf_json_u64(json, "pair_ring_item_rtt_ns", bare->item_trip);
    perf_json_close(json);
}

/* NAN: the lane did not come to telling. */
static double packets_per_message(const struct perf_node_stats *s)
{
    return s->tx_messages == 0 ? NAN : (double)s->tx_packets / (double)s->tx_messages;
}

static void put_ratios(struct perf_json *json, const struct perf_options *o,
                       const struct perf_result *result, const struct perf_limits *limits)
{
    double rate = perf_result_rate(o, result);
    const struct perf_trips *t = &result->sent[0].trips, *raw = &limits->raw.trips;

    perf_json_open(json, "ratio");
    if (limits->has_raw && limits->raw.full.size != 0)
        perf_json_num(json, "messages_to_raw_packets",
                      rate / limits->raw.full.packets_per_s);
    if (limits->has_raw && limits->raw.one.size != 0)
        perf_json_num(json, "packets_to_raw_packets",
                      rate * packets_per_message(&result->sent[0].stats) /
                          limits->raw.one.packets_per_s);
    if (limits->has_raw && limits->raw.copy.size != 0)
        perf_json_num(json, "payload_to_raw_copy",
                      rate * o->size / perf_raw_copied(&limits->raw.copy));
    if (limits->has_raw && limits->raw.trip_size != 0 && t->count > 0) {
        perf_json_num(json, "rtt_p50_to_raw", (double)t->p50 / (double)raw->p50);
        perf_json_num(json, "rtt_p99_to_raw", (double)t->p99 / (double)raw->p99);
    }
    if (limits->has_raw && limits->raw.touched.count != 0 && t->count > 0) {
        perf_json_num(json, "rtt_p50_to_raw_touched",
                      (double)t->p50 / (double)limits->raw.touched.p50);
        perf_json_num(json, "rtt_p99_to_raw_touched",
                      (double)t->p99 / (double)limits->raw.touched.p99);
    }
    if (limits->has_bare && o->mode == PERF_MODE_CROSS_PINGPONG)
        perf_json_num(json, "rtt_p50_to_bare",
                      (double)t->p50 / (double)limits->bare.word_trip);
    if (limits->has_bare && o->mode == PERF_MODE_CROSS_COUNT)
        perf_json_num(json, "messages_to_bare_items", rate / limits->bare.items_per_s);
    perf_json_close(json);
}

static void put_phase(struct perf_json *json, enum perf_flood_phase which,
                      const struct perf_watch_phase *phase)
{
    const struct perf_node_counts *c = &phase->counts;
    double s = (double)phase->span / 1e9, cpu = (double)phase->cpu / 1e9;

    perf_json_open(json, perf_flood_phase_name(which));
    perf_json_num(json, "seconds", s);
    perf_json_num(json, "messages_per_s", (double)c->messages / s);
    perf_json_num(json, "messages_per_lane_s", (double)c->messages / cpu);
    perf_json_num(json, "flood_per_s", (double)phase->sent / s);
    if (which == PERF_FLOOD_OURS) {
        perf_json_num(json, "reached_lane_per_s", (double)perf_watch_foreign(c) / s);
        perf_json_u64(json, "unknown_link", c->unknown_link);
        perf_json_u64(json, "wrong_source", c->wrong_source);
        perf_json_u64(json, "short", c->short_packets);
        perf_json_u64(json, "to_control", c->punted);
        perf_json_u64(json, "control_full", c->punt_full);
        perf_json_u64(json, "port_drops", c->port_drops);
    }
    perf_json_close(json);
}

/* Of the lane's own time, by messages it ran in a second of that. */
static double per_lane_s(const struct perf_watch_phase *phase)
{
    return phase->cpu == 0 ? 0 : (double)phase->counts.messages / (double)phase->cpu;
}

static void put_flooded(struct perf_json *json, const struct perf_options *o,
                        const struct perf_watched *w)
{
    const struct perf_watch_phase *others = &w->phases[PERF_FLOOD_OTHERS];
    const struct perf_watch_phase *ours = &w->phases[PERF_FLOOD_OURS];
    double left = per_lane_s(ours) / per_lane_s(others);
    double foreign = (double)perf_watch_foreign(&ours->counts) / (double)ours->cpu;

    perf_json_open(json, "flood");
    perf_json_str(json, "of", perf_flood_kind_name(o->flood));
    perf_json_u64(json, "wanted_per_s", o->flood_rate);
    perf_json_u64(json, "rounds", w->rounds);
    for (int i = 0; i < PERF_FLOOD_PHASES; i++)
        put_phase(json, (enum perf_flood_phase)i, &w->phases[i]);
    perf_json_num(json, "elsewhere_to_quiet",
                  per_lane_s(others) / per_lane_s(&w->phases[PERF_FLOOD_QUIET]));
    perf_json_num(json, "ours_to_elsewhere", left);
    perf_json_num(json, "lane_ns_per_packet", (1 - left) / foreign);
    perf_json_num(json, "percent_at_1M_per_s", 100 * (1 - left) / foreign / 1000);
    perf_json_str(json, "port_says", w->port);
    perf_json_close(json);
}

/* What --versus compares with: the base's median run, and the medians of the rounds' ratios. */
static void put_versus(struct perf_json *json, const struct perf_versus *versus)
{
    const struct perf_options *o = versus->base_options;
    const struct perf_result *base = versus->base;
    const struct perf_trips *t = &base->sent[0].trips;
    bool asks = o->mode == PERF_MODE_ASK;

    perf_json_u64(json, "rounds", versus->rounds);
    perf_json_open(json, "base");
    put_options(json, o);
    put_pages(json, base);
    perf_json_num(json, asks ? "replies_per_s" : "messages_per_s",
                  perf_result_rate(o, base));
    if (t->count > 0)
        put_latency(json, "latency_ns", t, false);
    put_checked(json, base);
    perf_json_close(json);
    perf_json_open(json, "ratio_to_base");
    perf_json_num(json, "throughput", versus->throughput);
    if (t->count > 0) {
        perf_json_num(json, "p50", versus->p50);
        perf_json_num(json, "p99", versus->p99);
        perf_json_num(json, "p99.9", versus->p999);
    }
    perf_json_close(json);
}

void perf_report(const struct perf_options *options, const struct perf_result *result,
                 const struct perf_limits *limits, const struct perf_versus *versus)
{
    struct perf_json json;

    perf_json_init(&json, stdout);
    perf_json_open(&json, NULL);
    put_options(&json, options);
    if (result != NULL)
        put_result(&json, options, result);
    if (versus != NULL)
        put_versus(&json, versus);
    if (result != NULL && options->flood != PERF_FLOOD_NONE)
        put_flooded(&json, options, &result->watched);
    if (limits->has_raw)
        put_raw(&json, &limits->raw);
    if (limits->has_bare)
        put_bare(&json, &limits->bare);
    if (result != NULL && (limits->has_raw || limits->has_bare))
        put_ratios(&json, options, result, limits);
    put_machine(&json);
    perf_json_close(&json);
    fflush(stdout);
}
