"""Tasks of a real `srun` are ranks; a job script, which starts them, is none."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

DRAW = "import os, random; print(os.environ['SLURM_PROCID'], random.random())"
RECORD = ["seedbed", "run", "--record", "r", "--", "python", "-c", DRAW]


def ranks(record: Path) -> dict[str, int]:
    """How many there are, by what each file of a record says first."""
    return {file.name: json.loads(file.read_text().splitlines()[0])["run"]["ranks"] for file in record.iterdir()}


def test_tasks_have_one_seed_or_one_each_and_write_one_record(shell):
    printed = {}
    for offset in ("", "1"):
        done = shell.run("srun", "--nodes=2", "--ntasks=2", "python", "-c", DRAW, SEEDBED_RANK_OFFSET=offset)
        assert done.returncode == 0, done.stderr
        printed[offset] = dict(line.split() for line in done.stdout.splitlines())
    assert printed[""]["0"] == printed[""]["1"] == printed["1"]["0"] != printed["1"]["1"]
    done = shell.run("srun", "--nodes=2", "--ntasks=2", *RECORD)
    assert done.returncode == 0, done.stderr
    assert ranks(shell.folder / "r") == {"output.jsonl": 2, "output1.jsonl": 2}
    done = shell.run("srun", "--nodes=2", "--ntasks=2", "seedbed", "verify", "--", "true")
    assert "this is one of 2 ranks (SLURM_PROCID=" in done.stderr


def test_a_job_script_puts_a_command_around_srun(shell):
    (shell.folder / "job.sh").write_text(
        '#!/bin/sh\nseedbed run --record around -- srun python -c "$DRAW" && seedbed verify -n 2 -- python -c "$DRAW"\n'
    )
    done = shell.run("sbatch", "--wait", "--nodes=2", "--ntasks=2", "--output=job.txt", "job.sh", DRAW=DRAW)
    said = (shell.folder / "job.txt").read_text()
    assert done.returncode == 0, said
    assert ranks(shell.folder / "around") == {"output.jsonl": 1}
    assert "EQUAL: 2 runs" in said
