/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry_rows.h"

#include "core.h"
#include "directory_group.h"
#include "lane.h"
#include "link.h"
#include "scheduler.h"

#define LANE(field)                                                                      \
    {                                                                                    \
#field, offsetof(struct lane_stats, field), false                                \
    }
#define SCHED(field)                                                                     \
    {                                                                                    \
#field, offsetof(struct sched_stats, field), false                               \
    }
#define LINK(field)                                                                      \
    {                                                                                    \
#field, offsetof(struct link_stats, field), false                                \
    }
#define CORE(field)                                                                      \
    {                                                                                    \
#field, offsetof(struct core_stats, field), false                                \
    }
#define KAD(field)                                                                       \
    {                                                                                    \
#field, offsetof(struct kad_stats, field), false                                 \
    }
#define DIRECTORY(field)                                                                 \
    {                                                                                    \
#field, offsetof(struct directory_stats, field), false                           \
    }
#define GROUP(field)                                                                     \
    {                                                                                    \
#field, offsetof(struct directory_group_stats, field), false                     \
    }
#define MESH(field)                                                                      \
    {                                                                                    \
#field, offsetof(struct mesh_stats, field), false                                \
    }
#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct telemetry_row lane_rows[] = {
    LANE(loops),
    LANE(busy_loops),
    LANE(sleeps),
    LANE(busy_ns),
    LANE(idle_ns),
    {"gap_max_ns", offsetof(struct lane_stats, gap_max_ns), true},
    {"recent_gap_ns", offsetof(struct lane_stats, recent_gap_ns), true},
    LANE(rx),
    LANE(tx),
    LANE(punted),
    LANE(links),
    LANE(links_opened),
    LANE(links_dead),
    LANE(links_reset),
    LANE(misdirected),
    LANE(pending),
    LANE(registry_rx),
    LANE(registry_tx),
};

static const struct telemetry_row lane_drop_rows[] = {
    LANE(tx_short),         LANE(tx_full),          LANE(punt_full),
    LANE(unknown_link),     LANE(wrong_source),     LANE(misdirected_full),
    LANE(short_packets),    LANE(no_route),         LANE(pending_full),
    LANE(lost_sent),        LANE(lost_unsent),      LANE(sysmsg_bad),
    LANE(refusals_dropped), LANE(replies_dropped),  LANE(forwards_dropped),
    LANE(downs_dropped),    LANE(registry_dropped),
};

static const struct telemetry_row sched_rows[] = {
    SCHED(actors),         SCHED(clients),        SCHED(asks_waiting),
    SCHED(tokens_held),    SCHED(timers_running), SCHED(slab_used),
    SCHED(bulk_used),      SCHED(refs_blocked),   SCHED(slots_retired),
    SCHED(spawned),        SCHED(stopped),        SCHED(spawn_failed),
    SCHED(delivered),      SCHED(in_place),       SCHED(mailbox),
    SCHED(cross_in),       SCHED(cross_out),      SCHED(inbox),
    SCHED(tells),          SCHED(asks),           SCHED(replies),
    SCHED(timers),         SCHED(answered),       SCHED(expired),
    SCHED(link_lost),      SCHED(abandoned),      SCHED(again),
    SCHED(undelivered),    SCHED(log_lines),      SCHED(forwarded),
    SCHED(forwards_heard), SCHED(jobs),           SCHED(jobs_accepted),
    SCHED(jobs_abandoned), SCHED(watches),        SCHED(changes_merged),
};

static const struct telemetry_row sched_drop_rows[] = {
    SCHED(undelivered_nobody), SCHED(refusals_merged), SCHED(late_replies),
    SCHED(replies_lost),       SCHED(tokens_expired),  SCHED(signals_dropped),
    SCHED(names_late),         SCHED(stops_stale),     SCHED(up_full),
    SCHED(malformed),          SCHED(client_dropped),  SCHED(dead_letters_untold),
    SCHED(events_lost),        SCHED(log_dropped),     SCHED(forwards_late),
    SCHED(changes_late),
};

static const struct telemetry_row link_rows[] = {
    LINK(tx_packets),
    LINK(tx_messages),
    LINK(rx_packets),
    LINK(rx_messages),
    LINK(acks_tx),
    LINK(acks_rx),
    LINK(resends),
    LINK(spurious),
    LINK(rto),
    LINK(probes),
    LINK(pings),
    LINK(rx_duplicate),
    LINK(rx_outside),
    LINK(rx_malformed),
    LINK(rx_held),
    LINK(rx_dropped_held),
    LINK(refusals),
    LINK(again),
    LINK(bulk_tx),
    LINK(bulk_rx),
    LINK(bulk_aborted),
    LINK(srtt_ns),
    LINK(rttvar_ns),
    LINK(min_rtt_ns),
    LINK(cwnd),
    LINK(inflight),
    LINK(window),
    LINK(forwards_dropped),
    LINK(refusals_merged),
};

static const struct telemetry_row core_rows[] = {
    CORE(datagrams), CORE(syn_tx),      CORE(syn_rx),  CORE(synack_rx),  CORE(open_rx),
    CORE(ping_tx),   CORE(ping_rx),     CORE(pong_rx), CORE(rst_tx),     CORE(rst_rx),
    CORE(close_rx),  CORE(opened),      CORE(failed),  CORE(dead_nodes), CORE(gone_nodes),
    CORE(names),     CORE(syn_crossed),
};

static const struct telemetry_row core_drop_rows[] = {
    CORE(unroutable),       CORE(keyed_bad_mac),     CORE(keyed_malformed),
    CORE(keyed_unexpected), CORE(admission_refused), CORE(down_full),
    CORE(names_refused),    CORE(log_unprinted),     CORE(publish_refused),
    CORE(mesh_stale),       CORE(mesh_unsent),       CORE(changes_merged),
    CORE(asks_refused),     CORE(watches_refused),
};

static const struct telemetry_row kad_rows[] = {
    KAD(rx),       KAD(tx),      KAD(queries),   KAD(answers), KAD(timeouts),
    KAD(lookups),  KAD(puts),    KAD(gets),      KAD(stored),  KAD(refused),
    KAD(notifies), KAD(watches), KAD(announces),
};

static const struct telemetry_row kad_drop_rows[] = {
    KAD(rx_dropped_mac), KAD(rx_dropped_old), KAD(rx_malformed),    KAD(rx_unexpected),
    KAD(rx_limited),     KAD(peers_replaced), KAD(peers_senseless),
};

static const struct telemetry_row directory_rows[] = {
    DIRECTORY(names),    DIRECTORY(absent),    DIRECTORY(nodes),      DIRECTORY(puts),
    DIRECTORY(removes),  DIRECTORY(full),      DIRECTORY(collisions), DIRECTORY(no_node),
    DIRECTORY(rehashes), DIRECTORY(reclaimed), DIRECTORY(pending),
};

static const struct telemetry_row directory_group_rows[] = {
    GROUP(groups), GROUP(members), GROUP(views), GROUP(copied), GROUP(pending),
};

static const struct telemetry_row directory_group_drop_rows[] = {
    GROUP(full),
    GROUP(no_node),
};

static const struct telemetry_row mesh_rows[] = {
    MESH(rx),     MESH(tx),      MESH(rx_bytes),   MESH(tx_bytes),
    MESH(deltas), MESH(digests), MESH(mismatches), MESH(pulls),
    MESH(ranges), MESH(resyncs), MESH(conflicts),
};

static const struct telemetry_row mesh_drop_rows[] = {
    MESH(malformed),
    MESH(unknown_node),
    MESH(refused),
    MESH(overflow),
};

#define TABLE(name)                                                                      \
    const struct telemetry_table telemetry_##name = {name##_rows, COUNT(name##_rows)}
TABLE(lane);
TABLE(lane_drop);
TABLE(sched);
TABLE(sched_drop);
TABLE(link);
TABLE(core);
TABLE(core_drop);
TABLE(kad);
TABLE(kad_drop);
TABLE(directory);
TABLE(directory_group);
TABLE(directory_group_drop);
TABLE(mesh);
TABLE(mesh_drop);
