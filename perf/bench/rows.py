# SPDX-License-Identifier: Apache-2.0
"""rows.py - what is measured, and what it is held against.  A new row is one line of ROWS.

RUNS says which commands there are: name, rounds, command.  {EXPRESSION} in a command is a figure
of an earlier run.  Rounds above 1 are made while time is left, one after the other through the whole
table (A B A B), so that what a figure is divided by was measured close to it; 0 means once, after
the plots' points.  proa-perf gets `--quiet --seconds N` besides.

ROWS says what a figure is: number, figure, unit, value, beside, must, aim.  value is an expression
over runs (values.py) and names by that the runs it needs; an empty one is not measured here, and
beside says why.  beside is a text with such expressions in braces.  must and aim are `>= 2.0`,
`<= 1.4` or None.  given is an expression and a wish: the row is missed where that is not reached.
"""
from collections import namedtuple

Run = namedtuple("Run", "name rounds command")
Row = namedtuple("Row", "number figure unit value beside must aim given", defaults=("",))
Sweep = namedtuple("Sweep", "name title command ports points quick known")

PORTS = {
    "vhost": "vhost",
    "udp": "udp",
    "ring": "ring",
    "af_xdp": "af_xdp",
    "ethdev": "ethdev:net_af_packet0,iface=perf0",
}

PEERS = ("zeromq", "nng", "nats", "erlang", "caf", "udp")

RUNS = [Run(*run) for run in (
    # Links, port by port, raw beside; what is held against a run stands close to it.
    ("tell_vhost", 3, "proa-perf --port vhost --mode tell --size 32 --with-raw"),
    ("mailbox", 3, "proa-perf --port vhost --mode tell --mailbox"),
    ("receivers_1k", 3, "proa-perf --port vhost --mode tell --receivers 1000"),
    ("receivers_100k", 3, "proa-perf --port vhost --mode tell --receivers 100000"),
    ("size_64", 3, "proa-perf --port vhost --mode tell --size 64"),
    ("ask_64", 2, "proa-perf --port vhost --mode ask --window 1 --size 64"),
    ("lossy1_vhost", 3, "proa-perf --port vhost --mode tell --loss 10000"),
    ("lossy5_vhost", 3, "proa-perf --port vhost --mode tell --loss 50000"),
    ("one_vhost", 3, "proa-perf --port vhost --mode tell --flush each --with-raw"),
    ("ask_vhost", 3, "proa-perf --port vhost --mode ask --window 1 --with-raw"),
    ("lossy_ask_vhost", 1, "proa-perf --port vhost --mode ask --window 1 --loss 10000"),
    ("asks_vhost", 3, "proa-perf --port vhost --mode ask --window 64 --with-raw"),
    ("demo", 2, "proa demo --seconds 3"),
    ("tell_udp", 3, "proa-perf --port udp --mode tell --mtu 1408 --with-raw"),
    ("size_64_udp", 2, "proa-perf --port udp --mode tell --mtu 1408 --size 64"),
    ("ask_64_udp", 2, "proa-perf --port udp --mode ask --window 1 --size 64"),
    ("hello_tell", 2, "proa-perf --port udp --mode tell --mtu 1408 --defaults"),
    ("lossy1_udp", 2, "proa-perf --port udp --mode tell --mtu 1408 --loss 10000"),
    ("lossy5_udp", 2, "proa-perf --port udp --mode tell --mtu 1408 --loss 50000"),
    ("ask_udp", 3, "proa-perf --port udp --mode ask --window 1 --with-raw"),
    ("hello_ask", 2, "proa-perf --port udp --mode ask --window 1 --rounds 1 --versus --defaults"),
    ("lossy_ask_udp", 1, "proa-perf --port udp --mode ask --window 1 --loss 10000"),
    ("asks_udp", 1, "proa-perf --port udp --mode ask --window 64"),
    ("tell_af_xdp", 2, "proa-perf --port af_xdp --mode tell --with-raw"),
    ("lossy1_af_xdp", 2, "proa-perf --port af_xdp --mode tell --loss 10000"),
    ("lossy5_af_xdp", 2, "proa-perf --port af_xdp --mode tell --loss 50000"),
    ("one_af_xdp", 2, "proa-perf --port af_xdp --mode tell --flush each --with-raw"),
    ("ask_af_xdp", 2, "proa-perf --port af_xdp --mode ask --window 1 --with-raw"),
    ("lossy_ask_af_xdp", 1, "proa-perf --port af_xdp --mode ask --window 1 --loss 10000"),
    ("asks_af_xdp", 1, "proa-perf --port af_xdp --mode ask --window 64"),
    ("tell_ring", 1, "proa-perf --port ring --mode tell --with-raw"),
    ("ask_ring", 1, "proa-perf --port ring --mode ask --window 1 --with-raw"),
    ("tell_ethdev", 1, "proa-perf --port ethdev:net_af_packet0,iface=perf0 --mode tell --with-raw"),
    ("ask_ethdev", 1, "proa-perf --port ethdev:net_af_packet0,iface=perf0 --mode ask --window 1 --with-raw"),
    ("bulk_64k", 2, "proa-perf --port vhost --mode tell --size 65536 --take --with-raw"),
    ("bulk_16m", 1, "proa-perf --port vhost --mode tell --size 16777216 --take --with-raw"),
    # What comes before --versus is the base, what comes behind it changes that.
    ("beside_bulk", 2, "proa-perf --port vhost --mode ask --window 1 --rounds 1 --versus --bulk 1048576"),
    # As the load beside asks sends, without them.
    ("bulk_1m", 2, "proa-perf --port vhost --mode tell --size 1048576 --take --burst 4"),
    ("crowd", 2, "proa-perf --port vhost --mode tell --flush each --crowd 10 --rounds 1 --versus --crowd 1000"),
    # Lanes.
    ("count", 3, "proa-perf --mode local-count"),
    ("pingpong", 3, "proa-perf --mode local-pingpong"),
    ("cross_count", 3, "proa-perf --mode cross-count --with-raw"),
    ("cross_pingpong", 3, "proa-perf --mode cross-pingpong --with-raw"),
    ("two_lanes", 3, "proa-perf --mode local-count --rounds 1 --versus --lanes 2"),
    ("idle_vhost", 1, "proa-perf --port vhost --mode idle"),
    ("idle_udp", 1, "proa-perf --port udp --mode idle"),
    ("idle_af_xdp", 1, "proa-perf --port af_xdp --mode idle"),
    # What a slow one costs the others; 2 s are 4 phases without and 4 with it.
    ("slow_actor", 1, "proa-pressure --only actor --seconds 2"),
    ("slow_lane", 1, "proa-pressure --only lane --seconds 2"),
    ("slow_node", 1, "proa-pressure --only node --seconds 2"),
    ("dead_node", 1, "proa-pressure --only dead --seconds 2"),
    ("datagrams", 1, "proa-pressure --only datagrams --seconds 2"),
    # Google Benchmark.  Few repetitions a round: the rounds are minutes apart, as drift is.
    ("bench_tell", 3, "bench_tell --benchmark_repetitions=2 --benchmark_min_time=0.1"),
    ("bench_pair_ring", 3, "bench_pair_ring --benchmark_repetitions=2 --benchmark_min_time=0.1"),
    ("bench_directory", 3, "bench_directory --benchmark_repetitions=2 --benchmark_min_time=0.1"),
    ("bench_link", 3, "bench_link --benchmark_repetitions=2 --benchmark_min_time=0.1"),
    ("bench_route", 3, "bench_route --benchmark_repetitions=2 --benchmark_min_time=0.05"),
    ("bench_life", 3, "bench_life --benchmark_repetitions=2 --benchmark_min_time=0.03"),
    ("bench_steer", 3, "bench_steer --benchmark_repetitions=2 --benchmark_min_time=0.1"),
    # Peers: all ways of each; the best one counts.
    ("zeromq", 1, "peer zeromq"),
    ("nng", 1, "peer nng"),
    ("nats", 1, "peer nats"),
    ("erlang", 1, "peer erlang"),
    ("caf", 1, "peer caf"),
    ("plain_udp", 1, "peer udp"),
    ("erlang_local", 1, "peer erlang_local"),
    ("caf_local", 1, "peer caf_local"),
    ("register", 1, "proa-register --samples 500 --pg pg_join.sh"),
    # After the Savina suite.
    ("savina_ping_pong", 0, "proa-savina ping-pong"),
    ("savina_counting", 0, "proa-savina counting"),
    ("savina_ring", 0, "proa-savina thread-ring"),
    ("savina_fork", 0, "proa-savina fork-join-throughput"),
    ("savina_create", 0, "proa-savina fork-join-create"),
    ("savina_big", 0, "proa-savina big"),
    ("savina_chameneos", 0, "proa-savina chameneos"),
)]

RAW64 = "raw(64): {%s.raw.packets.packets_per_s / M} M packets/s"
LOSSLESS = "lossless: {tell_%s.messages_per_s / M} M/s"
BASE = "in place, one receiver: {tell_vhost.messages_per_s / M} M/s"
OTHERS = "without it: {%s.others_answers_per_s_without / K} k answers/s"
BULK_LEFT = "beside_bulk.bulk.payload_mbit_per_s / bulk_1m.payload_mbit_per_s"
PEER_RTT = "min(zeromq.rtt_p50_ns, nng.rtt_p50_ns, nats.rtt_p50_ns, erlang.rtt_p50_ns, caf.rtt_p50_ns)"
PEER_RATE = ("max(zeromq.messages_per_s, nng.messages_per_s, nats.messages_per_s, "
             "erlang.messages_per_s, caf.messages_per_s)")
LOCAL_RATE = 'erlang {erlang_local["%s"].%s.messages_per_s / M}, caf {caf_local["%s"].%s.messages_per_s / M}'
BEST_LOCAL = '%s({peer}_local["same core"].%s, {peer}_local["two cores"].%s)'
LOCAL_SPAWN = BEST_LOCAL % (("max",) + ("spawn.actors_per_s",) * 2)
LOCAL_MEMORY = BEST_LOCAL % (("min",) + ("memory_per_actor_bytes",) * 2)
ERLANG_PONY = "Pony 47.9 M/s on another day; " + LOCAL_RATE % (("same core", "counting") * 2)

ROWS = [Row(*row) for row in (
    ("1", "tells of 32 B, vhost", "M/s", "tell_vhost.messages_per_s / M", RAW64 % "tell_vhost", ">= 60", ">= 90"),
    ("1", "  to raw(64) packets", "x", "tell_vhost.ratio.messages_to_raw_packets", "", ">= 2.0", ">= 3"),
    ("1b", "through the mailbox, to in place", "x", "mailbox.messages_per_s / tell_vhost.messages_per_s", BASE, ">= 0.6", ">= 0.8"),
    ("1b", "1,000 receivers at random, to one", "x", "receivers_1k.messages_per_s / tell_vhost.messages_per_s", BASE, ">= 0.75", ">= 0.9"),
    ("1b", "100,000 receivers at random, to one", "x", "receivers_100k.messages_per_s / tell_vhost.messages_per_s", BASE, ">= 0.55", ">= 0.7"),
    ("1b", "tells of 64 B, vhost", "M/s", "size_64.messages_per_s / M", "of 32 B: {tell_vhost.messages_per_s / M} M/s", None, None),
    ("2", "one message a packet, to raw(130)", "x", "one_vhost.ratio.packets_to_raw_packets", "raw(130): {one_vhost.raw.one_message_packets.packets_per_s / M} M packets/s", ">= 0.45", ">= 0.6"),
    ("3", "ask alone, RTT p50, vhost, to raw(138)", "x", "ask_vhost.ratio.rtt_p50_to_raw", "{ask_vhost.latency_ns.p50 / US} us; raw {ask_vhost.raw.rtt_ns.p50 / US} us, its bytes written and read {ask_vhost.raw.rtt_touched_ns.p50 / US}", "<= 1.4", "<= 1.2"),
    ("3", "  p99", "x", "ask_vhost.ratio.rtt_p99_to_raw", "{ask_vhost.latency_ns.p99 / US} us; raw {ask_vhost.raw.rtt_ns.p99 / US} us", "<= 1.8", "<= 1.5"),
    ("4", "asks, window 64, vhost", "M/s", "asks_vhost.replies_per_s / M", RAW64 % "asks_vhost", ">= 12", ">= 20"),
    ("4", "  to raw(64) packets", "x", "asks_vhost.ratio.messages_to_raw_packets", "", ">= 0.45", ">= 0.65"),
    ("5", "af_xdp, one message a packet, to raw(130)", "x", "one_af_xdp.ratio.packets_to_raw_packets", "raw(130): {one_af_xdp.raw.one_message_packets.packets_per_s / M} M packets/s", ">= 0.80", ">= 0.95"),
    ("5", "af_xdp, tells of 32 B, to raw(64) packets", "x", "tell_af_xdp.ratio.messages_to_raw_packets", "{tell_af_xdp.messages_per_s / M} M/s; " + RAW64 % "tell_af_xdp", ">= 12", ">= 16"),
    ("5", "af_xdp, ask alone, RTT p50, to raw(138)", "x", "ask_af_xdp.ratio.rtt_p50_to_raw", "{ask_af_xdp.latency_ns.p50 / US} us; raw {ask_af_xdp.raw.rtt_ns.p50 / US} us", "<= 1.15", "<= 1.05"),
    ("6", "same lane, counting", "M/s", "count.messages_per_s / M", ERLANG_PONY, ">= 80", ">= 150"),
    ("6", "same lane, ping-pong", "M/s", "pingpong.messages_per_s / M", "Pony 20.9 M/s on another day; " + LOCAL_RATE % (("same core", "ping_pong") * 2), ">= 60", ">= 110"),
    ("7", "across lanes, ping-pong RTT p50, to bare ring", "x", "cross_pingpong.ratio.rtt_p50_to_bare", "{cross_pingpong.latency_ns.p50} ns; bare {cross_pingpong.bare.spsc_word_rtt_ns} ns", "<= 1.5", "<= 1.1"),
    ("7", "across lanes, counting", "M/s", "cross_count.messages_per_s / M", "bare pair ring: {cross_count.bare.pair_ring_items_per_s / M} M/s; " + LOCAL_RATE % (("two cores", "counting") * 2), ">= 60", ">= 120"),
    ("7", "  one way", "ns", "G / cross_count.messages_per_s", "", "<= 15", "<= 8"),
    ("8", "udp, MTU 1,408, tells of 32 B, to 24 x raw(1408)", "x", "tell_udp.ratio.messages_to_raw_packets / 24", "{tell_udp.messages_per_s / M} M/s; raw(1408): {tell_udp.raw.packets.packets_per_s / M} M packets/s", ">= 0.55", ">= 0.8"),
    ("8", "udp, ask alone, RTT p50, to raw", "x", "ask_udp.ratio.rtt_p50_to_raw", "{ask_udp.latency_ns.p50 / US} us; raw {ask_udp.raw.rtt_ns.p50 / US} us", "<= 1.3", "<= 1.15"),
    ("9", "bulk of 64 KiB, vhost, to raw that copies", "x", "bulk_64k.ratio.payload_to_raw_copy", "{bulk_64k.payload_mbit_per_s / K} Gbit/s; raw {bulk_64k.raw.copy.payload_mbit_per_s / K}", ">= 0.85", ">= 0.95"),
    ("9", "bulk of 16 MiB", "x", "bulk_16m.ratio.payload_to_raw_copy", "{bulk_16m.payload_mbit_per_s / K} Gbit/s; raw {bulk_16m.raw.copy.payload_mbit_per_s / K}", ">= 0.85", ">= 0.95"),
    ("10", "asks' p99 while bulk fills the link, to alone", "x", "beside_bulk.ratio_to_base.p99", "alone {beside_bulk.base.latency_ns.p99 / US} us; bulk {beside_bulk.bulk.payload_mbit_per_s / K} Gbit/s", "<= 3", "<= 1.5", BULK_LEFT + " >= 0.8"),
    ("10", "  bulk beside the asks, to bulk alone", "x", BULK_LEFT, "alone {bulk_1m.payload_mbit_per_s / K} Gbit/s", ">= 0.8", None),
    ("11", "1 % lost, vhost, to lossless", "x", "lossy1_vhost.messages_per_s / tell_vhost.messages_per_s", LOSSLESS % "vhost", ">= 0.80", ">= 0.92"),
    ("11", "5 % lost, vhost", "x", "lossy5_vhost.messages_per_s / tell_vhost.messages_per_s", LOSSLESS % "vhost", ">= 0.5", ">= 0.7"),
    ("11", "1 % lost, udp", "x", "lossy1_udp.messages_per_s / tell_udp.messages_per_s", LOSSLESS % "udp", ">= 0.80", ">= 0.92"),
    ("11", "5 % lost, udp", "x", "lossy5_udp.messages_per_s / tell_udp.messages_per_s", LOSSLESS % "udp", ">= 0.5", ">= 0.7"),
    ("11", "1 % lost, af_xdp", "x", "lossy1_af_xdp.messages_per_s / tell_af_xdp.messages_per_s", LOSSLESS % "af_xdp", ">= 0.80", ">= 0.92"),
    ("11", "5 % lost, af_xdp", "x", "lossy5_af_xdp.messages_per_s / tell_af_xdp.messages_per_s", LOSSLESS % "af_xdp", ">= 0.5", ">= 0.7"),
    ("11", "asks' p99.9 at 1 % lost, vhost", "us", 'lossy_ask_vhost.latency_ns["p99.9"] / US', "", "<= 1,000", "<= 500"),
    ("11", "  udp", "us", 'lossy_ask_udp.latency_ns["p99.9"] / US', "", "<= 1,000", "<= 500"),
    ("11", "  af_xdp", "us", 'lossy_ask_af_xdp.latency_ns["p99.9"] / US', "", "<= 1,000", "<= 500"),
    ("11b", "sealed links", "", "", "sealed links are not built yet", ">= 0.6", ">= 0.75"),
    ("12", "tells of 64 B, vhost, to the best peer's", "x", "size_64.messages_per_s / %s" % PEER_RATE, "{size_64.messages_per_s / M} M/s; best peer: {%s / M}" % PEER_RATE, ">= 5", None),
    ("12", "ask's RTT, 64 B, vhost, to the best peer's", "x", "ask_64.latency_ns.p50 / %s" % PEER_RTT, "{ask_64.latency_ns.p50 / US} us; best peer: {%s / US}" % PEER_RTT, "<= 0.1", None),
    ("12", "tells of 64 B, udp, to ZeroMQ's", "x", "size_64_udp.messages_per_s / zeromq.messages_per_s", "{size_64_udp.messages_per_s / M} M/s; ZeroMQ: {zeromq.messages_per_s / M}", ">= 1.3", None),
    ("12", "ask's RTT, 64 B, udp, to ZeroMQ's", "x", "ask_64_udp.latency_ns.p50 / zeromq.rtt_p50_ns", "{ask_64_udp.latency_ns.p50 / US} us; ZeroMQ: {zeromq.rtt_p50_ns / US}", "<= 0.25", None),
    ("13", "spawn", "M/s", 'bench_tell.spawn.items_per_second / M', "erlang {%s / M}, caf {%s / M} M/s" % (LOCAL_SPAWN.format(peer="erlang"), LOCAL_SPAWN.format(peer="caf")), ">= 5", ">= 10"),
    ("13", "idle memory of an actor with 64 B of state", "B", 'bench_tell.spawn.bytes_per_actor', "erlang {%s}, caf {%s} B" % (LOCAL_MEMORY.format(peer="erlang"), LOCAL_MEMORY.format(peer="caf")), "<= 256", "<= 192"),
    ("13", "ten million actors on a node", "", "", "takes 3 GiB and a minute: proa-perf --receivers 10000000", ">= 10", None),
    ("14", "timers, start and cancel", "ns", "G / bench_tell.timers.items_per_second", "", "<= 10", "<= 5"),
    ("14", "1 M timers running: expiries or cascades in a loop", "", 'bench_tell["timers_expire/timers:1000000/iterations:1"].call_most', 'a loop at the 99.9th percentile: {bench_tell["timers_expire/timers:1000000/iterations:1"]["call_p99.9_ns"]} ns', "<= 64", None),
    ("15", "1,000 links to 10, one message a packet", "x", "crowd.ratio_to_base.throughput", "10 links: {crowd.base.messages_per_s / M} M/s", ">= 0.85", None),
    ("16", "a pair on each of 2 lanes, to one pair on one", "x", "two_lanes.ratio_to_base.throughput", "one: {two_lanes.base.messages_per_s / M} M/s", ">= 1.8", None),
    ("17", "idle lane, udp, of a core", "%", "idle_udp.idle.lane_percent_of_core", "", "<= 2", None),
    ("17", "  first message p50", "us", "idle_udp.first_message_ns.p50 / US", "", "<= 150", None),
    ("17", "idle lane, af_xdp, of a core", "%", "idle_af_xdp.idle.lane_percent_of_core", "", "<= 2", None),
    ("17", "  first message p50", "us", "idle_af_xdp.first_message_ns.p50 / US", "", "<= 150", None),
    ("17", "idle lane, vhost (no fd), of a core", "%", "idle_vhost.idle.lane_percent_of_core", "", "<= 5", None),
    ("17", "  first message p50", "us", "idle_vhost.first_message_ns.p50 / US", "", "<= 700", None),
    ("18", "allocations a run, sending and receiving lane, vhost", "", "tell_vhost.sending_lane.lane_mallocs + tell_vhost.receiving_lane.lane_mallocs", "", "== 0", None),
    ("18", "  asks", "", "ask_vhost.sending_lane.lane_mallocs + ask_vhost.receiving_lane.lane_mallocs", "", "== 0", None),
    ("18", "copies a side", "", "", "counted in docs/performance.md; ./dev test perf proves no allocation", "<= 1", "<= 0"),
    ("19", "false deaths in 10 minutes of load", "", "", "takes ten minutes of its own: ./dev stress 10", "== 0", None),
    ("bp", "a slow actor beside: the others keep", "x", "slow_actor.others_keep", OTHERS % "slow_actor", ">= 0.9", None),
    ("bp", "a slow lane", "x", "slow_lane.others_keep", OTHERS % "slow_lane", ">= 0.9", None),
    ("bp", "a slow node", "x", "slow_node.others_keep", OTHERS % "slow_node", ">= 0.9", None),
    ("bp", "a dead node", "x", "dead_node.others_keep", OTHERS % "dead_node", ">= 0.9", None),
    ("bp", "20,000 datagrams of nobody in a second", "x", "datagrams.others_keep", OTHERS % "datagrams", ">= 0.9", None),
    ("dir", "lookups, independent keys of 1 M, hashing included", "ns", 'bench_directory["independent/names:1000000"].ns', "rte_hash in the design's notes: 132 ns", "<= 60", "<= 48"),
    ("dir", "lookups, 1,000 hot names", "ns", 'bench_directory["independent/names:1000"].ns', "", "<= 18", "<= 13"),
    ("dir", "lookups, dependent, to a pointer chase", "x", 'bench_directory["dependent/names:1000000"].ns / bench_directory["chase/names:1000000"].ns', 'chase: {bench_directory["chase/names:1000000"].ns} ns', "<= 1.3", None),
    ("dir", "lookups, to rte_hash's speed", "x", 'bench_directory["rte_hash_independent/names:1000000"].ns / bench_directory["independent/names:1000000"].ns', 'rte_hash, lock-free mode: {bench_directory["rte_hash_independent/names:1000000"].ns} ns', ">= 2", None),
    ("dir", "readers' p99 beside 1 M updates/s, to none", "x", 'bench_directory["with_writer/updates:1000000/iterations:1"].batch_p99_ns / bench_directory["with_writer/updates:0/iterations:1"].batch_p99_ns', "", "<= 1.2", None),
    ("dir", "pick of a group's member by random, a thousand members", "ns", 'bench_route["pick/random/members:1000"].ns', "", "<= 30", None),
    ("dft", "demo's tells, to the tuned figure of row 1", "x", "demo.messages_per_s / tell_vhost.messages_per_s", "demo {demo.messages_per_s / M} M/s", ">= 0.8", None),
    ("dft", "demo's RTT p50, to that of row 3", "x", "demo.rtt_p50_ns / ask_vhost.latency_ns.p50", "demo {demo.rtt_p50_ns / US} us", "<= 1.2", None),
    ("dft", "hello's node, tells, to tuned udp", "x", "hello_tell.messages_per_s / tell_udp.messages_per_s", "hello {hello_tell.messages_per_s / M} M/s", ">= 0.8", None),
    ("dft", "hello's node, RTT p50, to tuned udp", "x", "hello_ask.ratio_to_base.p50", "hello {hello_ask.latency_ns.p50 / US} us; tuned {hello_ask.base.latency_ns.p50 / US}", "<= 1.2", None),
    ("sav", "Savina ping-pong, one lane", "M/s", "savina_ping_pong.messages_per_s / M", "", None, None),
    ("sav", "  counting", "M/s", "savina_counting.messages_per_s / M", "", None, None),
    ("sav", "  thread ring", "M/s", "savina_ring.messages_per_s / M", "", None, None),
    ("sav", "  fork-join, throughput", "M/s", "savina_fork.messages_per_s / M", "", None, None),
    ("sav", "  fork-join, creation", "M/s", "savina_create.spawned_per_s / M", "actors spawned", None, None),
    ("sav", "  big", "M/s", "savina_big.messages_per_s / M", "", None, None),
    ("sav", "  chameneos", "M/s", "savina_chameneos.messages_per_s / M", "", None, None),
    ("join", "join until told on another node, p99", "us", "register.p99_ns / US", "Erlang's pg: p50 {register.erlang_pg.p50_ns / US} us, p99 {register.erlang_pg.p99_ns / US}", "<= 1,000", None),
    ("join", "  p50, to that of Erlang's pg", "x", "register.p50_ns / register.erlang_pg.p50_ns", "{register.p50_ns / US} us", "<= 1", None),
)]

# Beside each other, port by port: title, value.  A ring's raw is the bare pair ring.
RAW_RATE = "either(tell_{port}.raw.packets.packets_per_s, tell_{port}.bare.pair_ring_items_per_s)"
PORT_COLUMNS = (
    ("tells, M/s", "tell_{port}.messages_per_s / M"),
    ("raw, M/s", RAW_RATE + " / M"),
    ("tells to raw", "tell_{port}.messages_per_s / " + RAW_RATE),
    ("RTT p50, us", "ask_{port}.latency_ns.p50 / US"),
    ("p99", "ask_{port}.latency_ns.p99 / US"),
    ("raw p50", "either(ask_{port}.raw.rtt_ns.p50, ask_{port}.bare.pair_ring_item_rtt_ns) / US"),
    ("raw p99", "ask_{port}.raw.rtt_ns.p99 / US"),
    ("asks, M/s", "asks_{port}.replies_per_s / M"),
)

# Plots.  {x} is a point; known are points that a run of RUNS is.
SWEEPS = [Sweep(*sweep) for sweep in (
    ("load", "Round trips by load: arrivals by schedule, waiting counted from when each was due",
     "proa-perf --port {port} --mode ask --rate {{x} * asks_{port}.replies_per_s}",
     ("vhost", "udp"), (0.1, 0.4, 0.7, 0.9, 1.05), (0.1, 0.5, 0.9), {}),
    ("size", "Throughput by size of a message",
     "proa-perf --port {port} --mode tell --size {x}",
     ("vhost", "udp"), (8, 128, 512, 4096, 65536, 1048576), (1024, 65536), {32: "tell_{port}"}),
    ("loss", "Throughput by loss",
     "proa-perf --port {port} --mode tell --loss {x}",
     ("vhost", "udp"), (1000, 5000, 20000), (20000,),
     {0: "tell_{port}", 10000: "lossy1_{port}", 50000: "lossy5_{port}"}),
)]
