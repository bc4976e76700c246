"""What a process pool hands to its workers in the place of a function."""

from seedbed import boot, process


class Task:
    """A function with everything seeded for this one call.

    Which worker of a pool runs which task is a race: the generators of a worker would make results vary.
    """

    def __init__(self, function, number: str) -> None:
        self.function = function
        self.name = f"{boot.place()}/{number}"

    def __call__(self, *arguments, **options):
        process.begin(self.name)
        return self.function(*arguments, **options)
