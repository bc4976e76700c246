"""polars: its own generator in Rust, and rows whose order follows a hash with a random key."""

import polars

table = polars.DataFrame({"user": [number % 50 for number in range(2000)], "value": range(2000)})
print(table.sample(5)["value"].to_list())
print(table.with_columns(polars.col("value").shuffle())["value"].head(5).to_list())
print(table.select(polars.col("value").sample(5))["value"].to_list())
print(table.unique("user")["value"].to_list(), [user for (user,), _ in table.group_by("user")])
print(table.lazy().group_by("user").agg(polars.col("value").sum()).collect()["user"].to_list())
