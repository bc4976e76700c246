"""Waits for the jobs of a sweep, with a line for each seed that has ended, and then prints what the last job made."""

import time

from seedbed import environment, files, terminal
from seedbed.sweep import runs
from seedbed.sweep.slurm import client
from seedbed.sweep.slurm.client import SlurmError, Task
from seedbed.sweep.slurm.scripts import ERRORS, OUTPUT, STATUS, Batch

SLOWEST = 15  # seconds from one look at the queue to the next; the first is one
SECONDS_FOR_A_FILE = 60  # so late a network file system may show what another machine has written
UNSAID = ("None", "Dependency")  # reasons to wait that need no word


class Follower:
    """Looks at the jobs named `name` until there is a table, or no job that will make one."""

    def __init__(self, batch: Batch, name: str, left: list[int]) -> None:
        self.batch, self.name = batch, name
        self.left = {batch.plan.seeds.index(seed): seed for seed in left}
        self.tasks: dict[int | None, Task] = {}  # by index, when last seen
        self.waiting_for = ""
        self.pause = 1.0

    def follow(self) -> int:
        """The status of the table, which is printed; 1 without one."""
        while not self.made() and self.look():
            self.wait()
        self.look()
        for index in tuple(self.left):
            self.tell(index)
        return self.table()

    def made(self) -> bool:
        return (self.batch.folder / STATUS).exists()

    def wait(self) -> None:
        """Longer each time; until the table is there at most."""
        self.wait_for_table(self.pause)
        self.pause = min(1.5 * self.pause, SLOWEST)

    def wait_for_table(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.made() and (rest := until - time.monotonic()) > 0:
            time.sleep(min(rest, 0.5))

    def look(self) -> bool:
        """Whether there are jobs, after a line for all that has changed with them."""
        before, self.tasks = self.tasks, {task.index: task for task in self.queue()}
        for index, task in self.tasks.items():
            if index in self.left and not task.active:
                self.tell(index)
            elif index in before and (before[index].state, task.state) == ("RUNNING", "PENDING"):
                terminal.log(f"{self.what(index)}: starts again, because Slurm requeued it")
        active = [task for task in self.tasks.values() if task.active]
        self.tell_why(active)
        return bool(active)

    def queue(self) -> list[Task]:
        """The jobs, however long the cluster does not answer; none if there is a table meanwhile."""
        told = False
        while not (told and self.made()):
            try:
                return client.queue(self.name)
            except SlurmError as error:
                if not told:
                    terminal.log(f"{error}; waiting for it")
                told = True
                self.wait()
        return []

    def tell(self, index: int) -> None:
        """That a seed has ended, and how."""
        seed, count = self.left.pop(index), len(self.batch.plan.seeds)
        terminal.log(f"seed {seed}: {self.outcome(index, seed)} ({count - len(self.left)} of {count})")

    def outcome(self, index: int, seed: int) -> str:
        """In the words of the job, or else in those of Slurm, which forgets jobs minutes after their end."""
        task = self.tasks.get(index)
        if task.state == "COMPLETED" if task else self.ended_well(seed):
            return "done"
        log = self.batch.folder / f"{index}.log"
        last = files.tail(log).strip().rpartition("\n")[2]
        told = last.removeprefix(f"seedbed: seed {seed}: ")
        if told != last and (task is None or task.state == "FAILED"):  # else the line may be of an earlier run
            return told
        return f"{task.state if task else 'no result'}, see {log}: {last or 'it is empty'}"

    def ended_well(self, seed: int) -> bool:
        run = runs.run_of(self.batch.plan, seed)
        return run is not None and run.status == 0

    def what(self, index: int | None) -> str:
        return "the table" if index is None else f"seed {self.batch.plan.seeds[index]}"

    def tell_why(self, active: list[Task]) -> None:
        """Why nothing runs."""
        reasons = sorted({task.reason for task in active if task.state == "PENDING"}.difference(UNSAID))
        said = "" if any(task.state != "PENDING" for task in active) else ", ".join(reasons)
        if said and said != self.waiting_for:
            terminal.log(f"waiting in Slurm's queue: {said}")
        self.waiting_for = said

    def table(self) -> int:
        """What the job printed, printed here."""
        task, folder = self.tasks.get(None), self.batch.folder
        if task is None or task.state == "COMPLETED":
            self.wait_for_table(SECONDS_FOR_A_FILE)
        if not self.made():
            said = f"is {task.state}" if task else "has left none"
            terminal.log(f"sweep: no table: its job {said}, see {folder}/table.log; give the same command again")
            return 1
        if text := files.read(folder / OUTPUT).decode(errors="replace"):
            terminal.show(text.removesuffix("\n"))
        for line in files.read(folder / ERRORS).decode(errors="replace").splitlines():
            terminal.log(line, prefix="")
        status = files.read(folder / STATUS).decode(errors="replace").strip()
        return int(status) if environment.is_number(status) else 1
