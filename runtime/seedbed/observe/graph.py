"""TensorFlow's graphs: functions hooked there, and fingerprints of tensors that are summed up inside."""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from seedbed.wrapping import around

INTEGERS = {1: tf.int8, 2: tf.int16, 4: tf.int32, 8: tf.int64, 16: tf.int64}  # by bytes an element
ROW = 1 << 12
LARGE = 1 << 16  # elements


def hook(owner: object, name: str, call: Callable) -> None:
    """See `wrapping.around`; AutoGraph must not rewrite what stands there then."""
    around(owner, name, call).autograph_info__ = None


def as_integer(loss: tf.Tensor) -> tf.Tensor:
    """The bits of a loss, or of the sum of several; of complex ones that of both parts, as of torch's."""
    return tf.bitcast(tf.cast(tf.reduce_sum(as_real(loss)), tf.float64), tf.int64)


def as_real(tensor: tf.Tensor) -> tf.Tensor:
    """Both parts of complex numbers."""
    return tf.stack([tf.math.real(tensor), tf.math.imag(tensor)]) if tensor.dtype.is_complex else tensor


def norm_of(gradients: list) -> tf.Tensor:
    """The L2 norm of all gradients together."""
    found = [gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient for gradient in gradients]
    return tf.sqrt(2 * tf.add_n([tf.cast(tf.nn.l2_loss(as_real(gradient)), tf.float64) for gradient in found]))


def fingerprint(values: object) -> tf.Tensor:
    """A 64-bit sum that changes with any one bit of any tensor in it; small ones are taken together, for speed."""
    tensors = list(leaves(values))
    flat = [integers(tensor) for tensor in tensors]
    small = [tensor for tensor in flat if (tensor.shape.num_elements() or LARGE) < LARGE]
    parts = [tensor for tensor in flat if (tensor.shape.num_elements() or LARGE) >= LARGE]
    for kind in dict.fromkeys(tensor.dtype for tensor in small):
        parts.append(tf.concat([tensor for tensor in small if tensor.dtype == kind], axis=0))
    total = of_shapes(tensors)
    for number, part in enumerate(parts):
        total += weighted_sum(tf.cast(part, tf.int64)) * (2 * number + 1)
    return total


def leaves(values: object) -> Iterator[tf.Tensor]:
    """Each tensor in it, but for handles, such as of a data set in a data set."""
    for value in tf.nest.flatten(values, expand_composites=True):
        tensor = None if value is None else tf.convert_to_tensor(value)
        if tensor is not None and tensor.dtype not in (tf.resource, tf.variant):
            yield tensor


def of_shapes(tensors: list[tf.Tensor]) -> tf.Tensor:
    """A 64-bit sum of their types and shapes: the same one whether a graph knows a shape or finds it as it runs."""
    if all(tensor.shape.is_fully_defined() for tensor in tensors):
        row = [number for t in tensors for number in (t.dtype.as_datatype_enum, t.shape.rank, *t.shape)][:ROW]
        return tf.constant((np.array(row, np.int64) * weights()[: len(row)]).sum(), tf.int64)
    parts = []
    for tensor in tensors:
        shape = tf.shape(tensor, tf.int64)
        parts += [[tensor.dtype.as_datatype_enum, tf.size(shape, tf.int64)], shape]
    row = tf.concat(parts, axis=0)[:ROW]
    return tf.reduce_sum(row * tf.constant(weights()[:ROW])[: tf.size(row)])


def integers(tensor: tf.Tensor) -> tf.Tensor:
    """Its bits, as integers of its element's size in one row."""
    if tensor.dtype == tf.string:
        tensor = tf.strings.to_hash_bucket_fast(tensor, np.iinfo(np.int64).max)
    elif tensor.dtype == tf.bool:
        tensor = tf.cast(tensor, tf.int8)
    else:
        tensor = tf.bitcast(tensor, INTEGERS[tensor.dtype.size])
    return tf.reshape(tensor, [-1])


def weighted_sum(row: tf.Tensor) -> tf.Tensor:
    """A sum modulo 2**64 in which every place counts in its own way, and every bit of it.

    Places have odd weights; sums of rows go through x(2x+1), a permutation modulo 2**64 (of RC6): with weights alone
    place j of row i would count as place i of row j.
    """
    length = row.shape.num_elements()
    if length is not None and length <= ROW:
        return tf.reduce_sum(row * weights()[:length])
    rows = tf.reshape(tf.pad(row, [[0, -tf.size(row) % ROW]]), [-1, ROW])
    sums = tf.reduce_sum(rows * weights()[:ROW], axis=1)
    sums *= 2 * sums + 1
    if length is None:
        return tf.reduce_sum(sums * tf.constant(weights())[: tf.size(sums)])
    if length > ROW * LARGE:  # an embedding of a large language model
        return weighted_sum(sums)
    return tf.reduce_sum(sums * weights()[: -(-length // ROW)])  # all of them would make the graph half a MiB larger


@functools.cache
def weights() -> np.ndarray:
    """Odd 64-bit numbers that look random (512 KiB)."""
    mixed = np.arange(1, LARGE + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed | np.uint64(1)).view(np.int64)
