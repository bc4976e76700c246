"""How far `seedbed run --portable` carries: operations on this machine's processor, on known and on emulated ones.

Inside an image, with this repository as the working folder:
    python benchmarks/portable.py                           compares with the processors in operations.json
    python benchmarks/portable.py --record                  writes this machine's into it, too
    python benchmarks/portable.py /qemu                     compares with emulated ones (QEMU 7.2 knows AVX2); mount
                                                            /usr/bin/qemu-x86_64-static there

Each operation gets the same input, of numbers that every processor computes alike, and forward and backward results are
compared as bits, on one thread. An emulator computes approximate reciprocals (`rcpps`, `rsqrtps`) in its own way, as
each maker's processors do.
"""

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from seedbed.settings import PORTABLE

KNOWN = Path(__file__).with_name("operations.json")
"""Hashes: by library and version, then by the variables that were set, then by processor, then by operation."""
DEFAULT = "default"
PROCESSORS = ("Haswell", "Skylake-Client", "EPYC")
LIBRARIES = ("numpy", "torch", "tensorflow")


def main() -> None:
    options = parse_arguments()
    if options.probe:
        print(json.dumps({"numpy": of_numpy, "torch": of_torch, "tensorflow": of_tensorflow}[options.probe]()))
        return
    known = json.loads(KNOWN.read_text())
    for library in filter(importlib.util.find_spec, LIBRARIES):
        version = f"{library} {importlib.metadata.version(library)}"
        for profile in ({}, PORTABLE):
            here = probed(library, [], profile)
            processors = known.setdefault(version, {}).setdefault(settings(profile), {})
            for processor, there in processors.items():
                show(version, profile, processor, other_bits(here, there), len(here))
            for processor in PROCESSORS if options.emulator else ():
                there = probed(library, [options.emulator, "-cpu", processor], profile)
                show(version, profile, f"{processor}, emulated", other_bits(here, there), len(here))
            processors[this_processor()] = here
    if options.record:
        KNOWN.write_text(json.dumps(known, indent=1) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("emulator", nargs="?", help="qemu-x86_64-static, to compare with emulated processors")
    parser.add_argument("--record", action="store_true", help=f"write this processor's hashes into {KNOWN.name}")
    parser.add_argument("--probe", choices=LIBRARIES, help=argparse.SUPPRESS)
    return parser.parse_args()


def settings(profile: dict[str, str]) -> str:
    """A profile as the file names it: by what it sets, since that may change."""
    return " ".join(f"{name}={value}" for name, value in profile.items()) or DEFAULT


def this_processor() -> str:
    found = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines())
    fields = {name.strip(): value.strip() for name, value in found.items()}
    return f"{fields['vendor_id']}, {fields['model name']}"


def other_bits(here: dict[str, str], there: dict[str, str]) -> list[str]:
    """The operations with other results."""
    return [name for name in here if here[name] != there.get(name)]


def show(version: str, profile: dict[str, str], processor: str, others: list[str], count: int) -> None:
    kind = "portable" if profile else DEFAULT
    equal = f"{count - len(others)} of {count} equal"
    print(f"{version}, {kind}, {processor}: {equal}; other bits: {', '.join(others) or 'none'}", flush=True)


def probed(library: str, emulator: list[str], profile: dict[str, str]) -> dict[str, str]:
    """A hash for each operation, on one thread."""
    command = [*emulator, sys.executable, str(Path(__file__).resolve()), "--probe", library]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environ | profile, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout)


def numbers(*shape: int) -> np.ndarray:
    """Float32 from -0.5 to 0.5, in no order and with all their bits in use; division rounds alike everywhere."""
    count = int(np.prod(shape))
    mixed = (np.arange(count, dtype=np.int64) * 7919 % 1009).astype(np.float32).reshape(shape)
    return mixed / np.float32(1009) - np.float32(0.5)


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def of_numpy() -> dict[str, str]:
    """In single and double precision."""
    found = {}
    for kind in (np.float32, np.float64):
        positive, square = (np.abs(numbers(5000)) + np.float32(0.0625)).astype(kind), numbers(300, 300).astype(kind)
        functions = (np.exp, np.log, np.log1p, np.sqrt, np.cbrt, np.tanh, np.sin, np.cos, np.arctan)
        results = {function.__name__: function(positive) for function in functions} | {
            "power": positive**positive,
            "sum": positive.sum(),
            "mean": square.mean(0),
            "matmul": square @ square,
            "matmul, long": numbers(37, 1000).astype(kind) @ numbers(1000, 51).astype(kind),
            "singular values": np.linalg.svd(square)[1],
        }
        found |= {f"{name}, {kind.__name__}": digest(result) for name, result in results.items()}
    return found


def of_torch() -> dict[str, str]:
    import torch
    from torch import nn

    functional = nn.functional

    def both(forward: Callable, *shapes: tuple[int, ...]) -> str:
        """Of the result and its gradients."""
        inputs = [torch.from_numpy(numbers(*shape)).requires_grad_() for shape in shapes]
        result = forward(*inputs)
        result.backward(torch.from_numpy(numbers(*result.shape)) if result.dim() else None)
        return digest(*(tensor.detach().numpy() for tensor in (result, *(part.grad for part in inputs))))

    def update(kind: Callable, **options: float) -> str:
        parameter = nn.Parameter(torch.from_numpy(numbers(5000)))
        optimizer = kind([parameter], lr=0.003, **options)
        for _ in range(2):
            parameter.grad = torch.from_numpy(numbers(5000)) / 8
            optimizer.step()
        return digest(parameter.detach().numpy())

    torch.manual_seed(0)
    classes, positive = torch.arange(64) % 10, torch.from_numpy(np.abs(numbers(5000)) + np.float32(0.0625))
    one = {
        name: digest(getattr(torch, name)(positive).numpy()) for name in ("exp", "log", "sqrt", "rsqrt", "tanh", "sin")
    }
    return one | {
        "randn": digest(torch.randn(1000).numpy()),
        "dropout": digest(functional.dropout(positive, 0.3).numpy()),
        "conv2d": both(lambda x, w: functional.conv2d(x, w, padding=1), (64, 1, 8, 8), (16, 1, 3, 3)),
        "conv2d, strided": both(lambda x, w: functional.conv2d(x, w, stride=2), (64, 16, 8, 8), (32, 16, 3, 3)),
        "linear": both(functional.linear, (64, 512), (10, 512), (10,)),
        "matmul": both(torch.matmul, (300, 300), (300, 300)),
        "matmul, long": both(torch.matmul, (37, 1000), (1000, 51)),
        "cross_entropy": both(lambda x: functional.cross_entropy(x, classes), (64, 10)),
        "softmax": both(lambda x: functional.softmax(x, 1), (64, 512)),
        "layer_norm": both(lambda x: functional.layer_norm(x, (512,)), (64, 512)),
        "gelu": both(functional.gelu, (64, 512)),
        "sum": both(torch.sum, (5000,)),
        "SGD": update(torch.optim.SGD, momentum=0.9),
        "Adam": update(torch.optim.Adam),
    }


def of_tensorflow() -> dict[str, str]:
    import keras
    import tensorflow as tf

    def both(forward: Callable, *shapes: tuple[int, ...]) -> str:
        """Of the result and its gradients."""
        inputs = [tf.constant(numbers(*shape)) for shape in shapes]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            result = forward(*inputs)
        gradients = tape.gradient(result, inputs, tf.constant(numbers(*result.shape)))
        return digest(*(tensor.numpy() for tensor in (result, *gradients)))

    def update(kind: Callable, **options: float) -> str:
        variable, optimizer = keras.Variable(numbers(5000)), kind(0.003, **options)
        for _ in range(2):
            optimizer.apply([tf.constant(numbers(5000) / 8)], [variable])
        return digest(variable.numpy())

    tf.random.set_seed(0)
    positive = tf.constant(np.abs(numbers(5000)) + np.float32(0.0625))
    one = {
        name: digest(getattr(tf.math, name)(positive).numpy())
        for name in ("exp", "log", "sqrt", "rsqrt", "tanh", "sin")
    }
    return one | {
        "normal": digest(tf.random.normal([1000]).numpy()),
        "dropout": digest(tf.nn.dropout(positive, 0.3).numpy()),
        "conv2d": both(lambda x, w: tf.nn.conv2d(x, w, 1, "SAME"), (64, 8, 8, 1), (3, 3, 1, 16)),
        "conv2d, strided": both(lambda x, w: tf.nn.conv2d(x, w, 2, "SAME"), (64, 8, 8, 16), (3, 3, 16, 32)),
        "matmul": both(tf.matmul, (300, 300), (300, 300)),
        "matmul, long": both(tf.matmul, (37, 1000), (1000, 51)),
        "softmax": both(tf.nn.softmax, (64, 512)),
        "gelu": both(tf.nn.gelu, (64, 512)),
        "sum": both(tf.reduce_sum, (5000,)),
        "SGD": update(keras.optimizers.SGD, momentum=0.9),
        "Adam": update(keras.optimizers.Adam),
    }


if __name__ == "__main__":
    main()
