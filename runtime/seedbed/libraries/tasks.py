"""What a pool hands to its workers in the place of a function.

Which worker of a pool runs which task is a race: the generators of a worker would make results vary. So each task is
seeded by its number and by where it was submitted. Between processes that happens to the generators themselves; for
threads, which share them, the task gets generators of its own (`seedbed.libraries.threads`).
"""

from collections.abc import Callable

from seedbed import lineage, process


class Task:
    """A function with everything seeded for this one call, in a worker process."""

    def __init__(self, function: Callable, number: str, here: process.Here | None = None) -> None:
        self.function = function
        self.name = f"{here.place if here else lineage.place()}/{number}"
        self.chosen = here.choices if here else process.choices()

    def __call__(self, *arguments, **options):
        process.begin(self.name, self.chosen)
        return self.function(*arguments, **options)


class ThreadTask(Task):
    """The same in a worker thread, which has generators of its own for the task, from the first of them on."""

    def __init__(self, function: Callable, number: str, here: process.Here | None = None) -> None:
        from seedbed.libraries import threads

        threads.install()
        super().__init__(function, number, here)

    def __call__(self, *arguments, **options):
        from seedbed.libraries.threads import current

        inherited = process.merged(self.chosen, lineage.thread.initial or {})
        with AtTask(self.name, inherited):
            return current(self.function)(*map(current, arguments), **options)


class ThreadInitializer(ThreadTask):
    """What a pool of threads runs once in each of them; the seeds that it sets go into those of the thread's tasks."""

    def __call__(self, *arguments, **options):
        with AtTask(self.name, {}):
            self.function(*arguments, **options)
            chosen = process.choices()
        lineage.thread.initial = chosen


class AtTask(process.State):
    """While it is entered, this thread is at a task, with a state of its own; then it is again where it was, also after
    an error."""

    def __init__(self, place: str, inherited: dict[str, str]) -> None:
        super().__init__(inherited)
        self.place = place
        self.forks = 0
        self.generators = {}

    def generator(self, purpose: object, make: Callable[[], object]):
        """The task's own, made when it first draws for this purpose."""
        if purpose not in self.generators:
            self.generators[purpose] = make()
        return self.generators[purpose]

    def __enter__(self) -> None:
        self.before, lineage.thread.task = lineage.thread.task, self

    def __exit__(self, *_: object) -> None:
        lineage.thread.task = self.before
