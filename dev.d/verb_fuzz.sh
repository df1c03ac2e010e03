# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# fuzzes every decoder: [MINUTES] [--seconds N] [--merge] [--only NAME]
# MINUTES (default 1) is for each fuzzer.  New inputs stay in the build folder; --merge adds
# those that reach new code to the kept corpus, tests/fuzz/corpus/NAME.  Then measures how
# many lines of the decoders the kept corpus reaches; under 90 % fails.  Prints `ok` and
# `not ok` lines.
need_packages "$packages_build $packages_clang"

seconds=60
merge=no
only=
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=${2:?--seconds needs a number}; shift ;;
    --merge) merge=yes ;;
    --only) only=${2:?--only needs a name}; shift ;;
    [1-9]*) seconds=$(($1 * 60)) ;;
    *) die "fuzz: what is '$1'?" ;;
    esac
    shift
done

configure_fuzz
compile fuzz fuzzers
mapfile -t fuzzers < <(find "$BUILD/fuzz/tests/fuzz" -maxdepth 1 -type f -executable \
    -name "fuzz_${only:-*}" -printf '%f\n' 2>/dev/null | sed 's/^fuzz_//' | sort)
[ "${#fuzzers[@]}" -gt 0 ] || die "no fuzzer was built"

export ASAN_OPTIONS=detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

run_fuzzer() # NAME
{
    local name=$1 log=$BUILD/logs/fuzz-$1.log
    local kept=$ROOT/tests/fuzz/corpus/$1 grown=$BUILD/fuzz-corpus/$1
    local findings=$BUILD/fuzz-findings dirs=()

    mkdir -p "$grown" "$findings"
    dirs=("$grown")
    [ ! -d "$kept" ] || dirs+=("$kept")
    if "$BUILD/fuzz/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=20 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$findings/$name-" \
        "${dirs[@]}" >"$log" 2>&1; then
        echo "ok - fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
    else
        tail -n 40 "$log"
        echo "not ok - fuzz $name: a finding in $findings (whole log: $log)"
        return 1
    fi
}

merge_corpus() # NAME
{
    local kept=$ROOT/tests/fuzz/corpus/$1 before
    mkdir -p "$kept"
    before=$(find "$kept" -type f | wc -l)
    "$BUILD/fuzz/tests/fuzz/fuzz_$1" -merge=1 -use_counters=0 "$kept" "$BUILD/fuzz-corpus/$1" \
        >"$BUILD/logs/merge-$1.log" 2>&1
    say "$1: $before inputs kept before, $(find "$kept" -type f | wc -l) now"
}

cover() # NAME
{
    local name=$1 profile=$BUILD/coverage/fuzz_$1 program=$BUILD/coverage/tests/fuzz/fuzz_$1

    LLVM_PROFILE_FILE=$profile.profraw "$program" -runs=0 "$ROOT/tests/fuzz/corpus/$name" \
        >"$BUILD/logs/cover-$name.log" 2>&1 || { tail -n 20 "$BUILD/logs/cover-$name.log"; return 1; }
    llvm-profdata merge -sparse "$profile.profraw" -o "$profile.profdata"
    dev.d/coverage.py tests/fuzz/decoders.txt "$name" "$program" "$profile.profdata" "$ROOT"
}

status=0
running=()
for name in "${fuzzers[@]}"; do
    run_fuzzer "$name" &
    running+=($!)
    if [ "${#running[@]}" -ge "$JOBS" ]; then
        wait "${running[0]}" || status=1
        running=("${running[@]:1}")
    fi
done
for pid in "${running[@]}"; do
    wait "$pid" || status=1
done

if [ "$merge" = yes ]; then
    for name in "${fuzzers[@]}"; do
        merge_corpus "$name"
    done
fi

configure_coverage
compile coverage fuzzers
for name in "${fuzzers[@]}"; do
    if [ ! -d "tests/fuzz/corpus/$name" ]; then
        echo "not ok - $name: no kept corpus (./dev fuzz --merge makes one)"
        status=1
    elif cover "$name"; then
        echo "ok - coverage $name"
    else
        echo "not ok - coverage $name"
        status=1
    fi
done
exit $status
