# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# takes each rule of the transport out of the code; its test must fail: [NAME...]
# docs/transport.md has the rules, tests/mutants.list what is changed; some 10 minutes for all.
need_packages "$packages_build"
mkdir -p "$BUILD/mutants"
exec python3 tests/mutants.py --work "$BUILD/mutants" "$@"
