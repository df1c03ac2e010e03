# SPDX-License-Identifier: Apache-2.0
# setup.sh - sourced by dev: packages, huge pages, build trees.  Needs ROOT; sets BUILD,
# the folder of all build trees, and JOBS.
# shellcheck shell=bash

JOBS=$(nproc)

packages_build="gcc g++ pkg-config python3 meson ninja-build binutils libdpdk-dev libsodium-dev
    libjemalloc-dev libcyaml-dev libyaml-dev libxxhash-dev libbenchmark-dev libcmocka-dev
    libxdp-dev libbpf-dev libmnl-dev libcap-dev libseccomp-dev clang bpftool"
packages_clang="llvm libclang-rt-14-dev"
# What proa is measured against.
packages_bench="erlang-base libzmq3-dev libnng-dev libnats-dev nats-server libcaf-dev"
packages_test="$packages_build $packages_clang clang-format iproute2 strace tshark systemd
    python3-yaml procps"
packages_report="gnuplot-nox" # the plots of ./dev bench

say()
{
    printf '%s\n' "$*" >&2
}

die()
{
    say "dev: $*"
    exit 1
}

# ---- packages ----------------------------------------------------------------------

missing_packages()
{
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            printf '%s ' "$package"
    done
}

# Installs those of the named packages that are not there, or says what to run and ends.
need_packages()
{
    local missing as_root=()

    command -v dpkg-query >/dev/null || return 0 # not a Debian: the build will tell
    # shellcheck disable=SC2068
    missing=$(missing_packages $@)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
            die "these packages are missing; as root run:
    apt-get update && apt-get install --no-install-recommends $missing"
        fi
        as_root=(sudo -n)
    fi
    say "== installing: $missing"
    mkdir -p "$BUILD/logs"
    # An index that cannot be renewed may still do: only the installation decides.
    "${as_root[@]}" apt-get update -q >"$BUILD/logs/packages.log" 2>&1 </dev/null || true
    # shellcheck disable=SC2086
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy \
        --no-install-recommends $missing >>"$BUILD/logs/packages.log" 2>&1 </dev/null; then
        tail -n 20 "$BUILD/logs/packages.log" >&2
        die "apt-get failed; whole log: $BUILD/logs/packages.log"
    fi
    # The package starts a server for the whole network; the benchmark brings its own.
    case " $missing " in
    *" nats-server "*) "${as_root[@]}" systemctl disable --now nats-server >/dev/null 2>&1 || true ;;
    esac
}

# ---- huge pages --------------------------------------------------------------------

huge_pages_wanted=512 # of 2 MiB: the two nodes of the demo, with room to spare

# Reserves huge pages when it may.  Never an error: without them proa runs --no-huge.
huge_pages()
{
    local folder=/sys/kernel/mm/hugepages/hugepages-2048kB free have available_kb
    local as_root=()

    [ -r "$folder/free_hugepages" ] || return 0
    free=$(cat "$folder/free_hugepages")
    [ "$free" -lt "$huge_pages_wanted" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 0
        as_root=(sudo -n)
    fi
    # At most a quarter of what is free now: this machine has other work to do.
    available_kb=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
    [ "$(((huge_pages_wanted - free) * 2048 * 4))" -le "$available_kb" ] || return 0
    have=$(cat "$folder/nr_hugepages")
    echo $((have + huge_pages_wanted - free)) |
        "${as_root[@]}" tee "$folder/nr_hugepages" >/dev/null 2>&1 || true
}

# ---- build trees -------------------------------------------------------------------

# build/ in the tree when this user can write all of it, else a folder of their own.
choose_build()
{
    local build=$ROOT/build hash

    if { [ ! -e "$build" ] && [ -w "$ROOT" ]; } ||
        { [ -w "$build" ] && [ -z "$(find "$build" -maxdepth 2 -type d ! -writable -print -quit)" ]; }; then
        echo "$build"
    else
        hash=$(printf '%s' "$ROOT" | sha256sum | cut -c1-12)
        echo "${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/proa/build-$hash"
    fi
}

BUILD=$(choose_build)
mkdir -p "$BUILD/logs" || die "cannot write $BUILD"

# Sets build tree NAME up with the given meson arguments, again when they changed.
configure() # NAME MESON_ARGUMENT...
{
    local name=$1 dir=$BUILD/$1 log=$BUILD/logs/setup-$1.log said
    shift

    said="${CC:-cc} ${CXX:-c++} $*"
    if [ -f "$dir/build.ninja" ] && [ "$(cat "$dir/.configured" 2>/dev/null)" = "$said" ]; then
        return 0
    fi
    say "== configuring $dir"
    rm -rf "$dir"
    if ! meson setup "$dir" "$ROOT" "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -rf "$dir"
        die "meson setup failed; whole log: $log"
    fi
    echo "$said" >"$dir/.configured"
}

# Builds tree NAME; on failure prints the end of the log.  One build of a tree at a time.
compile() # NAME [TARGET...]
{
    local name=$1 log=$BUILD/logs/compile-$1.log
    shift

    say "== building $BUILD/$name"
    if ! flock "$BUILD/$name" ninja -j "$JOBS" -C "$BUILD/$name" "$@" >"$log" 2>&1; then
        grep -v '^\[[0-9]*/' "$log" | tail -n 60 >&2
        say "dev: the build failed; whole log: $log"
        return 1
    fi
}

configure_release()
{
    configure release
}

configure_asan()
{
    CC=clang CXX=clang++ configure asan -Dbuildtype=debugoptimized -Db_lto=false \
        -Db_lundef=false -Db_sanitize=address,undefined -Dallocator=system
}

configure_tsan()
{
    configure tsan -Dbuildtype=debugoptimized -Db_lto=false -Db_lundef=false \
        -Db_sanitize=thread -Dallocator=system -Dperf=false
}

configure_fuzz()
{
    CC=clang CXX=clang++ configure fuzz -Dbuildtype=debugoptimized -Db_lto=false \
        -Db_lundef=false -Db_sanitize=address,undefined -Dallocator=system -Dperf=false \
        -Dfuzz=true
}

# The same fuzzers, instrumented for line coverage instead of for bugs.
configure_coverage()
{
    CC=clang CXX=clang++ configure coverage -Dbuildtype=debug -Db_lto=false \
        -Db_lundef=false -Dallocator=system -Dperf=false -Dfuzz=true -Dfuzz_coverage=true
}
