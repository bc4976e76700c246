"""What a session on a GPU measures, part by part. `run.py` starts one process for each part:

    python3 benchmarks/gpu/parts.py results/bits.json SCRATCH_ENVIRONMENT

The file says what to do, and gets each row as soon as there is one: whatever ends the process, the file is valid.
Signals are not handled, so that no row is written about processes that the same signal has ended.
"""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
from builder import files, paths  # noqa: E402
from builder.errors import SeedbedError  # noqa: E402
from builder.outcomes import Finished, Result  # noqa: E402
from builder.smoke import host  # noqa: E402
from builder.smoke.checks import Skipped, side_by_side  # noqa: E402
from builder.smoke.host import say  # noqa: E402
from builder.smoke.venv import Host  # noqa: E402
from builder.text import last_line  # noqa: E402

PARALLEL = min(4, os.cpu_count() or 1)  # processes on the GPU at a time, except where time is measured
MARGIN = 3  # seconds of a part's limit that are kept for its start and its end
LEAST = 5  # seconds without which no process is started
UNSHARED = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # several processes use one GPU's memory
LIBRARIES = {"eager": "torch", "compiled": "torch", "jax": "jax"}
"""What each group of workloads needs."""

SMOKED = ("pytorch-cuda13", "jax")
"""The images whose checks are made: one for each library that is measured."""

COSTS = {
    "off": {"SEEDBED_MODE": "off"},
    "warn": {"SEEDBED_MODE": "warn"},
    "strict": {"SEEDBED_MODE": "strict"},
    "warn, fill": {"SEEDBED_MODE": "warn", "SEEDBED_FILL_UNINITIALIZED": "1"},
    "strict, fill": {"SEEDBED_MODE": "strict", "SEEDBED_FILL_UNINITIALIZED": "1"},
}
DOUBTFUL = (
    "nothing",
    "CUBLAS_WORKSPACE_CONFIG",
    "torch.use_deterministic_algorithms",
    "use_deterministic_algorithms and cudnn.deterministic",
)
REMOVED = {
    "eager": (
        *DOUBTFUL,
        "torch.backends.cudnn.deterministic",
        "torch.backends.cudnn.benchmark",
        "torch.utils.deterministic.fill_uninitialized_memory",
        "torch.manual_seed",
    ),
    "compiled": (
        "nothing",
        "TORCHINDUCTOR_DETERMINISTIC",
        "TORCHINDUCTOR_SHAPE_PADDING",
        "TORCHINDUCTOR_DYNAMIC_SCALE_RBLOCK",
    ),
    "jax": ("nothing", "XLA_FLAGS"),
}
"""What is removed, one row at a time, in each group of workloads."""

LEFT = {
    "NPROC": "threads on the CPU; images/jax/smoke/threads.py counts them",
    "NCCL_ALGO": "needs several GPUs",
    "NCCL_NVLS_ENABLE": "needs several GPUs",
    "FLASH_ATTENTION_DETERMINISTIC": "needs the flash-attn package",
    "NVTE_ALLOW_NONDETERMINISTIC_ALGO": "needs Transformer Engine",
    "torch.seed()": "concerns no GPU: measured in tests/image/test_rows.py",
    "torch.backends.mkldnn.deterministic": "concerns no GPU: measured in tests/image/test_rows.py",
    "torch.sqrt": "concerns no GPU: measured in tests/image/test_rows.py",
}
"""The other rows for torch and JAX, and why they are not measured here."""


@dataclass(frozen=True)
class Job:
    """One process that runs a group of workloads."""

    group: str
    configuration: str
    round: int
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()


@dataclass
class Bench:
    """A Python with the startup hook, and the document of the part, whose `options` say what is wanted."""

    host: Host
    path: Path
    document: dict[str, Any]
    began: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def device(self) -> str:
        return self.document["options"]["device"]

    @property
    def quick(self) -> bool:
        return self.document["options"]["quick"]

    def runs(self, full: int) -> range:
        return range(min(full, 2) if self.quick else full)

    def left(self) -> float:
        """Seconds until the limit."""
        return self.document["options"]["limit"] - MARGIN - (time.monotonic() - self.began)

    def write(self, **facts: Any) -> None:
        self.document |= facts | {"seconds": round(time.monotonic() - self.began, 1)}
        write(self.path, self.document)

    def add(self, row: dict[str, Any], machine: Mapping[str, Any] | None = None) -> None:
        with self.lock:
            self.document["rows"].append(row)
            self.document["machine"] |= machine or {}
            self.write()

    def leave_out(self) -> None:
        with self.lock:
            self.write(left_out=self.document["left_out"] + 1)

    def finish(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> Finished:
        return self.host.finish(command, environment=environment, folder=folder, timeout=max(1.0, self.left()))

    def work(self, job: Job) -> None:
        """Run one process, and add everything that it did, if there is as much time as the others of its group took."""
        others = [row["seconds"] for row in self.document["rows"] if row["group"] == job.group]
        if self.left() < max([LEAST, *others]):
            self.leave_out()
            return
        command = ["python", str(HERE / "work.py"), job.group, "--device", self.device, *job.arguments]
        began = time.monotonic()
        done = self.finish(command + ["--quick"] * self.quick, {"SEEDBED_QUIET": "1", **job.environment})
        lines = list(objects(done.stdout))
        row = {"group": job.group, "configuration": job.configuration, "round": job.round, "status": done.status}
        row["seconds"] = round(time.monotonic() - began, 1)
        row |= {"said": last_line(done.stderr)} if done.status else {}
        say(f"{job.group}, {job.configuration}, round {job.round}: {row['seconds']} s {row.get('said', '')}")
        row["results"] = [line for line in lines if "workload" in line]
        self.add(row, next((line["machine"] for line in lines if "machine" in line), None))

    def work_all(self, jobs: Iterable[Job], parallel: int = PARALLEL) -> None:
        """In this order: what there is no time for is left out from the end."""
        list(side_by_side(self.work, list(jobs), parallel))

    def groups(self, *names: str) -> list[str]:
        """Those that have their library here; `Skipped`: none of them has."""
        missing = self.host.missing(["torch", "jax"])
        if not (found := [name for name in names if LIBRARIES[name] not in missing]):
            raise Skipped(f"not installed here: {', '.join(missing)}")
        return found


def objects(text: str) -> Iterator[dict[str, Any]]:
    """Those that are a line of JSON each; a process that was killed may leave a part of one."""
    for line in text.splitlines():
        with suppress(ValueError):
            if isinstance(found := json.loads(line), dict):
                yield found


def smoke(bench: Bench) -> None:
    """`smoke --host --gpu require`, without the third-party programs, which run on the CPU."""
    images = host.images(paths.IMAGES, SMOKED)

    def test(image: Path) -> list[Result]:
        results = []
        for result in host.test(image, bench.host, programs=()):
            results.append(result)
            bench.add({"image": image.name, **asdict(result)})
        return results

    results = dict(zip(SMOKED, side_by_side(test, images), strict=True))
    computing = host.computing(images) if bench.device == "cuda" else None
    if complaint := host.complaint_about(results, computing):
        raise SeedbedError(complaint)


def bits(bench: Bench) -> None:
    """Every workload in fresh processes in strict and off, then in warn."""
    groups, runs = bench.groups("eager"), bench.runs(10)
    bench.work_all([*in_modes(groups, runs, "strict", "off"), *in_modes(groups, runs, "warn")])


def cost(bench: Bench) -> None:
    """Seconds and memory, one process at a time; each round goes through the configurations in another order."""
    names, groups = list(COSTS), bench.groups("eager")
    bench.work_all(
        (
            Job(group, name, number, COSTS[name], ("--timed",))
            for number in bench.runs(5)
            for group in groups
            for name in names[number % len(names) :] + names[: number % len(names)]
        ),
        parallel=1,
    )


def proof(bench: Bench) -> None:
    """A golden fingerprint, five equal runs, and the name of a real operation that does not repeat."""
    bench.host.need("torch")
    train = ["python", "examples/digits_torch.py", "--epochs", "1" if bench.quick else "3"]
    diverges = ["python", "benchmarks/gpu/diverges.py", bench.device]
    golden = str(bench.host.folder / "tmp" / "golden.json")
    verify = ["seedbed", "verify", "--json", "--parallel", str(PARALLEL), "-n"]
    prove(bench, "golden, recorded", 0, ["seedbed", "golden", "--record", golden, "--", *train])
    prove(bench, "golden, checked", 0, ["seedbed", "golden", golden, "--", *train])
    prove(bench, "trace of what diverges", 1, ["seedbed", "trace", "--json", "--", *diverges])
    prove(bench, "verify", 0, [*verify, "2" if bench.quick else "5", "--", *train])
    prove(bench, "verify of what diverges", 1, [*verify, "3", "--", *diverges])


def prove(bench: Bench, name: str, expected: int, command: list[str]) -> None:
    if bench.left() < LEAST:
        bench.leave_out()
        return
    began = time.monotonic()
    done = bench.finish(command, folder=ROOT)
    row = {"name": name, "status": done.status, "expected": expected, "found": what_was_found(done.stdout)}
    row["seconds"] = round(time.monotonic() - began, 1)
    say(f"{name}: {row['seconds']} s, status {done.status}, expected {expected}")
    bench.add(row | ({"said": last_line(done.stderr)} if done.status != expected else {}))


def what_was_found(stdout: str) -> Any:
    """What a command reports as JSON, without the facts about the machine; else the last line that it printed."""
    try:
        return {name: value for name, value in json.loads(stdout).items() if name != "facts"}
    except ValueError:
        return last_line(stdout)


def variables(bench: Bench) -> None:
    """In strict, with one row of the table of settings removed; the most doubtful rows first."""
    groups, runs = bench.groups("eager", "compiled", "jax"), bench.runs(3)
    every = [(group, removed) for group in groups for removed in REMOVED[group]]
    first = [(group, removed) for group, removed in every if group == "eager" and removed in DOUBTFUL]
    bench.work_all(
        Job(group, removed, number, {"SEEDBED_MODE": "strict"}, ("--without", removed))
        for rows in (first, [row for row in every if row not in first])
        for number in runs
        for group, removed in rows
    )


def others(bench: Bench) -> None:
    """Compiled code and JAX in fresh processes, in strict and off."""
    bench.work_all(in_modes(bench.groups("compiled", "jax"), bench.runs(10), "strict", "off"))


def in_modes(groups: Sequence[str], runs: Iterable[int], *modes: str) -> list[Job]:
    return [Job(group, mode, run, {"SEEDBED_MODE": mode}) for run in runs for group in groups for mode in modes]


@dataclass(frozen=True)
class Part:
    """What it does, and for how many seconds in a session of all parts."""

    measure: Callable[[Bench], None]
    seconds: int


PARTS = {
    "smoke": Part(smoke, 90),
    "bits": Part(bits, 150),
    "cost": Part(cost, 120),
    "proof": Part(proof, 60),
    "variables": Part(variables, 60),
    "others": Part(others, 50),
}
"""In order of importance."""

CUT_SHORT, DONE = "cut short", "done"
"""States of a part: as long as it runs, and once it has done all that there was time for."""


def write(path: Path, document: Mapping[str, Any]) -> None:
    files.write(path, json.dumps(document, indent=1) + "\n")


def main(path: Path, environment: Path) -> int:
    os.environ.update(UNSHARED)
    document = json.loads(path.read_text(encoding="utf-8"))
    gpu = "require" if document["options"]["device"] == "cuda" else "off"
    bench = Bench(Host(environment, sys.version_info[:3], environment, gpu), path, document)
    try:
        PARTS[document["part"]].measure(bench)
        state = DONE
    except Skipped as skipped:
        state = f"skipped: {skipped}"
    except SeedbedError as error:
        state = f"failed: {error}"
    except Exception as error:
        traceback.print_exc()
        state = f"failed: {error!r}"
    bench.write(state=state)
    return 1 if state.startswith("failed") else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
