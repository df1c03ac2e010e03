# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# every row of the table in ten minutes: a report in build/report/; --only ROW..., --quick, --compare FILE
# Other options go to proa-perf instead: ./dev bench --port udp --mode ask
of_report=no
case ${1:-} in
'' | -h | --help | --only | --quick | --minutes | --seconds | --compare | --noise | --check | \
    --ordinary-pages | --under | --keep | --list)
    of_report=yes
    ;;
esac
bench=("$ROOT/perf/bench/bench.py" --root "$ROOT" --build "$BUILD/release" --report "$BUILD/report")

# What needs no program: the help, the list of rows, two kept runs beside each other.
case "$*" in
-h | --help | --list)
    exec python3 "${bench[@]}" "$@"
    ;;
esac
if [ "${1:-}" = --compare ] && [ "${3:--}" != - ] && [[ $3 != -* ]]; then
    cd "$CALLED_FROM"
    exec python3 "${bench[@]}" "$@"
fi

need_packages "$packages_build"
if [ "$of_report" = yes ]; then
    # Without them the report says which rows have no figure, and which plots there are not.
    (need_packages "$packages_report") || true
    # shellcheck disable=SC2086
    missing=$(missing_packages $packages_bench)
    if [ -n "$missing" ] && (need_packages "$packages_bench") && [ -f "$BUILD/release/build.ninja" ]; then
        # So that meson looks for them again.
        meson configure --clearcache "$BUILD/release" >/dev/null
        meson setup --reconfigure "$BUILD/release" >"$BUILD/logs/setup-release.log" 2>&1 ||
            die "meson setup failed; whole log: $BUILD/logs/setup-release.log"
    fi
fi
huge_pages
configure_release
compile release
cd "$CALLED_FROM"
if [ "$of_report" = yes ]; then
    exec python3 "${bench[@]}" "$@"
fi
exec "$BUILD/release/perf/proa-perf" "$@"
