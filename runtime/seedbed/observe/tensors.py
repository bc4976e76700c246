"""Fingerprints of torch's tensors, and of what holds them, wherever they lie."""

import ctypes
import functools
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

import torch
from torch.nn.parameter import is_lazy

from seedbed.observe.fingerprint import Fingerprint

INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.int64}  # by bytes an element
ROWS, COLUMNS = (torch.sparse_csr, torch.sparse_bsr), (torch.sparse_csc, torch.sparse_bsc)
WEIGHTS = 1 << 20
SAMPLES, SAMPLE = 256, 4096  # bytes each


def add(fingerprint: Fingerprint, value: object, *, sampled: bool = False) -> None:
    """Every tensor, array, number and string inside it; of large tensors on the CPU a sample, if that is enough."""
    for part in leaves(value):
        if isinstance(part, torch.Tensor):
            for piece in pieces(part):
                add_tensor(fingerprint, dense(sample(piece) if sampled else piece))
        else:
            fingerprint.add(*part)


def sample(tensor: torch.Tensor) -> torch.Tensor:
    """Of a large tensor on the CPU every part a little: the model sees all of it, often faster, on a GPU."""
    if tensor.is_cuda or tensor.nbytes <= SAMPLES * SAMPLE:
        return tensor
    rows = dense(tensor).reshape(-1).view(torch.uint8)
    return rows[: len(rows) // SAMPLES * SAMPLES].view(SAMPLES, -1)[:, :SAMPLE]


def leaves(value: object) -> Iterator[torch.Tensor | tuple]:
    """What a batch holds, in order; objects of unknown types are passed over."""
    if isinstance(value, torch.Tensor):
        if not is_lazy(value):
            yield value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from leaves(name)
            yield from leaves(part)
    elif isinstance(value, bytes | str | int | float | complex | None):
        yield (repr(value),)
    elif getattr(getattr(value, "dtype", None), "hasobject", False):  # numpy, whose bytes are then addresses
        yield from leaves(value.tolist())
    elif hasattr(value, "tobytes"):  # numpy's, or an image of PIL, an array of Python's
        yield f"{shape_of(value)} {type_of(value)}", value.tobytes()
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from leaves({field.name: getattr(value, field.name, None) for field in fields(value)})
    elif hasattr(value, "to_dict") and hasattr(value, "pin_memory"):  # a batch of torch_geometric's
        yield from leaves(value.to_dict())


def given(value: object) -> object:
    """The same without the tensors that are computed from parameters: a criterion gets them, and they are no data."""
    if isinstance(value, torch.Tensor):
        return value if value.grad_fn is None else None
    if isinstance(value, Mapping):
        return {name: given(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [given(part) for part in value]
    return value


def shape_of(value: object) -> object:
    return getattr(value, "shape", getattr(value, "size", ""))


def type_of(value: object) -> object:
    return next((getattr(value, name) for name in ("dtype", "mode", "typecode", "format") if hasattr(value, name)), "")


def pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tensors with memory that it consists of: of a sparse one its indices too, of a subclass those it wraps."""
    if hasattr(tensor, "to_local"):  # a shard
        tensor = tensor.to_local()
    if hasattr(tensor, "__tensor_flatten__"):
        for name in tensor.__tensor_flatten__()[0]:
            yield from pieces(getattr(tensor, name))
    elif tensor.layout == torch.sparse_coo:
        found = tensor.detach().coalesce()
        yield from (found.indices(), found.values())
    elif tensor.layout in ROWS:
        yield from (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    elif tensor.layout in COLUMNS:
        yield from (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    elif tensor.layout != torch.strided:  # oneDNN's
        yield tensor.to_dense()
    elif tensor.is_nested:
        yield from tensor.unbind()
    elif tensor.is_quantized:
        yield from (tensor.int_repr(), tensor.dequantize())
    else:
        yield tensor


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """The numbers that this process holds of it, in one piece of memory."""
    if hasattr(tensor, "to_local"):  # a shard
        tensor = tensor.to_local()
    if tensor.layout != torch.strided:
        tensor = tensor.coalesce().values()
    return tensor.detach().resolve_conj().resolve_neg().contiguous()


def add_tensor(fingerprint: Fingerprint, tensor: torch.Tensor) -> None:
    what = f"{tuple(tensor.shape)} {tensor.dtype}"
    size = tensor.numel() * tensor.element_size()
    if tensor.is_meta or (tensor.device.type == "cpu" and size and not tensor.data_ptr()):  # it has no numbers
        fingerprint.add(what)
    elif tensor.device.type == "cpu":
        fingerprint.add(what, (ctypes.c_char * size).from_address(tensor.data_ptr()) if size else b"")
    else:
        fingerprint.add(what)
        fingerprint.sums.append(weighted_sum(tensor.reshape(-1).view(INTEGERS[tensor.element_size()])))


def weighted_sum(integers: torch.Tensor) -> torch.Tensor:
    """A sum modulo 2**64 in which every place has an odd weight of its own: it changes with any one bit."""
    weights = weights_on(integers.device)
    total = torch.zeros((), dtype=torch.int64, device=integers.device)
    for row, chunk in enumerate(integers.split(WEIGHTS)):
        total += (chunk * weights[: len(chunk)]).sum() * (2 * row + 1)
    return total


@functools.cache
def weights_on(device: torch.device) -> torch.Tensor:
    """Odd 64-bit numbers that look random (8 MiB)."""
    weights = torch.arange(1, WEIGHTS + 1, device=device) * -0x61C8864680B583EB  # 2**64 / golden ratio
    return (weights ^ (weights >> 29)) * -0x40A7B892E31B1A47 | 1
