"""Quantiles of Student's t distribution, for whole degrees of freedom."""

import math

LEVEL = 0.95  # of the confidence intervals


def half_width(degrees: int) -> float:
    """The t within which, on either side of 0, the share LEVEL of the distribution lies."""
    low, high = 0.0, 1.0
    while share_within(high, degrees) < LEVEL:
        high *= 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if share_within(middle, degrees) < LEVEL else (low, middle)
    return high


def share_within(t: float, degrees: int) -> float:
    """P(|T| <= t), by the finite sums of Abramowitz and Stegun (1964), 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    if degrees % 2:
        term, total = cosine, 0.0
        for k in range(1, degrees, 2):
            total += term
            term *= cosine**2 * (k + 1) / (k + 2)
        return 2 / math.pi * (angle + sine * total)
    term, total = 1.0, 0.0
    for k in range(0, degrees, 2):
        total += term
        term *= cosine**2 * (k + 1) / (k + 2)
    return sine * total
