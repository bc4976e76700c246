#!/bin/sh
# Checks what the user asked for, makes the environment what the mode wants, says so in one line and becomes the
# command. The settings are those of seedbed/settings.py, in settings.sh beside this file. Exit status 2: wrong use.
# Bypassed (docker exec, --entrypoint), the baked ENV and the start-up hook do the same from inside Python.
set -eu

default_seed=42
largest_seed=4294967295
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac

main() {
    seed=${SEEDBED_SEED-$default_seed} mode=${SEEDBED_MODE-strict}
    is_seed "$seed" || wrong "SEEDBED_SEED=$seed: expected a whole number from 0 to $largest_seed"
    case $mode in
        strict | warn | off) ;;
        *) wrong "SEEDBED_MODE=$mode: expected strict, warn or off" ;;
    esac
    export SEEDBED_SEED="$seed" SEEDBED_MODE="$mode"

    set_hash_seed
    set_threads
    # shellcheck source=settings.sh
    . "$here/settings.sh"

    # `seedbed` checks for itself, and `seedbed info` has to tell what is wrong rather than not start.
    if [ "${1-}" != seedbed ]; then
        check
        announce
    fi
    exec "$@"
}

# A value that differs from the baked one is the user's own and stays; otherwise the mode's replaces it.
setting() { # name, value in strict (the baked one), in warn, in off; empty: unset
    found=''
    eval "found=\${$1-}"
    [ "$found" = "$2" ] || return 0
    case $mode in
        strict) wanted=$2 ;;
        warn) wanted=$3 ;;
        off) wanted=$4 ;;
    esac
    if [ -n "$wanted" ]; then export "$1=$wanted"; else unset "$1"; fi
}

set_hash_seed() {
    [ "${PYTHONHASHSEED-$default_seed}" = "$default_seed" ] || return 0
    if [ "$mode" = off ]; then unset PYTHONHASHSEED; else export PYTHONHASHSEED="$seed"; fi
}

set_threads() {
    [ "$mode" = off ] || export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(available_cpus)}"
}

# The CPUs this container may use: its affinity, or less where a control group (version 2 or 1) sets a quota.
available_cpus() {
    cpus=$(nproc)
    cgroup=/sys/fs/cgroup
    if [ -r $cgroup/cpu.max ]; then
        read -r quota period <$cgroup/cpu.max
    elif [ -r $cgroup/cpu/cpu.cfs_quota_us ]; then
        read -r quota <$cgroup/cpu/cpu.cfs_quota_us
        read -r period <$cgroup/cpu/cpu.cfs_period_us
    fi
    if [ "${quota:-max}" != max ] && [ "$quota" -gt 0 ]; then
        allowed=$(((quota + period - 1) / period))
        [ "$allowed" -ge "$cpus" ] || cpus=$allowed
    fi
    echo "$cpus"
}

check() {
    case $mode:${CUBLAS_WORKSPACE_CONFIG-:4096:8} in
        off:* | *::4096:8 | *::16:8) ;;
        *) wrong "CUBLAS_WORKSPACE_CONFIG=$CUBLAS_WORKSPACE_CONFIG: expected :4096:8 or :16:8, or SEEDBED_MODE=off" ;;
    esac
    case $mode:${PYTHONHASHSEED-random} in
        warn:random | off:random) ;;
        *) is_seed "${PYTHONHASHSEED-random}" ||
            wrong "PYTHONHASHSEED=$PYTHONHASHSEED: expected a whole number from 0 to $largest_seed in mode $mode" ;;
    esac
}

announce() {
    [ "${SEEDBED_QUIET-}" != 1 ] || return 0
    case $mode in
        strict) line="seed $seed, mode strict, threads $OMP_NUM_THREADS" ;;
        warn) line="seed $seed, mode warn (attention's backward stays nondeterministic), threads $OMP_NUM_THREADS" ;;
        off) line="mode off (nothing is seeded)" ;;
    esac
    echo "seedbed: $line${SEEDBED_IMAGE+, image $SEEDBED_IMAGE}" >&2
}

is_seed() {
    case $1 in
        '' | *[!0-9]* | ???????????*) return 1 ;;
    esac
    [ "$1" -le $largest_seed ]
}

wrong() {
    echo "seedbed: $1" >&2
    exit 2
}

main "$@"
