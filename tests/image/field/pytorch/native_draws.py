"""Draws from generators that are not Python's: numba's and polars' own."""

import numba
import numpy as np
import polars


@numba.njit
def noise() -> float:
    return np.random.normal()


table = polars.DataFrame({"user": [number % 50 for number in range(2000)], "value": range(2000)})
print(noise())
print(table.sample(10)["value"].to_list())
print(table["value"].shuffle().head(10).to_list())
print(table.unique("user")["value"].to_list())
