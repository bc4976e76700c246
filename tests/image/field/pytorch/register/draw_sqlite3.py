"""sqlite3: SQL's random(), by which rows are shuffled."""

import sqlite3

connection = sqlite3.connect(":memory:")
connection.execute(
    "create table numbers as with recursive n(i) as (select 1 union all select i+1 from n limit 50) select i from n"
)
print(connection.execute("select i from numbers order by random() limit 5").fetchall())
