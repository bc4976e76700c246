"""What the user's sources hold that no seed fixes: races, sets, clocks, entropy, addresses, the machine's load."""

import ast
from dataclasses import dataclass
from pathlib import Path

from seedbed import lint

ORDER, SHARING, OUTSIDE, NATIVE = "order", "sharing", "outside", "native"


@dataclass(frozen=True)
class Suspect:
    """One place, and what is wrong there. `kind` says how it can change a result."""

    kind: str
    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {self.what}" if self.line else f"{self.file}  {self.what}"


CALLS = {
    "Pool": (SHARING, "which worker gets which task is a race: draw random numbers per task, from the task's own seed"),
    "ThreadPool": (SHARING, "which thread gets which task is a race"),
    "ProcessPoolExecutor": (SHARING, "which worker gets which task is a race: draw random numbers per task"),
    **dict.fromkeys(("ThreadPoolExecutor", "Thread"), (SHARING, "which thread comes first is a race")),
    "Process": (SHARING, "which process comes first is a race: draw random numbers per task, from the task's own seed"),
    **dict.fromkeys(
        ("urandom", "SystemRandom", "uuid1", "uuid4", "token_bytes", "token_hex"),
        (OUTSIDE, "the operating system's entropy"),
    ),
    **dict.fromkeys(("time", "time_ns", "now", "utcnow", "perf_counter", "monotonic"), (OUTSIDE, "the clock")),
    **dict.fromkeys(("getloadavg", "cpu_percent", "virtual_memory"), (OUTSIDE, "the machine's load")),
    "id": (OUTSIDE, "addresses differ in every run"),
    "getpid": (OUTSIDE, "the process's number"),
}
KEYWORDS = {
    "in_order": (ORDER, "batches come in the order in which workers have them ready"),
    "deterministic": (ORDER, "elements come in the order in which threads have them ready"),
}
PARALLEL = (SHARING, "random numbers inside are drawn in the order of the threads")


def of_file(file: str) -> list[Suspect]:
    """By line; none where the file cannot be read or parsed."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = {(node.lineno, *CALLS[name]) for node in calls if (name := called(node)) in CALLS}
    found |= {(node.lineno, *reason) for node in calls for reason in reasons_in_keywords(node)}
    found |= {(line, ORDER, what) for line, what in lint.unordered(file)}
    return [Suspect(kind, file, line, what) for line, kind, what in sorted(found)]


def called(node: ast.Call) -> str:
    """The last name of what it calls."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def reasons_in_keywords(node: ast.Call) -> list[tuple[str, str]]:
    """`in_order=False` and the like, and maps in parallel."""
    false = {word.arg for word in node.keywords if isinstance(word.value, ast.Constant) and word.value.value is False}
    parallel = any(word.arg == "num_parallel_calls" for word in node.keywords)
    return [KEYWORDS[name] for name in false if name in KEYWORDS] + [PARALLEL] * parallel
