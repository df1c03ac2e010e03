#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_deploy.sh BUILD - what lies in deploy/ is what it is for: the unit is one to systemd, proa takes
# the configurations, the container file installs what the build and libproa need, the Kubernetes
# examples hang together.  Prints `ok`, `not ok` and `skip` lines.
set -euo pipefail

build=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0

try() # NAME COMMAND...
{
    local name=$1
    shift
    if "$@" >"$tmp/out" 2>&1; then
        echo "ok - $name"
    else
        sed 's/^/    /' "$tmp/out"
        echo "not ok - $name"
        status=1
    fi
}

# ---- systemd -----------------------------------------------------------------------
verify_unit()
{
    # The program is not installed here: another one stands in for it.
    sed "s|^ExecStart=/usr/bin/proa |ExecStart=$build/control/proa |" deploy/proa.service >"$tmp/proa.service"
    systemd-analyze verify "$tmp/proa.service" 2>&1 | tee "$tmp/said"
    [ ! -s "$tmp/said" ]
}
exposure() # tenths; the built-in policy would have User=, which node.yaml has instead
{
    systemd-analyze security --offline=true --threshold=30 deploy/proa.service
}
make_user_and_folders()
{
    mkdir -p "$tmp/root/etc"
    : >"$tmp/root/etc/passwd"
    systemd-sysusers --root="$tmp/root" "$PWD/deploy/proa.sysusers.conf" &&
        grep -q '^proa:' "$tmp/root/etc/passwd" &&
        systemd-tmpfiles --root="$tmp/root" --create "$PWD/deploy/proa.tmpfiles.conf" &&
        [ "$(stat -c %a "$tmp/root/var/lib/proa")" = 700 ] && [ -d "$tmp/root/run/proa" ]
}
if command -v systemd-analyze >/dev/null; then
    try "proa.service: systemd has nothing to say" verify_unit
    try "proa.service: exposure at most 3.0" exposure
    if [ "$(id -u)" = 0 ]; then
        try "the user and its folders are made" make_user_and_folders
    else
        echo "skip - the user and its folders: needs root"
    fi
else
    echo "skip - proa.service: no systemd-analyze"
fi

# ---- configurations ----------------------------------------------------------------
# Taken means: it gets as far as to an interface that is not there, as whoever runs this.
taken() # FILE
{
    sed -E -e 's|^( *- spec:) .*|\1 af_xdp:proa-none|' -e '/^user:/d' \
        -e "s|^state_dir:.*|state_dir: $tmp/state|" -e "s|^socket:.*|socket: $tmp/socket|" \
        -e "s|^cluster_key_file:.*|cluster_key_file: $tmp/key|" -e '/^ +address:/d' \
        -e 's|^pages:.*|pages: auto|' \
        "$1" >"$tmp/taken.yaml"
    rm -f "$tmp/key"
    "$build/control/proa" keygen "$tmp/key"
    RUNTIME_DIRECTORY=$tmp timeout 60 "$build/control/proa" node --config "$tmp/taken.yaml" 2>&1 |
        tee "$tmp/said" || true
    grep -q 'af_xdp:proa-none: there is no such interface' "$tmp/said"
}
for file in deploy/node.yaml examples/node.yaml; do
    try "$file: proa takes it" taken "$file"
done

# ---- Kubernetes --------------------------------------------------------------------
if ! python3 -c 'import yaml' 2>/dev/null; then
    echo "skip - deploy/kubernetes: no python3-yaml"
else
    for file in deploy/kubernetes/*.yaml; do
        try "$file: its parts name each other" python3 tests/check_deploy.py kubernetes "$file" "$tmp/node.yaml"
        try "$file: proa takes its node.yaml" taken "$tmp/node.yaml"
    done
fi

# ---- the container file ------------------------------------------------------------
try "Containerfile: the steps are well formed, and build with ./dev's packages" \
    python3 tests/check_deploy.py container-build deploy/Containerfile dev.d/setup.sh
if command -v dpkg-query >/dev/null; then
    try "Containerfile: it installs every library that libproa needs" \
        python3 tests/check_deploy.py container-run deploy/Containerfile "$build/control/libproa.so.0"
else
    echo "skip - Containerfile's libraries: not a Debian"
fi
exit "$status"
