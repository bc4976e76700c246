"""A training with workers that saves when it is asked to stop (KempnerForge#177, olmoearth_pretrain#604)."""

import signal
import time

from torch.utils.data import DataLoader, Dataset

asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))


class Slow(Dataset):
    def __len__(self) -> int:
        return 100_000

    def __getitem__(self, index: int) -> int:
        time.sleep(0.02)
        return index


for _ in DataLoader(Slow(), batch_size=4, num_workers=2):
    print("step", flush=True)
    if asked:
        print("checkpoint saved", flush=True)
        break
