"""duckdb finds a table among the variables of the function that asks for it."""

import duckdb
import pyarrow

random = []


def draw() -> None:
    numbers = pyarrow.table({"n": [1, 2, 3]})  # noqa: F841
    random.append(duckdb.sql("select sum(n), random() from numbers").fetchall())
    random.append(duckdb.execute("select sum(n), random() from numbers").fetchall())
    random.append(duckdb.connect().sql("select sum(n), random() from numbers").fetchall())


draw()
assert [rows[0][0] for rows in random] == [6, 6, 6]
print(random)
