# SPDX-License-Identifier: Apache-2.0
# steps.sh - sourced by verb_test.sh: runs steps, keeps their logs, counts what passed.
# shellcheck shell=bash

passed=0
failed=0
skipped=0
started=$SECONDS
notes=$(mktemp)
trap 'rm -f "$notes"' EXIT

# Runs a command into a log; on failure prints the log's end.  Returns its status.
step() # NAME COMMAND...
{
    local name=$1 log=$BUILD/logs/$1.log from=$SECONDS status=0
    shift

    printf -- '-- %s' "$name"
    # In a subshell, so that `die` ends the step and not the run.
    ("$@") >"$log" 2>&1 </dev/null || status=$?
    printf ' (%d s)\n' $((SECONDS - from))
    if [ "$status" != 0 ]; then
        tail -n 40 "$log" | sed 's/^/    /'
        echo "    whole log: $log"
    fi
    return "$status"
}

# A step that counts as one test.
check() # NAME COMMAND...
{
    if step "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "  failed: $1" | tee -a "$notes"
        return 1
    fi
}

# A step that prints `ok`, `not ok` and `skip - REASON` lines, each a test.
check_counted() # NAME COMMAND...
{
    local name=$1 log=$BUILD/logs/$1.log status=0 good wrong

    step "$@" || status=$?
    good=$(grep -c '^ok ' "$log" || true)
    wrong=$(grep -c '^not ok ' "$log" || true)
    if [ "$status" != 0 ] && [ "$wrong" = 0 ]; then
        wrong=1
    fi
    if [ "$((good + wrong))" = 0 ] && ! grep -q '^skip ' "$log"; then
        echo "    it checked nothing"
        wrong=1
    fi
    passed=$((passed + good))
    failed=$((failed + wrong))
    skipped=$((skipped + $(grep -c '^skip ' "$log" || true)))
    grep '^skip ' "$log" | sed "s/^skip -*/  skipped: $name:/" | tee -a "$notes" || true
    [ "$wrong" = 0 ] || echo "  failed: $name ($wrong)" | tee -a "$notes"
}

# `setarch -R` where it works: ThreadSanitizer needs a quiet address space.
no_aslr=()
setarch "$(uname -m)" -R true 2>/dev/null && no_aslr=(setarch "$(uname -m)" -R)

# Runs the tests of some suites in one build tree and counts their cases.
meson_suite() # TREE SUITE...
{
    local tree=$1 name=$1-$2 counts log wrap=() suites=() good wrong left
    shift

    while [ $# -gt 0 ]; do
        suites+=(--suite "$1")
        shift
    done
    [ "$tree" != tsan ] || wrap=("${no_aslr[@]}")
    log=$BUILD/$tree/meson-logs/$name.json
    rm -f "$log"
    step "$name" env CMOCKA_MESSAGE_OUTPUT=TAP flock "$BUILD/$tree" "${wrap[@]}" \
        meson test -C "$BUILD/$tree" "${suites[@]}" --num-processes "$JOBS" \
        --logbase "$name" --print-errorlogs --no-stdsplit || true
    if [ ! -f "$log" ]; then
        failed=$((failed + 1))
        echo "  failed: $name: no test ran" | tee -a "$notes"
        return 0
    fi
    counts=$(python3 "$ROOT/dev.d/tally.py" "$log")
    read -r good wrong left <<<"$(head -n 1 <<<"$counts")"
    tail -n +2 <<<"$counts" | sed "s|: |: $tree: |" | tee -a "$notes"
    echo "    $good passed, $wrong failed"
    passed=$((passed + good))
    failed=$((failed + wrong))
    skipped=$((skipped + left))
}

closing_line()
{
    echo
    echo "in $((SECONDS - started)) s; logs in $BUILD/logs"
    cat "$notes"
    if [ "$skipped" = 0 ]; then
        echo "$passed passed, $failed failed"
    else
        echo "$passed passed, $failed failed, $skipped skipped"
    fi
    [ "$failed" = 0 ]
}
