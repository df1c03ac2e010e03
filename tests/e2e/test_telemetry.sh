#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test_telemetry.sh PROA - counters over DPDK's telemetry socket, while the node works.
. "$(dirname "$0")/lib.sh"
proa=$1
cat >"$TMP/node.yaml" <<Y
ports: [{spec: "udp:127.0.0.1:0"}]
socket: $TMP/node.sock
lanes: 2
actors:
  - {behaviour: counter, name: my_actor, lane: 1}
Y

start "$TMP/node.log" "$proa" node --config "$TMP/node.yaml"
node=$last
await "$TMP/node.log" '^ready' 30 || not_ok "the node starts" "$TMP/node.log"
for _ in 1 2 3; do
    "$proa" ask my_actor 1 0100000000000000 --socket "$TMP/node.sock" >/dev/null
done
"$proa" lookup nobody --socket "$TMP/node.sock" 2>/dev/null

cat >"$TMP/ask.py" <<'P'
import glob, json, socket, sys
(path,) = glob.glob(sys.argv[1] + "/dpdk/*/dpdk_telemetry.v2")
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(20)
s.connect(path)
s.recv(4096)
def ask(command):
    s.send(command.encode())
    return json.loads(s.recv(65536))[command.split(",")[0]]
bad = 0
def check(name, good, said):
    global bad
    bad |= not good
    print("ok -" if good else f"    {said}\nnot ok -", name)
lanes, one = ask("/proa/lanes"), ask("/proa/lanes,1")
check("/proa/lanes", lanes["lanes"] == 2 and lanes["loops"] > one["loops"] > 0, lanes)
check("/proa/lanes of no such lane", ask("/proa/lanes,2") is None, ask("/proa/lanes,2"))
check("/proa/lanes of nonsense", ask("/proa/lanes,-1") is None, None)
actors, second = ask("/proa/actors"), ask("/proa/actors,1")
check("/proa/actors", actors["actors"] == second["actors"] == 1 and actors["asks"] >= 3, actors)
check("/proa/links", ask("/proa/links") == {}, ask("/proa/links"))
lane = ask("/proa/lanes,1")
check("busy and idle", lane["idle_ns"] > lane["busy_ns"] > 0, lane)
types = ask("/proa/behaviours")
counter = [t for k, t in types.items() if k != "left_out" and t["type"] == "counter"][0]
check("/proa/behaviours", counter["messages"] >= 3 and counter["depth_max"] >= 1
      and counter["samples"] >= 1 and counter["run_mean_ns"] > 0
      and counter["run_max_ns"] >= counter["run_mean_ns"], types)
check("/proa/behaviours of the other lane", ask("/proa/behaviours,0") == {"left_out": 0},
      ask("/proa/behaviours,0"))
check("/proa/dead_letters", ask("/proa/dead_letters") == {"untold": 0},
      ask("/proa/dead_letters"))
directory = ask("/proa/directory")
check("/proa/directory", directory["names"] - directory["absent"] == 1, directory)
dht = ask("/proa/dht")
check("/proa/dht", dht["own_names"] == 1 and dht["lookups"] >= 1, dht)
port = ask("/proa/ports")["port_0"]
check("/proa/ports", port["kind"] == "udp" and port["up"] == 1 and port["rx"] == port["tx"] == 0
      and "denied" not in port, port)
drops = ask("/proa/drops")
check("/proa/drops", len(drops) > 40 and all(v == 0 for v in drops.values()), drops)
for _ in range(300):
    ask("/proa/drops"); ask("/proa/dht")
check("six hundred more", True, None)
sys.exit(bad)
P
python3 "$TMP/ask.py" "$RUNTIME_DIRECTORY" || bad=1

# Asked while it ends: nothing hangs, nothing crashes.
cat >"$TMP/storm.py" <<'P'
import glob, socket, sys
(path,) = glob.glob(sys.argv[1] + "/dpdk/*/dpdk_telemetry.v2")
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(path)
try:
    while s.recv(65536):
        s.send(b"/proa/drops")
except OSError:
    pass
P
start "$TMP/storm.log" python3 "$TMP/storm.py" "$RUNTIME_DIRECTORY"
sleep 0.5
kill -TERM "$node"
if ends "$node" 10 && [ "$status" = 0 ]; then
    ok "TERM while it is asked: exit 0"
else
    not_ok "TERM while it is asked: exit 0 (status ${status:-none})" "$TMP/node.log"
fi
