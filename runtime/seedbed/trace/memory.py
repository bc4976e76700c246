"""torch: which operations have written a piece of memory, and which one has handed it out uninitialised."""

from dataclasses import dataclass, field

import torch
from torch.multiprocessing.reductions import StorageWeakRef

MOST_WRITERS = 64  # of one piece of memory that are remembered


@dataclass(frozen=True)
class History:
    """Of a piece of memory: who has written to it since it was last written as a whole, and who handed it out fresh."""

    storage: StorageWeakRef | None = None  # while it lives, its number belongs to no other storage
    writers: list[int] = field(default_factory=list)
    fresh: int | None = None


class Memory:
    """Who has written what."""

    def __init__(self) -> None:
        self.known: dict[int, History] = {}
        self.limit = 10000

    def wrote(self, tensor: torch.Tensor, operation: int, is_fresh: bool) -> None:
        before, storage = self.history(tensor), tensor.untyped_storage()
        whole = tensor.numel() * tensor.element_size() == storage.nbytes()
        writers = [operation] if whole else [*before.writers, operation][-MOST_WRITERS:]
        reference = before.storage or StorageWeakRef(storage)
        self.known[storage._cdata] = History(reference, writers, operation if is_fresh else before.fresh)
        if len(self.known) > self.limit:
            self.known = {number: found for number, found in self.known.items() if not found.storage.expired()}
            self.limit = 2 * max(len(self.known), 10000)

    def history(self, tensor: torch.Tensor) -> History:
        if tensor.layout is not torch.strided:  # it has no memory of its own
            return NOBODY
        found = self.known.get(tensor.untyped_storage()._cdata, NOBODY)
        return NOBODY if found.storage and found.storage.expired() else found


NOBODY = History()
