# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# every check there is, under 15 minutes on two cores; ends with `N passed, N failed`
# Arguments choose steps by name (./dev test format fast); none means all of:
steps="format layers sizes readme fast sim e2e perf install asan tsan fuzz"
for name in "$@"; do
    [[ " $steps " == *" $name "* ]] || { echo "dev test: no step '$name'; there are: $steps" >&2; exit 2; }
done
. "$ROOT/dev.d/steps.sh"

need_packages "$packages_test"
huge_pages

fuzz_seconds=15 # for each fuzzer, from the kept corpus
chosen=" $* "
wanted()
{
    [ "$chosen" = "  " ] || [[ $chosen == *" $1 "* ]]
}

# The end-to-end tests mostly wait; meanwhile the other trees are built, at the lowest priority.  What
# fails here fails, and is told, in its own step.
ahead=
build_ahead()
{
    renice -n 19 "$BASHPID" >/dev/null
    ! wanted asan || { configure_asan && compile asan; }
    ! wanted tsan || { configure_tsan && compile tsan; }
    ! wanted fuzz || { configure_fuzz && compile fuzz fuzzers; }
} >"$BUILD/logs/build-ahead.log" 2>&1 </dev/null

if wanted format; then
    check format dev.d/check_format.sh || true
fi
if wanted layers; then
    check layers tests/check_layers.sh || true
    check_counted layers-planted tests/test_layers.sh
fi
if wanted sizes; then
    check sizes tests/check_sizes.sh || true
fi
if wanted readme; then
    check_counted readme tests/check_readme.sh
    check_counted syscalls tests/check_syscalls.sh
fi

if wanted fast || wanted sim || wanted e2e || wanted perf || wanted install; then
    if check configure-release configure_release && check build-release compile release; then
        check listed tests/check_listed.sh "$BUILD/release" || true
        for suite in fast sim e2e perf; do
            wanted "$suite" || continue
            if [ "$suite" = e2e ]; then
                build_ahead &
                ahead=$!
            fi
            meson_suite release "$suite"
            [ -z "$ahead" ] || wait "$ahead" || true
            ahead=
        done
        if wanted install; then
            check_counted install tests/check_install.sh "$BUILD/release"
            check_counted deploy tests/check_deploy.sh "$BUILD/release"
        fi
    fi
fi

# By clang: its warnings are errors too.
if wanted asan; then
    export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    if check configure-asan configure_asan && check build-asan compile asan; then
        meson_suite asan fast
        # Instrumented, a cluster takes ten times as long.
        export PROA_SIM_SEEDS_MOST=50 PROA_SIM_TELLS=100000
        meson_suite asan sim
        unset PROA_SIM_SEEDS_MOST PROA_SIM_TELLS
    fi
fi

# Threads meet in actors/ (directory, rings, mailboxes) and in the tests marked for it.
if wanted tsan; then
    export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
    if check configure-tsan configure_tsan; then
        meson_suite tsan actors threads
    fi
fi

if wanted fuzz; then
    check_counted fuzz "$ROOT/dev" fuzz --seconds "$fuzz_seconds"
fi

closing_line
