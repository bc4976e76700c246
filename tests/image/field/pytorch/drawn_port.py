"""A job of one process that draws the port at which its processes meet."""

import random
import time

from torch import distributed

port = random.randrange(20000, 30000)
distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
time.sleep(4)  # the training
print("trained")
distributed.destroy_process_group()
