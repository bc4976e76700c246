"""The changes that a hunt tries, one at a time: each takes away one thing that can make runs differ.

Each change notes where in the user's code it made a difference to a call, and can be held to some of these places.
"""

import inspect
import itertools
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType

from seedbed import callers
from seedbed.trace import journal
from seedbed.wrapping import around

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC"), "1"
)
START = 1.7e9  # seconds: what a stopped clock shows
SECONDS_PER_LOOK = 0.001  # by which a stopped clock goes on, or loops that wait for it would never end
LONGEST_WAIT = 5.0  # seconds that one thread or process may keep the others waiting: it may be waiting for them

_acted: set[str] = set()


@dataclass(frozen=True)
class Change:
    """What is changed, and what is to blame where that makes runs equal."""

    does: str
    blames: str
    libraries: tuple[str, ...] = ()  # it makes no sense without one of these
    environ: dict[str, str] = field(default_factory=dict)
    at_start: Callable[[], None] = lambda: None
    when_ready: dict[str, Callable[[ModuleType], None]] = field(default_factory=dict)
    fill: int | None = None
    gpu: bool = False  # it makes no sense without one
    hash_seed: bool = False  # it makes no sense where Python's hash seed is fixed


def start() -> None:
    if journal.plan.change:
        CHANGES[journal.plan.change].at_start()


def watch(name: str, module: ModuleType) -> None:
    """Called when a library is ready."""
    if journal.plan.change and name in CHANGES[journal.plan.change].when_ready:
        CHANGES[journal.plan.change].when_ready[name](module)


def acts_at(place: str) -> bool:
    """Whether the change is to be made to a call from there; notes where that is."""
    if not place or (journal.plan.places and place not in journal.plan.places):
        return False
    if place not in _acted:
        _acted.add(place)
        journal.write(acted=place)
    return True


def users_place() -> str:
    """Where the user's code is, even if it is a library's code that calls."""
    return next(iter(journal.places()), "").partition(" in ")[0]


def callers_place() -> str:
    """Where the user's code calls; empty: a library calls, for purposes of its own."""
    caller = callers.caller()
    return f"{caller[0]}:{caller[1]}" if caller else ""


def replace(owner: object, name: str, changed: Callable[..., object], where: Callable[[], str] = users_place) -> None:
    """Have `owner.name` call `changed(original, *args, **kwargs)` where the change is to be made."""

    def call(original, *args, **kwargs):
        return changed(original, *args, **kwargs) if acts_at(where()) else original(*args, **kwargs)

    around(owner, name, call)


def without(*names: str) -> Callable[..., object]:
    """Makes the call without these arguments, so that they have their defaults."""

    def call(original, *args, **kwargs):
        given = inspect.signature(original).bind(*args, **kwargs)
        for name in names:
            given.arguments.pop(name, None)
        return original(*given.args, **given.kwargs)

    return call


def alone(original, *args, **kwargs):
    """Makes the call for one worker."""
    given = inspect.signature(original).bind(*args, **kwargs)
    number = next(name for name in ("processes", "max_workers") if name in inspect.signature(original).parameters)
    given.arguments[number] = 1
    return original(*given.args, **given.kwargs)


def one_worker() -> None:
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
    from multiprocessing.context import BaseContext
    from multiprocessing.pool import ThreadPool
    from multiprocessing.process import BaseProcess

    replace(BaseContext, "Pool", alone)
    for pool in (ThreadPool, ThreadPoolExecutor, ProcessPoolExecutor):
        replace(pool, "__init__", alone)
    replace(threading.Thread, "start", one_after_the_other, callers_place)  # a library's own threads serve for long
    replace(BaseProcess, "start", one_after_the_other, callers_place)


def one_after_the_other(start, worker) -> None:
    start(worker)
    worker.join(LONGEST_WAIT)


def no_loader_workers(torch: ModuleType) -> None:
    of_workers = ("num_workers", "prefetch_factor", "persistent_workers", "multiprocessing_context", "timeout")
    replace(torch.utils.data.DataLoader, "__init__", without(*of_workers))


def serial_datasets(tensorflow: ModuleType) -> None:
    for name in ("map", "interleave"):
        replace(tensorflow.data.Dataset, name, without("num_parallel_calls", "deterministic"))


def stop_clock() -> None:
    """Each look at the clock gives a fixed time, a little later than the last."""
    looks = itertools.count()
    for name in ("time", "monotonic", "perf_counter"):
        replace(time, name, lambda _: START + next(looks) * SECONDS_PER_LOOK, callers_place)
        replace(time, f"{name}_ns", lambda _: int((START + next(looks) * SECONDS_PER_LOOK) * 1e9), callers_place)


def fix_entropy() -> None:
    import random

    from seedbed.process import stream

    fixed = stream("entropy")
    replace(os, "urandom", lambda _, size: fixed.randbytes(size), callers_place)
    random._urandom = os.urandom


def fix_seeds_of_generators(torch: ModuleType) -> None:
    from seedbed.process import stream

    fixed = stream("entropy")
    replace(torch.Generator, "seed", lambda _, generator: generator.manual_seed(fixed.getrandbits(63)).initial_seed())


def no_attention_kernels(torch: ModuleType) -> None:
    for name in ("flash", "mem_efficient", "cudnn"):
        getattr(torch.backends.cuda, f"enable_{name}_sdp")(False)


def no_benchmark(torch: ModuleType) -> None:
    torch._C._set_cudnn_benchmark(False)
    type(torch.backends.cudnn).benchmark = property(lambda _: False, lambda *_: None)


def keep_deterministic(torch: ModuleType) -> None:
    torch.use_deterministic_algorithms(True)
    replace(torch, "use_deterministic_algorithms", lambda *_, **__: None)


def keep_threads(torch: ModuleType) -> None:
    torch.set_num_threads(1)
    torch.set_num_threads = lambda *_: None


CHANGES = {
    "threads": Change(
        "one thread for numerical work",
        "work that is divided among threads",
        environ=ONE_THREAD,
        when_ready={"torch": keep_threads},
    ),
    "workers": Change(
        "no data workers, pools of one worker, threads and processes one after the other",
        "work that is divided among workers or threads, and the order of its results",
        at_start=one_worker,
        when_ready={"torch": no_loader_workers, "tensorflow": serial_datasets},
    ),
    "fill": Change(
        "uninitialised memory filled with zeros",
        "memory that is read before it is written",
        libraries=("torch", "numpy"),
        fill=0,
    ),
    "algorithms": Change(
        "mode strict, even if the script sets something else",
        "an operation whose algorithm is not deterministic",
        environ={"SEEDBED_MODE": "strict"},
        when_ready={"torch": keep_deterministic},
    ),
    "attention": Change(
        "attention without fused kernels",
        "the backward pass of fused attention",
        gpu=True,
        when_ready={"torch": no_attention_kernels},
    ),
    "benchmark": Change(
        "cuDNN's autotuning off, whatever the script sets",
        "kernels chosen by timing",
        gpu=True,
        when_ready={"torch": no_benchmark},
    ),
    "hash seed": Change(
        "PYTHONHASHSEED=0",
        "the order of sets of strings",
        hash_seed=True,
        environ={"PYTHONHASHSEED": "0"},
    ),
    "clock": Change(
        "a clock with the same times in every run",
        "the time of day",
        at_start=stop_clock,
    ),
    "entropy": Change(
        "fixed bytes in place of the operating system's entropy",
        "a generator that takes its seed from the operating system",
        at_start=fix_entropy,
        when_ready={"torch": fix_seeds_of_generators},
    ),
    "oneDNN": Change(
        "TensorFlow without oneDNN",
        "a kernel of oneDNN",
        libraries=("tensorflow",),
        environ={"TF_ENABLE_ONEDNN_OPTS": "0"},
    ),
}
