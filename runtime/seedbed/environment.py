"""What the environment asks for, and what a mode makes of it. Used by the hook, `seedbed run` and the build.

`entrypoint.sh` does the same in shell, from `settings.sh`, which `runtime/generate.py` writes.
"""

import os

from seedbed.settings import (
    DEFAULT_MODE,
    DEFAULT_SEED,
    GPU,
    LARGEST_SEED,
    MODES,
    OPTIONS,
    RANKS,
    VARIABLES,
    Setting,
)

RANKS_A_NODE = 65536  # more than there are; for launchers that number ranks by node
CGROUP = "/sys/fs/cgroup"
SHARED_MEMORY = "/dev/shm"
DOCKERS_SHARED_MEMORY = 64 << 20
SHARED_MEMORY_ADVICE = "64 MB or less; if it is full, programs end with a bus error: docker run --shm-size 1g"


def mode(environ: dict[str, str]) -> str:
    """The mode asked for. ValueError: it is none."""
    found = environ.get("SEEDBED_MODE", DEFAULT_MODE)
    if found not in MODES:
        raise ValueError(f"SEEDBED_MODE={found}: expected strict, warn or off")
    return found


def seed(environ: dict[str, str], number: int | None = None) -> int:
    """The seed asked for, rank included where SEEDBED_RANK_OFFSET=1: this one, or else the launcher's.

    ValueError: it is no seed.
    """
    found = environ.get("SEEDBED_SEED", str(DEFAULT_SEED))
    if not is_seed(found):
        raise ValueError(f"SEEDBED_SEED={found}: expected a whole number from 0 to {LARGEST_SEED}")
    offset = 0
    if environ.get("SEEDBED_RANK_OFFSET") == "1":
        offset = (rank(environ) or 0) if number is None else number
    return (int(found) + offset) % (LARGEST_SEED + 1)


def is_seed(text: str) -> bool:
    return is_number(text) and int(text) <= LARGEST_SEED


def rank(environ: dict[str, str]) -> int | None:
    """Which process of a distributed job this is; None: nothing says that it belongs to one."""
    return rank_and_source(environ)[0]


def rank_and_source(environ: dict[str, str]) -> tuple[int | None, str]:
    """The rank, and the variable that it comes from."""
    for name in RANKS:
        if (found := rank_by(name, environ)) is not None:
            return found, name
    return None, ""


def rank_by(name: str, environ: dict[str, str]) -> int | None:
    """The rank that one of the variables says this process is."""
    value = environ.get(name, "")
    if name == "TF_CONFIG":
        return tensorflow_place(value)[0] if value else None
    if not is_number(value) or (name == "NODE_RANK" and not is_lightnings(environ)):
        return None
    return lightning_rank(environ) if name == "NODE_RANK" else int(value)


def world_size(environ: dict[str, str]) -> int | None:
    """How many ranks there are, as the launcher that numbers them says; None: nothing says so."""
    _, source = rank_and_source(environ)
    if source == "TF_CONFIG":
        return tensorflow_place(environ[source])[1]
    found = environ.get(RANKS.get(source, "WORLD_SIZE"), "")
    return int(found) if is_number(found) and int(found) else None


def one_of_ranks(environ: dict[str, str]) -> int | None:
    """Which of several ranks that a launcher has started this is; None: it is the only one, or no rank."""
    return rank(environ) if (world_size(environ) or 1) > 1 else None


def is_number(text: str) -> bool:
    """Whether it is a whole number from 0 on, in ASCII digits, and no longer than any that is meant seriously."""
    return text.isascii() and text.isdecimal() and len(text) <= 10


def is_lightnings(environ: dict[str, str]) -> bool:
    """Whether NODE_RANK is that of Lightning's launcher, and not of a job script that starts ranks in another way."""
    found = {name for name in RANKS if is_number(environ.get(name, ""))} - {"NODE_RANK", "LOCAL_RANK"}
    if environ.get("SLURM_PROCID") == "0":
        found.discard("SLURM_PROCID")
    return is_number(environ.get("LOCAL_RANK", "")) or not found


def lightning_rank(environ: dict[str, str]) -> int:
    """Lightning's launcher sets NODE_RANK and LOCAL_RANK but no RANK; a node's first process has no LOCAL_RANK."""
    local = environ.get("LOCAL_RANK", "")
    return int(environ["NODE_RANK"]) * RANKS_A_NODE + (int(local) if is_number(local) else 0)


def tensorflow_place(config: str) -> tuple[int | None, int | None]:
    """The place of the task in the cluster that TF_CONFIG describes, one kind of task after the other, and how many."""
    import json  # not at the top: no other Python process has to pay for it

    try:
        document = json.loads(config)
        cluster, kind, index = document.get("cluster", {}), document["task"]["type"], int(document["task"]["index"])
        kinds = ("chief", "master", "worker", "ps", "evaluator")
        sizes = [len(cluster.get(each, ())) for each in kinds]
        return sum(sizes[: kinds.index(kind)]) + index, sum(sizes)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None, None


def check(environ: dict[str, str]) -> None:
    """ValueError, in the entrypoint's words: it contradicts the mode, or is no seed or mode at all."""
    seed(environ)
    wanted = mode(environ)
    workspace, hash_seed = environ.get("CUBLAS_WORKSPACE_CONFIG", ":4096:8"), environ.get("PYTHONHASHSEED", "random")
    if wanted != "off" and workspace not in (":4096:8", ":16:8"):
        raise ValueError(f"CUBLAS_WORKSPACE_CONFIG={workspace}: expected :4096:8 or :16:8, or SEEDBED_MODE=off")
    if not is_seed(hash_seed) and (wanted == "strict" or hash_seed != "random"):
        raise ValueError(
            f"PYTHONHASHSEED={hash_seed}: expected a whole number from 0 to {LARGEST_SEED} in mode {wanted}"
        )


def adjust(environ: dict[str, str], mode: str, libraries: tuple[str, ...] = ()) -> None:
    """Make `environ` what `mode` wants for any Python and for `libraries`; a value that is not ours stays.

    In mode off the libraries do not matter: nothing that was ours is left.
    """
    now, ever = words(environ), our_words(environ)
    for setting in VARIABLES:
        found, wanted = environ.get(setting.name), setting.values[mode]
        ours = found in {value.format(**meaning) for value in setting.values.values() if value for meaning in ever}
        if wanted is None:
            if ours:
                del environ[setting.name]
        elif ours or (found is None and concerns(setting, libraries)):
            environ[setting.name] = wanted.format(**now)


def for_command(environ: dict[str, str], **chosen: str | None) -> dict[str, str]:
    """`environ` as a command needs it, whatever mode and seed it was made for. `chosen`: others in place of its own.

    ValueError: there is no such seed or mode, or a variable contradicts the mode.
    """
    from importlib.util import find_spec  # not at the top: the hook reads this file

    found = dict(environ)
    adjust(found, "off")
    found |= {name: value for name, value in chosen.items() if value is not None}
    adjust(found, mode(found), tuple(filter(find_spec, GPU)))
    check(found)
    return found


def options(environ: dict[str, str], **chosen: str | None) -> dict[str, str]:
    """What users tell Seedbed, for another machine: defaults are written out, since an image may have others.

    `chosen`: see `for_command`. ValueError: there is no such seed or mode.
    """
    found = {"SEEDBED_SEED": str(DEFAULT_SEED), "SEEDBED_MODE": DEFAULT_MODE}
    found |= {name: environ[name] for name in OPTIONS if name in environ}
    found |= {name: value for name, value in chosen.items() if value is not None}
    mode(found)
    return found | {"SEEDBED_SEED": str(seed(found, 0))}


def concerns(setting: Setting, libraries: tuple[str, ...]) -> bool:
    """Whether the setting is for any Python, or for one of `libraries`."""
    return not setting.libraries or any(library in setting.libraries for library in libraries)


def baked_environment(libraries: tuple[str, ...]) -> dict[str, str]:
    """The ENV of an image with `libraries`: the defaults, and what mode strict sets but for the number of threads."""
    environ = {"SEEDBED_SEED": str(DEFAULT_SEED), "SEEDBED_MODE": DEFAULT_MODE}
    for setting in VARIABLES:
        value = setting.values[DEFAULT_MODE]
        if value and "{threads}" not in value and concerns(setting, libraries):
            environ[setting.name] = value.format(seed=DEFAULT_SEED)
    return environ


def words(environ: dict[str, str]) -> dict[str, str]:
    """What `{seed}` and `{threads}` stand for in this run."""
    return {"seed": environ.get("SEEDBED_SEED", str(DEFAULT_SEED)), "threads": str(threads(environ))}


def our_words(environ: dict[str, str]) -> tuple[dict[str, str], ...]:
    """What they may have stood for where the image, the entrypoint or an earlier hook has set a variable."""
    baked = {"seed": str(DEFAULT_SEED), "threads": str(available_cpus())}
    return baked, {"seed": environ.get("SEEDBED_SEED", ""), "threads": str(share_of_cpus(environ))}


def threads(environ: dict[str, str]) -> int:
    """The user's OMP_NUM_THREADS, otherwise this process's share of the CPUs."""
    chosen = environ.get("OMP_NUM_THREADS", "")
    if is_number(chosen) and int(chosen) != available_cpus():
        return int(chosen)
    return share_of_cpus(environ)


def threads_are_ours(environ: dict[str, str]) -> bool:
    """Whether OMP_NUM_THREADS is what Seedbed sets by itself; a value of the user's own that is the same counts too."""
    return environ.get("OMP_NUM_THREADS") in {words["threads"] for words in our_words(environ)}


def share_of_cpus(environ: dict[str, str]) -> int:
    """The CPUs, divided among the ranks that torchrun has started on this machine; at least 1."""
    ranks_here = environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, available_cpus() // max(1, int(ranks_here) if is_number(ranks_here) else 1))


def available_cpus() -> int:
    """How many CPUs this process may use: its affinity, or less where a control group sets a quota."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(affinity, quota_cpus() or affinity)


def quota_cpus() -> int | None:
    """The control group's quota in whole CPUs, rounded up; None where there is none."""
    try:
        quota, period = read_words(f"{CGROUP}/cpu.max")
    except (OSError, ValueError):  # there is none, or another file lies over it
        try:
            (quota,), (period,) = (read_words(f"{CGROUP}/cpu/cpu.cfs_{word}_us") for word in ("quota", "period"))
        except (OSError, ValueError):
            return None
    return None if quota in ("max", "-1") else -(-int(quota) // int(period))


def shared_memory() -> int | None:
    """The bytes of /dev/shm; None if there is none."""
    try:
        found = os.statvfs(SHARED_MEMORY)
    except OSError:
        return None
    return found.f_blocks * found.f_frsize


def shared_memory_is_small() -> bool:
    """Whether it is no larger than what Docker gives a container that asks for nothing."""
    found = shared_memory()
    return found is not None and found <= DOCKERS_SHARED_MEMORY


def read_words(path: str) -> list[str]:
    """The words of a small file."""
    with open(path, encoding="ascii") as file:  # noqa: PTH123 - pathlib would cost every Python process milliseconds
        return file.read().split()
