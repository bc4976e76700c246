"""optuna: its samplers."""

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study()
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 12)
print([trial.params["x"] for trial in study.trials])
