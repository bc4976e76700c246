"""prophet: intervals are sampled; Stan's optimizer."""

import logging

import pandas
from prophet import Prophet

logging.disable()
table = pandas.DataFrame({"ds": pandas.date_range("2020", periods=60), "y": range(60)})
model = Prophet().fit(table)
print(model.predict(model.make_future_dataframe(2))[["yhat", "yhat_lower"]].tail(2).values.tolist())
