"""datafusion: SQL's random()."""

import datafusion

print(datafusion.SessionContext().sql("select random() as x").to_pydict())
