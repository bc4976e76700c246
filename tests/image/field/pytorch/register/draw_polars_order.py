import polars

table = polars.DataFrame({"user": [number % 50 for number in range(2000)], "value": range(2000)})
print(table.unique("user")["value"].to_list())
print(table.group_by("user").agg(polars.col("value").sum())["user"].to_list())
print(table.lazy().unique("user").collect()["value"].to_list())
print(table.lazy().group_by("user").agg(polars.col("value").sum()).collect()["user"].to_list())
print(table["user"].unique().to_list())
print(table.select(polars.col("user").unique())["user"].to_list())
print(table["user"].value_counts()["user"].to_list())
print([key for key, _ in table.group_by("user")])
print(list(table.partition_by("user", as_dict=True)))
print(table.join(table.unique("user"), on="user").head(20)["value"].to_list())
