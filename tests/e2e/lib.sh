# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# lib.sh - sourced by the end-to-end tests: processes that are ended for certain, and verdicts.
#
# Every process a test starts goes through `start`, and the exit trap ends these and no other.
# TMP is a folder of the test's own; programs put all they make into it.

set -uo pipefail

TMP=$(mktemp -d "${TMPDIR:-/tmp}/proa-e2e-XXXXXX")
export TMPDIR=$TMP/tmp XDG_STATE_HOME=$TMP/state RUNTIME_DIRECTORY=$TMP/run
mkdir "$TMPDIR" "$XDG_STATE_HOME" "$RUNTIME_DIRECTORY"

started=()
bad=0

finish()
{
    local pid
    for pid in "${started[@]:-}"; do
        [ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    rm -rf "$TMP"
    exit "$bad"
}
trap finish EXIT

ok() # NAME
{
    echo "ok - $1"
}

not_ok() # NAME [FILE]: the file's end is shown
{
    bad=1
    [ -z "${2:-}" ] || tail -n 30 "$2" | sed 's/^/    /'
    echo "not ok - $1"
}

# Runs a command; its success is the verdict.
try() # NAME COMMAND...
{
    local name=$1
    shift
    if "$@" >"$TMP/try.out" 2>&1; then
        ok "$name"
    else
        not_ok "$name" "$TMP/try.out"
    fi
}

# The command fails with this status and says this on stderr, exactly one line.
refused() # NAME STATUS SENTENCE COMMAND...
{
    local name=$1 wanted=$2 sentence=$3 status=0
    shift 3
    timeout 30 "$@" >"$TMP/try.out" 2>"$TMP/try.err" || status=$?
    if [ "$status" = "$wanted" ] && [ "$(cat "$TMP/try.err")" = "$sentence" ]; then
        ok "$name"
    else
        echo "    status $status, wanted $wanted: $sentence"
        not_ok "$name" "$TMP/try.err"
    fi
}

# Starts a command with its output in FILE; its process is $last.
start() # FILE COMMAND...
{
    : >"$1" # now, not when the process gets to it: nobody may read the last one's lines
    local file=$1
    shift
    "$@" >"$file" 2>&1 &
    last=$!
    started+=("$last")
}

# Waits for a line that matches; false after SECONDS.
await() # FILE PATTERN SECONDS
{
    local until=$((SECONDS + $3))
    while ! grep -qE "$2" "$1" 2>/dev/null; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.05
    done
}

alive() # PID
{
    kill -0 "$1" 2>/dev/null
}

# Waits for the end of a started process; its status is $status.  False after SECONDS.
ends() # PID SECONDS
{
    local until=$((SECONDS + $2))
    while alive "$1"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.05
    done
    status=0
    wait "$1" 2>/dev/null || status=$?
}

huge_pages_free()
{
    awk '$1 == "HugePages_Free:" { print $2 }' /proc/meminfo
}

# A copy of the program that every user can run, in $TMP/open.
open_copy() # PROGRAM
{
    local from
    from=$(dirname "$1")
    mkdir -p "$TMP/open"
    cp "$1" "$from"/libproa.so.? "$TMP/open/"
    chmod 755 "$TMP" "$TMP/open" "$TMP"/open/*
}

# ---- Demos: nothing stays behind ------------------------------------------------------

# No folder, no process of this session, no huge page: as when pages_before was taken.
left_clean() # SESSION
{
    local n=0
    while [ $n -lt 300 ]; do
        if [ -z "$(ls -A "$TMPDIR")" ] && [ -z "$(pgrep -s "$1" 2>/dev/null)" ] &&
            [ "$(huge_pages_free)" = "$pages_before" ]; then
            return 0
        fi
        sleep 0.1
        n=$((n + 1))
    done
    ls -lR "$TMPDIR"
    pgrep -s "$1" -a
    echo "huge pages: $pages_before before, $(huge_pages_free) now"
    return 1
}
# The signal goes to the whole group, as a terminal's Ctrl-C does.
interrupted() # SIGNAL STATUS PATTERN COMMAND...: a demo, when its output shows the pattern
{
    local name="$1 at '$3'" signal=$1 wanted=$2 pattern=$3
    shift 3

    start "$TMP/demo.log" setsid "$@"
    await "$TMP/demo.log" "$pattern" 40 || not_ok "$name: the moment comes" "$TMP/demo.log"
    kill -"$signal" -- -"$last"
    if ends "$last" 60 && [ "$status" = "$wanted" ]; then
        ok "$name: exit $wanted"
    else
        not_ok "$name: exit $wanted (status ${status:-none})" "$TMP/demo.log"
    fi
    try "$name: leaves nothing behind" left_clean "$last"
}

child_of() # PARENT NAME
{
    local try
    for try in 1 2 3 4 5; do
        pgrep -P "$1" -f "^proa demo-node $2 " && return
        sleep 0.1
    done
}
