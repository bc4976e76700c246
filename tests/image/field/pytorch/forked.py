"""Forked children that draw from torch and numpy; with "busy", while a thread of their parent draws from torch."""

import multiprocessing
import sys
import threading

import numpy
import torch


def draw(queue) -> None:
    queue.put((torch.rand(1).item(), numpy.random.rand()))


def draw_until(ended: threading.Event) -> None:
    while not ended.is_set():
        torch.rand(1_000_000)


if __name__ == "__main__":
    if "seeded" in sys.argv:
        torch.manual_seed(1)
        numpy.random.seed(1)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    if "busy" not in sys.argv:
        draw(queue)
        print(*queue.get())
        for _ in range(3):
            child = context.Process(target=draw, args=(queue,))
            child.start()
            print(*queue.get())
            child.join()
        with context.Pool(2) as pool:
            print(*pool.map(torch.rand, [1, 1], chunksize=1))
    else:
        ended = threading.Event()
        threading.Thread(target=draw_until, args=(ended,)).start()
        children = [context.Process(target=print, args=("ended",)) for _ in range(8)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
            child.kill()
        ended.set()
