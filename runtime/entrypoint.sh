#!/bin/sh
# Checks what the user asked for, makes the environment what the mode wants, says so in one line and becomes the
# command. The settings are those of seedbed/settings.py, in settings.sh beside this file. Exit status 2: wrong use.
# Bypassed (docker exec, --entrypoint), the baked ENV and the startup hook do the same from inside Python.
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

    set_home
    set_hash_seed
    set_threads
    # shellcheck source=settings.sh
    . "$here/settings.sh"

    # `seedbed` checks for itself, and `seedbed info` has to tell what is wrong rather than not start.
    if [ "${1-}" != seedbed ]; then
        check
        [ "$mode" = off ] || check_hook "$@"
        announce
    fi
    if needs_a_shell "$@"; then supervise "$@"; fi
    exec "$@"
}

# Whether a shell starts the training. `docker stop` would end that shell and with it the container, before the training
# has saved its checkpoint.
needs_a_shell() {
    case ${1-} in
        '' | python* | seedbed | torchrun) return 1 ;;
        sh | bash | dash | */sh | */bash | */dash)
            [ $# -gt 1 ]
            return
            ;;
    esac
    first=''
    program=$(command -v "$1") && [ -r "$program" ] && IFS= read -r first <"$program"
    case $first in
        '#!'*/sh | '#!'*/sh\ * | '#!'*bash | '#!'*bash\ * | '#!'*dash | '#!'*dash\ *) return 0 ;;
        *) return 1 ;;
    esac
}

# Run the shell as a child and hand signals to what it has started.
supervise() {
    trap 'hand_on 15; outlive' TERM
    trap 'hand_on 1; outlive' HUP
    trap 'hand_on 10' USR1
    trap 'hand_on 12' USR2
    trap '[ -t 0 ] || hand_on 2' INT # a terminal has sent it to all of them
    # What a shell runs in the background reads nothing and ignores Ctrl-C, unless it is started like this.
    exec 3<&0
    env --default-signal=INT,QUIT "$@" <&3 3<&- &
    child=$!
    while :; do
        if wait "$child"; then status=0; else status=$?; fi
        kill -0 "$child" 2>/dev/null || exit "$status"
    done
}

# To the shell, and to the programs that it and shells below it have started. Not to what those have started: the workers
# of a DataLoader would die first, and the training of that. Nor to a `tee` that the training writes to.
hand_on() {
    child=${!-} # the trap may come before the line that sets it
    [ -n "$child" ] || exit $((128 + $1))
    started=$(started_by "$child") told='' filters=''
    # shellcheck disable=SC2086 # a list of numbers
    outputs=$(for each in $child $started; do readlink "/proc/$each/fd/1" "/proc/$each/fd/2" || true; done)
    for each in $started; do
        if is_filter "$1"; then filters="$filters $each"; else told="$told $each"; fi
    done
    # shellcheck disable=SC2086
    kill "-$1" "$child" $told 2>/dev/null || true
}

# Whether $each reads what another of them writes, and does nothing of its own at the signal.
is_filter() { # signal
    input=$(readlink "/proc/$each/fd/0") caught=0
    case $input in pipe:*) ;; *) return 1 ;; esac
    case $outputs in *"$input"*) ;; *) return 1 ;; esac
    while read -r name value; do
        [ "$name" != SigCgt: ] || caught=$((0x$value >> ($1 - 1) & 1))
    done <"/proc/$each/status" 2>/dev/null
    [ "$caught" = 0 ]
}

started_by() {
    case $(readlink "/proc/$1/exe") in
        */sh | */bash | */dash) ;;
        *) return 0 ;;
    esac
    for each in $(pgrep -P "$1"); do
        printf '%s\n' "$each"
        started_by "$each"
    done
}

# The container ends with this process: wait until those programs have saved what they want to. A filter ends when they
# have, at the end of its input; one that does not is told then.
outlive() {
    # shellcheck disable=SC2086
    until_gone $told
    [ -n "$filters" ] || return 0
    sleep 0.2
    # shellcheck disable=SC2086
    kill -15 $filters 2>/dev/null || true
    # shellcheck disable=SC2086
    until_gone $filters
}

until_gone() {
    for each in "$@"; do
        while kill -0 "$each" 2>/dev/null; do sleep 0.1; done
    done
}

# A value that differs from the baked one is the user's own and stays; otherwise the mode's replaces it.
setting() { # name, value in strict (the baked one), in warn; empty, and in mode off: unset
    found=''
    eval "found=\${$1-}"
    [ "$found" = "$2" ] || return 0
    case $mode in
        strict) wanted=$2 ;;
        warn) wanted=$3 ;;
        off) wanted='' ;;
    esac
    if [ -n "$wanted" ]; then export "$1=$wanted"; else unset "$1"; fi
}

# A user without a home that can be written to gets one, which nobody else can: pip, torch.hub, Hugging Face and Keras
# keep packages and caches there. sitecustomize.py does the same for a Python that starts without this entrypoint.
set_home() {
    home=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)
    case ${HOME:-/} in
        # What Docker sets, not the user; another user's after setpriv and the like. Some, such as nobody, have none.
        / | /root | /home/seedbed | "$home")
            USER=$(id -un 2>/dev/null) || USER=uid-$(id -u)
            export USER
            [ "${HOME:-/}" != / ] && [ -w "$HOME" ] || new_home
            ;;
    esac
    # Where `pip install` puts commands for a user who may not write to /opt/venv.
    PATH=$PATH:${PYTHONUSERBASE:-$HOME/.local}/bin
}

new_home() {
    home=${TMPDIR:-/tmp}/home-$(id -u)
    # Somebody else may have made it: a user takes only what is their own.
    # shellcheck disable=SC3067 # dash, which is Debian's sh, has test -O
    mkdir -m 0700 "$home" 2>/dev/null || { [ -d "$home" ] && [ -O "$home" ] && [ ! -L "$home" ]; } ||
        home=$(mktemp -d 2>/dev/null) || home=${HOME:-/} # nothing can be written at all
    export HOME="$home"
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
        read -r quota period <$cgroup/cpu.max || true # another file may lie over it, an empty one
    elif [ -r $cgroup/cpu/cpu.cfs_quota_us ]; then
        read -r quota <$cgroup/cpu/cpu.cfs_quota_us || true
        read -r period <$cgroup/cpu/cpu.cfs_period_us || true
    fi
    if [ "${quota:-max}" != max ] && [ "$quota" -gt 0 ]; then
        allowed=$(((quota + period - 1) / period))
        [ "$allowed" -ge "$cpus" ] || cpus=$allowed
    fi
    printf '%s\n' "$cpus"
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

# Whether the startup hook acts in the Python that is started. Those that a shell or a program starts cannot be asked.
check_hook() {
    program=${1-}
    case ${program##*/} in
        python | python[0-9]*) program=$(command -v "$program") || return 0 ;;
        *) return 0 ;;
    esac
    shift
    while getopts :bBc:dEhiIJm:OPqRsStuvVW:xX: flag; do # Python's own
        case $flag in
            S) without_hook "python -S loads no startup hook" ;;
            c | m) break ;;
            *) ;;
        esac
    done
    case $program in /opt/venv/bin/*) return 0 ;; esac
    status=0
    "$program" -c 'import sys; sys.exit(3 * ("seedbed.boot" not in sys.modules))' >/dev/null 2>&1 </dev/null || status=$?
    [ "$status" != 3 ] || without_hook "$program loads no startup hook (another Python, or a sitecustomize.py hides it)"
}

without_hook() {
    [ "$mode" = warn ] || wrong "$1, so nothing would be seeded: use the image's python, or SEEDBED_MODE=off"
    say "$1: nothing is seeded"
}

announce() {
    [ "${SEEDBED_QUIET-}" != 1 ] || return 0
    case $mode in
        strict) line="seed $seed, mode strict, threads $OMP_NUM_THREADS" ;;
        warn) line="seed $seed, mode warn (the backward pass of attention is not deterministic), threads $OMP_NUM_THREADS" ;;
        off) line="mode off (nothing is seeded)" ;;
    esac
    image=${SEEDBED_IMAGE+, image $SEEDBED_IMAGE}
    ! past_end_of_life || image="$image (end of life since $SEEDBED_END_OF_LIFE)"
    say "$line$image"
}

past_end_of_life() {
    ends=$(printf '%s' "${SEEDBED_END_OF_LIFE:-9999-12-31}" | tr -d -)
    [ "$(date -u +%Y%m%d)" -gt "$ends" ] 2>/dev/null
}

is_seed() {
    case $1 in
        '' | *[!0-9]* | ???????????*) return 1 ;;
    esac
    [ "$1" -le $largest_seed ]
}

wrong() {
    say "$1"
    exit 2
}

# One line on stderr, as it is (dash's echo interprets backslashes) but for what is not printable ASCII. A stderr
# that is closed or full is no reason not to start.
say() {
    case $1 in
        *[![:print:]]*) set -- "$(printf '%s' "$1" | LC_ALL=C tr -c '[:print:]' '?')" ;;
    esac
    printf 'seedbed: %s\n' "$1" >&2 || true
}

main "$@"
