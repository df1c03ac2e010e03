# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# simulated clusters for longer: [TIMES [FIRST]] | --seed SEED
# Each simulation runs TIMES (default 10) as many seeds as in the test command, from FIRST (1).  A
# failure prints its seed, and `./dev sim --seed SEED` runs that one again.
need_packages "$packages_build"
if [ "${1-}" = --seed ]; then
    export PROA_SIM_SEED=${2:?--seed needs a number}
else
    export PROA_SIM_TIMES=${1:-10} PROA_SIM_SEED=${2:-1}
fi
for number in "${PROA_SIM_TIMES-1}" "$PROA_SIM_SEED"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || die "sim: '$number' is no number above 0"
done
configure_release
compile release
exec meson test -C "$BUILD/release" --no-rebuild --suite sim --num-processes "$JOBS" \
    --timeout-multiplier 0 --print-errorlogs --logbase sim-long
