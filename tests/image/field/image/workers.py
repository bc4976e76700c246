"""Two loaders with workers, whose batches fit into any /dev/shm (pytorch#5040, #16979)."""

from torch.utils.data import DataLoader

for _ in range(2):
    for _ in DataLoader(list(range(8)), num_workers=2):
        pass
print("trained")
