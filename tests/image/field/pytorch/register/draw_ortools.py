"""ortools: CP-SAT searches from a constant seed."""

from ortools.sat.python import cp_model

model = cp_model.CpModel()
x = [model.new_int_var(0, 9, str(n)) for n in range(20)]
model.add(sum(x) == 90)
solver = cp_model.CpSolver()
solver.parameters.num_workers = 1
solver.solve(model)
print([solver.value(v) for v in x])
