"""At exit, after an error that mode strict has caused: which operation it was, and what helps.

Python keeps the exception that ended the program (sys.last_value), whoever has printed it, so that nobody's excepthook
is replaced; only those of threads have to be caught. A script that catches the error and exits by itself hears nothing.
In a notebook the line comes after the cell.
"""

import atexit
import os
import re
import sys
import threading
from collections.abc import Iterator
from types import ModuleType

from seedbed import environment, terminal

WARN = "SEEDBED_MODE=warn runs it and only warns; its result may then differ from run to run"
REFUSED = f"mode strict refuses {{0}}, which has no deterministic implementation: {WARN}"
UNSEEDED = (
    "{0} have no seed because it was set to None (tf.random.set_seed, graph.seed): leave it; or because a raw op was "
    "called without one: pass seed= and seed2=; "
    "SEEDBED_MODE=warn runs them without one, and they differ from run to run"
)
CUBLAS = "cuBLAS repeats only with {0}=:4096:8 (or :16:8), which the image sets: leave it, or use SEEDBED_MODE=warn"
TIMING = (
    "torch.compile does not pick kernels by timing them in this mode: leave out what asks for it, such as "
    "TORCHINDUCTOR_BENCHMARK_FUSION or TORCHINDUCTOR_MULTI_KERNEL, or use SEEDBED_MODE=off"
)
CAUSES = (  # what an error says, and what helps; {0} is the operation, as the error names it
    (r"([\w:]+) does not (?:yet )?have a deterministic (?:\w+ )?implementation", REFUSED),
    (r"([^.,:\n]+?) do(?:es)? not (?:yet )?have a deterministic (?:\w+ )?implementation", REFUSED),
    (r"(?i)deterministic GPU implementation of ([\w -]+?),? (?:when [^.]*?)?(?:is )?not ", REFUSED),
    (r"Determinism is not yet supported (?:for|in GPU implementation of) ([\w ]+?)(?: with|\.|$)", REFUSED),
    (r"GPU implementation of (\w+) that would have been executed is not deterministic", REFUSED),
    (r"([\w.]+)\"? cannot be called when determinism is enabled", REFUSED),
    (r"(?s)Deterministic behavior was enabled.*?(CUBLAS_WORKSPACE_CONFIG)", CUBLAS),
    (r"(?s)Deterministic backward for (\w+) .*? requires ", REFUSED),
    (r"In the deterministic mode of (Inductor)", TIMING),
    (r"([Rr]andom ops) (?:require|must have) a seed", UNSEEDED),
    (
        r"torch\.use_deterministic_algorithms|op[- _]determinism|TF_DETERMINISTIC_OPS|determinism is enabled"
        r"|NVTE_ALLOW_NONDETERMINISTIC_ALGO|xla_gpu_(?:deterministic|exclude_nondeterministic)_ops",
        f"mode strict refuses {{0}}: {WARN}",
    ),
)
NOT_OURS = (AttributeError, ImportError, KeyError, SyntaxError, TypeError)  # no framework refuses an operation so
of_threads: list[BaseException] = []


def watch() -> None:
    """Look at exit at what has ended the program or one of its threads. Once; in strict only."""
    if environment.mode(os.environ) != "strict" or getattr(threading.excepthook, "__module__", "") == __name__:
        return
    before = threading.excepthook

    def excepthook(arguments) -> None:
        before(arguments)
        if arguments.exc_value is not None:
            of_threads.append(arguments.exc_value)

    threading.excepthook = excepthook
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell:
        shell.events.register("post_run_cell", lambda result: say(result.error_in_exec))
    else:
        atexit.register(report)
        if util := sys.modules.get("multiprocessing.util"):
            watch_children(util)


def watch_children(util: ModuleType) -> None:
    """A child of multiprocessing ends without atexit, but runs its own finalizers while the exception is still up."""

    def finalize(_: object = None) -> None:
        util.Finalize(None, lambda: say(sys.exc_info()[1]), exitpriority=-100)

    finalize()
    util.register_after_fork(util, finalize)  # a forked child forgets its finalizers


def report() -> None:
    """The lines for each error that the mode has caused, each once."""
    say(*of_threads, getattr(sys, "last_value", None))


def say(*errors: BaseException | None) -> None:
    for line in dict.fromkeys(line for error in errors if isinstance(error, BaseException) and (line := advice(error))):
        terminal.log(line)


def advice(error: BaseException) -> str | None:
    """What helps against an error, or against what it was raised from; None: the mode has not caused it."""
    for found in chain(error):
        if isinstance(found, NOT_OURS):
            continue
        text = str(found)
        for pattern, remedy in CAUSES:
            if match := re.search(pattern, text):
                named = match[1].strip() if match.re.groups else operation(found) or "an operation"
                return remedy.format(named)
    return None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """It, those of its group, and what each was raised from."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        error = waiting.pop()
        if error is not None and id(error) not in seen:
            seen.add(id(error))
            yield error
            waiting += [error.__cause__ or error.__context__, *reversed(getattr(error, "exceptions", ()))]


def operation(error: BaseException) -> str:
    """What TensorFlow says beside the text: the type of the operation that raised it; empty for other errors."""
    node = getattr(error, "node_def", None)
    return str(getattr(node, "op", "") or "")
