"""torch: seeds, deterministic algorithms, cuDNN and oneDNN, without starting CUDA."""

import _thread
import os
import sys
from types import ModuleType

from seedbed import environment, process, terminal
from seedbed.wrapping import after, around

SECONDS_TO_SHUFFLE = 5  # one number


def configure(torch: ModuleType) -> None:
    seed = process.seed("torch")
    torch.manual_seed(seed)  # GPUs included: their part waits until CUDA starts
    process.follow("torch", torch.manual_seed, torch.initial_seed, lambda: is_locked(torch))
    note_restored_states(torch)
    # As use_deterministic_algorithms, which since torch 2.10 takes a second more: it imports the compiler's settings,
    # to set there, for this thread, what TORCHINDUCTOR_DETERMINISTIC sets for all.
    torch.set_deterministic_debug_mode("warn" if process.mode == "warn" else "error")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.mkldnn.deterministic = True
    torch.utils.deterministic.fill_uninitialized_memory = os.environ.get("SEEDBED_FILL_UNINITIALIZED") == "1"
    choose_vector_kernels(torch)
    derive_missing_seed(torch)
    name_small_shared_memory()
    keep_signals_from_workers()


def is_locked(torch: ModuleType) -> bool:
    """Whoever seeds waits with Python's own lock held, so a thread tries: it waits without. One number is no draw."""
    done = _thread.allocate_lock()
    done.acquire()

    def shuffle() -> None:
        torch.randperm(1)
        done.release()

    _thread.start_new_thread(shuffle, ())
    return not done.acquire(timeout=SECONDS_TO_SHUFFLE)


def note_restored_states(torch: ModuleType) -> None:
    """Note a state of the CPU's generator that the user saved before; the seed can be asked for, the state not."""

    def note(_: object, new_state) -> None:
        restored = new_state.clone()
        process.note("torch", lambda: process.digest(bytes(restored.tolist())))

    if hasattr(torch, "set_rng_state"):
        after(torch, "set_rng_state", note)
        torch.random.set_rng_state = torch.set_rng_state


def choose_vector_kernels(torch: ModuleType) -> None:
    """Take a root in one thread. MKL chooses its vector kernels for this processor at the first call of any.

    It stores the processor's kind in two steps, and a thread that calls in between gets another kernel: roots that are
    wrong in 12 of 24 bits, in a processor with AVX-512 of Intel's (pytorch #188792).
    """
    if hasattr(torch, "ones"):
        torch.ones(1).sqrt()


def derive_missing_seed(torch: ModuleType) -> None:
    """`torch.seed()` takes the next number of a stream."""
    missing = process.stream("torch.seed")

    def seed() -> int:
        return torch.manual_seed(missing.getrandbits(64)).initial_seed()

    seed.__doc__ = torch.seed.__doc__
    torch.seed = torch.random.seed = seed


def name_small_shared_memory() -> None:
    """Before the first DataLoader starts workers, say that /dev/shm is too small for their batches, if it is.

    Where it is full they end with a bus error, which names neither (pytorch #5040, #16979).
    """
    dataloader = sys.modules.get("torch.utils.data.dataloader")
    iterator = getattr(dataloader, "_MultiProcessingDataLoaderIter", None)
    if iterator is None or not environment.shared_memory_is_small():
        return
    start_workers = iterator.__init__

    def __init__(self, loader):
        iterator.__init__ = start_workers
        terminal.log(f"DataLoader workers share batches in /dev/shm, which has {environment.SHARED_MEMORY_ADVICE}")
        start_workers(self, loader)

    iterator.__init__ = __init__


def keep_signals_from_workers() -> None:
    """Give every DataLoader worker a process group of its own, so that only the training is asked to stop.

    torchrun and `timeout` signal the training's whole group: its workers would die first, and the training of that
    before it has saved. A worker still ends with its training, however that ends: it looks whether that is there.
    On a terminal all stay one group, for Ctrl-Z, and for a debugger in a worker, which could not read from it.
    """
    worker = sys.modules.get("torch.utils.data._utils.worker")
    if not hasattr(worker, "_worker_loop"):
        return

    def in_group_of_its_own(loop, *arguments, **named):
        if not os.isatty(0) and os.getsid(0) != os.getpid():
            os.setpgid(0, 0)
        return loop(*arguments, **named)

    around(worker, "_worker_loop", in_group_of_its_own)  # with its name: spawned workers get it by name


def state(torch: ModuleType) -> dict[str, str]:
    algorithms = ("False", "True, warn_only=True", "True")[torch.get_deterministic_debug_mode()]
    return {
        "torch.manual_seed": str(torch.initial_seed()),
        "torch.seed()": "derived from the seed" if torch.seed.__module__ == __name__ else "random",
        "torch.use_deterministic_algorithms": algorithms,
        "torch.backends.cudnn.deterministic": str(torch.backends.cudnn.deterministic),
        "torch.backends.cudnn.benchmark": str(torch.backends.cudnn.benchmark),
        "torch.backends.mkldnn.deterministic": str(torch.backends.mkldnn.deterministic),
        "torch.sqrt": "called once",
        "torch.utils.deterministic.fill_uninitialized_memory": str(torch.utils.deterministic.fill_uninitialized_memory),
    }
