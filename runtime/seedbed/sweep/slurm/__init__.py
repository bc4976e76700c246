"""A sweep on a cluster with Slurm: a job array with a task for each seed, and then a job that makes the table.

The jobs do all the work, and what they say is in the folder: whoever submits them may go. `scripts` writes what jobs
run, `client` talks to Slurm, `jobs` submits what is missing or finds the jobs that are there, `follow` waits for them.
"""
