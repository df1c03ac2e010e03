# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# builds everything into build/release
need_packages "$packages_build"
configure_release
compile release "$@"
say "$BUILD/release"
