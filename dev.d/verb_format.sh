# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# runs clang-format over every C and C++ file
need_packages clang-format
exec dev.d/check_format.sh --fix
