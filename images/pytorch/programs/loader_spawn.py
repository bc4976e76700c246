"""DataLoader: the same with two spawned workers, restarted in each epoch."""

import loader_fork

if __name__ == "__main__":
    loader_fork.train("spawn")
