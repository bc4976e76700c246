"""`torch.distributed`: a process that joins a group is a rank, and has the seed of a rank, whoever started it.

A child of multiprocessing is a worker with numbers of its own. Those that `torch.multiprocessing.spawn` starts for a
distributed training are equal programs on equal models, as the ranks of torchrun are: FSDP and loops written by hand do
not broadcast the weights that a rank begins with.
"""

import os
from types import ModuleType

from seedbed import environment, lineage, process
from seedbed.wrapping import after


def configure(distributed_c10d: ModuleType) -> None:
    """`_update_default_pg` is what every way to join ends with (torch 2.7.1 and 2.14.1), and to leave, with None."""

    def note_group(_, group) -> None:
        if group is not None and group is not distributed_c10d.GroupMember.NON_GROUP_MEMBER:
            become_rank(group.rank())

    after(distributed_c10d, "_update_default_pg", note_group)


def become_rank(number: int) -> None:
    """Seed everything anew if the seed of this rank is another than that of this process so far.

    A child of multiprocessing then stands where its parent does; a worker of a pool remains one.
    """
    above, _, last = lineage.path.rpartition("/")
    place = above if last[:1] in ("s", "f") and not lineage.task else lineage.path
    seed = environment.seed(os.environ, number)
    if (place, seed) != (lineage.path, process.root_seed):
        lineage.path, process.root_seed = place, seed
        process.start_over(lineage.task)
