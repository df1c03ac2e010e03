# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# the long checks: [MINUTES | messages]: faults in real time, kills, load under CPU pressure (default 10)
# 1. A million tells and more over udp, vhost and ring at 5 % loss, 2 % duplicates, 2 % reordered:
#    every one received once and in order.
# 2. Either of two busy nodes killed by KILL and by TERM, 20 times each, over udp and vhost.
# 3. MINUTES of the demo's load while two endless loops take turns with it: no node may be taken
#    for dead, no message lost.
# `messages` instead: 10^9 tells over vhost, and 10^8 through 5 % loss, 2 % duplicates and 2 %
#    reordering, to 1,000 receivers at random: none lost, repeated, reordered or misdelivered.
# Prints `ok` and `not ok` lines.
need_packages "$packages_build"
huge_pages
configure_release
compile release

minutes=${1:-10}
[[ $minutes =~ ^[0-9]+$ ]] || [ "$minutes" = messages ] ||
    die "stress: '$minutes' is neither a number of minutes nor 'messages'"
status=0
verdict() # NAME STATUS
{
    if [ "$2" = 0 ]; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        status=1
    fi
}

# LOG MESSAGES PORT OPTION...: so many tells; 0 when each was checked and right, and none missing.
tells()
{
    local log=$BUILD/logs/stress-$1.json count=$2 port=$3 received
    shift 3
    "$BUILD/release/perf/proa-perf" --quiet --port "$port" --mode tell --seconds 3600 \
        --messages "$count" "$@" >"$log" || return 1
    received=$(sed -n 's/^ *"received": \([0-9]*\).*/\1/p' "$log")
    grep -q '"all": true' "$log" && [ "${received:-0}" -ge "$count" ]
}

if [ "$minutes" = messages ]; then
    code=0
    tells billion 1000000000 vhost --receivers 1000 || code=$?
    verdict "vhost: 10^9 tells to 1,000 receivers, once and in order" $code
    code=0
    tells faults 100000000 vhost --receivers 1000 --loss 50000 --duplicate 20000 \
        --reorder 20000 || code=$?
    verdict "vhost: 10^8 tells to 1,000 receivers through faults, once and in order" $code
    exit $status
fi

for port in vhost udp ring; do
    log=$BUILD/logs/stress-faults-$port.json
    code=0
    "$BUILD/release/perf/proa-perf" --quiet --port "$port" --mode tell --seconds 60 \
        --messages 1000000 --loss 50000 --duplicate 20000 --reorder 20000 >"$log" || code=$?
    grep -q '"all": true' "$log" || code=1
    verdict "$port: $(sed -n 's/^ *"received": \([0-9]*\).*/\1/p' "$log") tells through faults, once and in order" $code
done

code=0
PROA_KILLS=20 "$ROOT/tests/e2e/test_kill.py" "$BUILD/release/tests/e2e/kill_peer" || code=$?
[ "$code" = 0 ] || status=1

loops=()
trap '[ "${#loops[@]}" = 0 ] || kill "${loops[@]}" 2>/dev/null || true' EXIT
for _ in 1 2; do
    sh -c 'while :; do :; done' &
    loops+=($!)
done
log=$BUILD/logs/stress-load.log
code=0
"$BUILD/release/control/proa" demo --seconds $((minutes * 60)) >"$log" 2>&1 || code=$?
tail -n 12 "$log"
verdict "$minutes minutes of load beside two endless loops" $code
exit $status
