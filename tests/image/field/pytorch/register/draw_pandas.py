"""pandas: sample."""

import pandas

print(pandas.Series(range(1000)).sample(5).tolist())
