"""Bits and their price on a GPU: one command a part, each within ten minutes; docs/gpu.md tells what they are for.

    python3 benchmarks/gpu/run.py bits --device cuda --output "$OUT"
    python3 benchmarks/gpu/run.py bits --device cpu --quick --output results      # a rehearsal, under two minutes

Needs a Python with torch or JAX, or both, and nothing else: the start-up layer comes from this checkout, in a scratch
environment. Writes PART.json, all that was seen, and prints the tables; `show PART.json…` prints them again.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
from benchmarks.gpu import show  # noqa: E402
from builder.errors import SeedbedError  # noqa: E402
from builder.outcomes import Finished  # noqa: E402
from builder.smoke import host, venv  # noqa: E402
from builder.smoke.host import Host  # noqa: E402

MODES = ("strict", "warn", "off")
LIMIT = 540  # seconds; a command on the machines this was made for has 600
UNSHARED = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # several processes use one GPU's memory

COSTS = {
    "off": {"SEEDBED_MODE": "off"},
    "warn": {"SEEDBED_MODE": "warn"},
    "strict": {"SEEDBED_MODE": "strict"},
    "warn, fill": {"SEEDBED_MODE": "warn", "SEEDBED_FILL_UNINITIALIZED": "1"},
    "strict, fill": {"SEEDBED_MODE": "strict", "SEEDBED_FILL_UNINITIALIZED": "1"},
}
REMOVED = {
    "eager": (
        "nothing",
        "torch.manual_seed",
        "torch.use_deterministic_algorithms",
        "torch.backends.cudnn.deterministic",
        "use_deterministic_algorithms and cudnn.deterministic",
        "torch.backends.cudnn.benchmark",
        "torch.utils.deterministic.fill_uninitialized_memory",
        "CUBLAS_WORKSPACE_CONFIG",
    ),
    "compiled": (
        "nothing",
        "TORCHINDUCTOR_DETERMINISTIC",
        "TORCHINDUCTOR_SHAPE_PADDING",
        "TORCHINDUCTOR_DYNAMIC_SCALE_RBLOCK",
    ),
    "jax": ("nothing", "XLA_FLAGS"),
}
"""What is taken away, one row at a time, in each group of workloads."""

LEFT = {
    "NPROC": "threads on the CPU; images/jax/smoke/threads.py counts them",
    "NCCL_ALGO": "needs several GPUs",
    "NCCL_NVLS_ENABLE": "needs several GPUs",
    "FLASH_ATTENTION_DETERMINISTIC": "needs the flash-attn package",
    "NVTE_ALLOW_NONDETERMINISTIC_ALGO": "needs Transformer Engine",
    "torch.seed()": "nothing of a GPU's: tests/image/test_rows.py has its worth",
    "torch.backends.mkldnn.deterministic": "nothing of a GPU's: tests/image/test_rows.py has its worth",
    "torch.sqrt": "nothing of a GPU's: tests/image/test_rows.py has its worth",
}
"""The other rows for torch and JAX, and why nothing is measured of them here."""


@dataclass(frozen=True)
class Job:
    """One process to start."""

    group: str
    configuration: str
    round: int
    environment: dict[str, str]
    arguments: tuple[str, ...] = ()


@dataclass
class Bench:
    """A layered Python, the options, and the raw results so far."""

    host: Host
    options: argparse.Namespace
    began: float = field(default_factory=time.monotonic)
    machine: dict[str, Any] = field(default_factory=dict)

    def left(self) -> float:
        """Seconds until the limit."""
        return self.options.limit - (time.monotonic() - self.began)

    @cached_property
    def groups(self) -> list[str]:
        """The groups asked for that have their library here."""
        needs = {"eager": "torch", "compiled": "torch", "jax": "jax"}
        missing = self.host.missing(["torch", "jax"])
        for group in (absent := [group for group in self.options.groups if needs[group] in missing]):
            host.say(f"{group}: skipped: not installed here: {needs[group]}")
        return [group for group in self.options.groups if group not in absent]

    def finish(self, command: Sequence[str], environment: dict[str, str], folder: Path | None = None) -> Finished:
        return self.host.finish(command, environment=environment, folder=folder, timeout=max(1.0, self.left()))

    def work(self, job: Job) -> dict[str, Any] | None:
        """Everything that one process did; None: there was no time to start it."""
        if self.left() < 5:
            return None
        command = ["python", str(HERE / "work.py"), job.group, "--device", self.options.device, *job.arguments]
        command += ["--quick"] if self.options.quick else []
        began = time.monotonic()
        done = self.finish(command, {"SEEDBED_QUIET": "1"} | UNSHARED | job.environment)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        self.machine |= next((line["machine"] for line in lines if "machine" in line), {})
        ran = {key: value for key, value in asdict(job).items() if key not in ("environment", "arguments")}
        ran |= {"status": done.status, "seconds": round(time.monotonic() - began, 1)}
        said = {"said": show.last_line(done.stderr)} if done.status else {}
        host.say(f"{job.group}, {job.configuration}, round {job.round}: {ran['seconds']} s {said.get('said', '')}")
        return ran | said | {"results": [line for line in lines if "workload" in line]}

    def work_all(self, jobs: Sequence[Job], parallel: int) -> list[dict[str, Any]]:
        """Rounds come one after the other, so that what there is time for has as many runs of each as possible."""
        with ThreadPoolExecutor(parallel) as pool:
            ran = list(pool.map(self.work, sorted(jobs, key=lambda job: job.round)))
        return [one for one in ran if one]


def bits(bench: Bench) -> dict[str, Any]:
    """Every workload in fresh processes, in each mode."""
    jobs = [
        Job(group, mode, number, {"SEEDBED_MODE": mode})
        for number in range(bench.options.runs)
        for group in bench.groups
        for mode in MODES
    ]
    return {"processes": bench.work_all(jobs, bench.options.parallel)}


def variables(bench: Bench) -> dict[str, Any]:
    """The same in strict, with one row of the layer's table taken away."""
    jobs = [
        Job(group, removed, number, {"SEEDBED_MODE": "strict"}, ("--without", removed))
        for number in range(bench.options.runs)
        for group in bench.groups
        for removed in REMOVED[group]
    ]
    return {"processes": bench.work_all(jobs, bench.options.parallel)}


def cost(bench: Bench) -> dict[str, Any]:
    """Seconds and memory, one process at a time; each round goes through the configurations in another order."""
    names = list(COSTS)
    jobs = [
        Job(group, name, number, COSTS[name], ("--timed",))
        for number in range(bench.options.runs)
        for group in bench.groups
        for name in names[number % len(names) :] + names[: number % len(names)]
    ]
    return {"processes": bench.work_all(jobs, 1)}


def overhead(bench: Bench) -> dict[str, Any]:
    """Start-up, recording and tracing: processes with and without, in turn."""
    pairs, rounds, epochs = ("2", "1", "1") if bench.options.quick else ("30", "5", "10")
    return {
        "startup": measure(bench, "startup.py", ["--pairs", pairs, "--slow-pairs", rounds]),
        "watching": measure(bench, "recording.py", ["--epochs", epochs, "--rounds", rounds]),
    }


def measure(bench: Bench, script: str, arguments: Sequence[str]) -> Any:
    done = bench.finish(["python", str(ROOT / "benchmarks" / script), "--json", *arguments], device_only(bench))
    if done.status:
        raise SeedbedError(f"{script} ended with status {done.status}: {show.last_line(done.stderr)}")
    return json.loads(done.stdout)


def proof(bench: Bench) -> dict[str, Any]:
    """A golden fingerprint, ten equal runs, and the name of a real operation that does not repeat."""
    train = ["python", "examples/digits_torch.py", "--epochs", "1" if bench.options.quick else "3"]
    golden = bench.options.output.absolute() / "golden.json"
    diverges = ["python", "benchmarks/gpu/diverges.py", bench.options.device]
    commands = {
        "golden, recorded": (["seedbed", "golden", "--record", str(golden), "--", *train], 0),
        "golden, checked": (["seedbed", "golden", str(golden), "--", *train], 0),
        "verify": (["seedbed", "verify", "-n", "2" if bench.options.quick else "10", "--json", "--", *train], 0),
        "verify of what diverges": (["seedbed", "verify", "-n", "3", "--json", "--", *diverges], 1),
        "trace of what diverges": (["seedbed", "trace", "--json", "--", *diverges], 1),
    }
    return {name: proven(bench, command, expected) for name, (command, expected) in commands.items()}


def proven(bench: Bench, command: list[str], expected: int) -> dict[str, Any]:
    done = bench.finish(command, device_only(bench), ROOT)
    found = show.last_line(done.stdout)
    if done.stdout.startswith("{"):
        found = {name: value for name, value in json.loads(done.stdout).items() if name != "facts"}
    host.say(f"{' '.join(command[:2])}: status {done.status}, expected {expected}")
    said = {"said": show.last_line(done.stderr)} if done.status != expected else {}
    return {"status": done.status, "expected": expected, "found": found} | said


def device_only(bench: Bench) -> dict[str, str]:
    return {} if bench.options.device == "cuda" else venv.NO_GPU


@dataclass(frozen=True)
class Part:
    """What it does, and how many rounds of it by default, in full and quick."""

    measure: Callable[[Bench], dict[str, Any]]
    runs: int = 1
    quick_runs: int = 1


PARTS = {
    "bits": Part(bits, 10, 2),
    "variables": Part(variables, 6, 2),
    "cost": Part(cost, 5, 1),
    "overhead": Part(overhead),
    "proof": Part(proof),
}


def main() -> None:
    options = parse_arguments()
    if options.part == "show":
        sys.exit(show.main(options.files, options.svg))
    options.runs = options.runs or getattr(PARTS[options.part], "quick_runs" if options.quick else "runs")
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        with host.installed(options.python or host.default_python()) as layered:
            document = measured(Bench(layered, options))
    except (SeedbedError, OSError) as error:
        host.say(f"seedbed: {error}")
        sys.exit(1)
    path = write(options.output / f"{options.part}.json", document)
    sys.exit(show.main([path], None))


def measured(bench: Bench) -> dict[str, Any]:
    """The raw results, and what they were measured with."""
    found = PARTS[bench.options.part].measure(bench)
    options = {name: getattr(bench.options, name) for name in ("device", "quick", "runs", "parallel", "groups")}
    facts = {"python": platform.python_version(), "system": platform.machine(), "cpus": os.cpu_count()}
    return {
        "part": bench.options.part,
        "options": options,
        "machine": facts | graphics() | bench.machine,
        "seconds": round(time.monotonic() - bench.began),
        **found,
    }


def graphics() -> dict[str, str]:
    """The driver's version, where there is one."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return {"driver": subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]}
    except (OSError, subprocess.CalledProcessError, IndexError):
        return {}


def write(path: Path, document: dict[str, Any]) -> Path:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return partial.replace(path)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    for name, part in PARTS.items():
        one = parts.add_parser(name, help=first_line(part.measure))
        one.add_argument("--device", choices=["cuda", "cpu"], required=True)
        one.add_argument("--output", type=Path, required=True, metavar="FOLDER", help=f"where {name}.json goes")
        one.add_argument("--quick", action="store_true", help="small and few: a rehearsal, whose times mean nothing")
        one.add_argument("--runs", type=int, help=f"rounds (default: {part.runs}; with --quick: {part.quick_runs})")
        one.add_argument("--parallel", type=int, default=4, help="processes at a time, but for times (default: 4)")
        one.add_argument("--groups", type=groups, default=["eager"], help="of eager,compiled,jax (default: eager)")
        one.add_argument("--limit", type=float, default=LIMIT, help="seconds after which nothing new starts")
        one.add_argument("--python", type=Path, help="with torch or JAX (default: the first python3 on PATH)")
    again = parts.add_parser("show", help="The tables of raw results, and a picture of the costs.")
    again.add_argument("files", nargs="+", type=Path, metavar="PART.json")
    again.add_argument("--svg", type=Path, help="where to draw the costs")
    return parser.parse_args()


def groups(text: str) -> list[str]:
    if unknown := [group for group in text.split(",") if group not in REMOVED]:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(REMOVED)}, found {', '.join(unknown)}")
    return text.split(",")


def first_line(function: Callable[..., object]) -> str:
    return next(iter((function.__doc__ or "").splitlines()), "")


if __name__ == "__main__":
    main()
