# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# simulated clusters for longer: [SEEDS [FIRST]] (default 10000 seeds from 1)
# The simulations read PROA_SIM_SEEDS and PROA_SIM_SEED; a failure prints its seed, and
# `./dev sim 1 SEED` runs that one again.
need_packages "$packages_build"
configure_release
compile release
export PROA_SIM_SEEDS=${1:-10000}
export PROA_SIM_SEED=${2:-1}
exec meson test -C "$BUILD/release" --no-rebuild --suite sim --num-processes "$JOBS" \
    --timeout-multiplier 0 --print-errorlogs --logbase sim-long
