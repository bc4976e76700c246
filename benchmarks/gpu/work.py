"""What one process of a benchmark does: every workload of a group once. `parts.py` starts it, in a mode of Seedbed.

Prints one JSON object a line: first what the machine is, then each workload's result as soon as there is one.
"""

import argparse
import hashlib
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

GROUPS = ("eager", "compiled", "jax")
OFF = os.environ.get("SEEDBED_MODE") == "off"
FULL, QUICK = 10, 3
"""Steps of a training whose bits are compared."""

WARM_UP, BLOCKS, STEPS = 10, 8, 5
"""Steps before the clock starts; blocks of steps, each timed as a whole, since one step is often too short."""


def main() -> None:
    options = parse_arguments()
    group = Jax(options) if options.group == "jax" else Torch(options)
    say(machine=group.machine())
    for name, workload in group.workloads.items():
        if options.timed and not workload.timed:
            continue
        try:
            result = group.cost(workload) if options.timed else {"digest": group.digest(workload)}
        except Exception as error:
            result = {"error": first_line(error)}
        say(workload=name, claims=claims(workload, options.device), **result)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("--device", choices=["cuda", "cpu"], required=True)
    parser.add_argument("--quick", action="store_true", help="few steps of small trainings")
    parser.add_argument("--timed", action="store_true", help="of the group eager: seconds and memory instead of bits")
    parser.add_argument("--without", choices=[*UNDO, "nothing"], default="nothing", help="what to remove")
    return parser.parse_args()


def claims(workload: Any, device: str) -> dict[str, str]:
    """By mode. A CPU's operations all have deterministic kernels."""
    strict, warn = (workload.strict, workload.warn) if device == "cuda" else ("equal", "equal")
    return {"strict": strict, "warn": warn, "off": "may differ"}


class Torch:
    def __init__(self, options: argparse.Namespace) -> None:
        import torch

        UNDO.get(options.without, lambda: None)()
        if OFF:  # seeded here, so that only kernels can make these runs differ
            import numpy

            for seed in (random.seed, numpy.random.seed, torch.manual_seed):
                seed(0)
        import torch_workloads

        self.torch, self.options = torch, options
        self.scale = torch_workloads.Scale(options.device, options.quick)
        self.workloads = torch_workloads.EAGER if options.group == "eager" else torch_workloads.COMPILED

    def machine(self) -> dict[str, Any]:
        torch, facts = self.torch, {"torch": self.torch.__version__}
        if self.options.device == "cuda":
            facts |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
            facts |= {"cudnn": torch.backends.cudnn.version()}
        return facts

    def digest(self, workload: Any) -> str:
        training = workload.make(self.scale)
        losses = [training.step() for _ in range(QUICK if self.options.quick else FULL)]
        tensors = [*losses, *training.model.state_dict().values()]
        return sha256(tensor.cpu().numpy() for tensor in tensors)

    def cost(self, workload: Any) -> dict[str, float]:
        """Seconds of a step, and for a GPU the most bytes allocated and reserved."""
        cuda = self.torch.cuda if self.options.device == "cuda" else None
        if cuda:
            cuda.empty_cache()
            cuda.reset_peak_memory_stats()
        training = workload.make(self.scale)
        found = {"seconds": timed(training.step, cuda.synchronize if cuda else lambda: None, self.options.quick)}
        if cuda:
            found |= {"allocated": cuda.max_memory_allocated(), "reserved": cuda.max_memory_reserved()}
        return found


class Jax:
    def __init__(self, options: argparse.Namespace) -> None:
        import jax

        UNDO.get(options.without, lambda: None)()
        import jax_workloads

        self.jax, self.options, self.workloads = jax, options, jax_workloads.ALL

    def machine(self) -> dict[str, Any]:
        [device, *_] = self.jax.devices()
        found = {"gpu": "cuda", "cpu": "cpu"}[device.platform]
        if found != self.options.device:
            raise SystemExit(f"JAX runs on {device.platform}, not on {self.options.device}")
        return {"jax": self.jax.__version__} | ({"gpu": device.device_kind} if found == "cuda" else {})

    def digest(self, workload: Any) -> str:
        training = workload.make(self.options.quick)
        losses = [training.step() for _ in range(QUICK if self.options.quick else FULL)]
        import numpy

        return sha256(numpy.asarray(array) for array in [*losses, *training.parameters])


def timed(step: Callable[[], object], synchronize: Callable[[], None], quick: bool) -> float:
    """The median seconds of a step, over blocks of steps."""
    for _ in range(2 if quick else WARM_UP):
        step()
    blocks = []
    for _ in range(3 if quick else BLOCKS):
        synchronize()
        began = time.perf_counter()
        for _ in range(1 if quick else STEPS):
            step()
        synchronize()
        blocks.append((time.perf_counter() - began) / (1 if quick else STEPS))
    return statistics.median(blocks)


def sha256(arrays: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


def forget(*names: str) -> Callable[[], None]:
    """Remove variables after the startup hook has set them and before the library reads them."""
    return lambda: [os.environ.pop(name, None) for name in names]


def algorithms() -> None:
    import torch

    torch.use_deterministic_algorithms(False)


def cudnn_flag() -> None:
    import torch

    torch.backends.cudnn.deterministic = False


def cudnn_both() -> None:
    """The flag and the algorithms, either of which has cuDNN pick a deterministic convolution."""
    algorithms()
    cudnn_flag()


def benchmark() -> None:
    import torch

    torch.backends.cudnn.benchmark = True


def fill() -> None:
    import torch

    torch.utils.deterministic.fill_uninitialized_memory = True


def seed() -> None:
    import torch

    torch.default_generator.seed()
    torch.cuda.seed_all()


UNDO: dict[str, Callable[[], object]] = {
    "torch.manual_seed": seed,
    "torch.use_deterministic_algorithms": algorithms,
    "torch.backends.cudnn.deterministic": cudnn_flag,
    "use_deterministic_algorithms and cudnn.deterministic": cudnn_both,
    "torch.backends.cudnn.benchmark": benchmark,
    "torch.utils.deterministic.fill_uninitialized_memory": fill,
    "CUBLAS_WORKSPACE_CONFIG": forget("CUBLAS_WORKSPACE_CONFIG"),
    "TORCHINDUCTOR_DETERMINISTIC": forget("TORCHINDUCTOR_DETERMINISTIC"),
    "TORCHINDUCTOR_SHAPE_PADDING": forget("TORCHINDUCTOR_SHAPE_PADDING"),
    "TORCHINDUCTOR_DYNAMIC_SCALE_RBLOCK": forget("TORCHINDUCTOR_DYNAMIC_SCALE_RBLOCK"),
    "XLA_FLAGS": forget("XLA_FLAGS"),
}
"""Each puts one row of the table of settings back to the library's own default, after the startup hook has set it.

`benchmark` sets what users often set themselves; it is off by default.
"""

if __name__ == "__main__":
    main()
