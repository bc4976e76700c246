"""duckdb: a generator for each connection, and samples."""

import duckdb

print(duckdb.sql("select random() from range(3)").fetchall())
connection = duckdb.connect()
print(connection.execute("select random()").fetchall(), connection.cursor().execute("select random()").fetchall())
print(connection.sql("select * from range(1000) using sample 5").fetchall())
print(connection.sql("select * from range(1000) order by random() limit 5").fetchall())
