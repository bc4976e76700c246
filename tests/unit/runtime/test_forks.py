"""Forked children: each draws numbers of its own from generators that nobody has seeded, the same in every run."""

import pytest

pytest.importorskip("numpy")

CHILDREN = """
import multiprocessing as mp, numpy, os, random
from concurrent.futures import ThreadPoolExecutor

def put(queue):
    queue.put((numpy.random.rand(), numpy.random.default_rng().random(), random.random()))

def nested(queue):
    process = context.Process(target=put, args=(queue,))
    process.start()
    process.join()

{seed}
context = mp.get_context("fork")
queue = context.SimpleQueue()
print(numpy.random.rand(), numpy.random.default_rng().random(), random.random())
for work in put, put, nested:
    process = context.Process(target=work, args=(queue,))
    process.start()
    print(*queue.get())
    process.join()
if (child := os.fork()) == 0:
    put(queue)
    os._exit(0)
os.waitpid(child, 0)
print(*queue.get())
"""


def test_children_draw_numbers_of_their_own(output) -> None:
    code = CHILDREN.format(seed="")
    drawn = output(code)
    assert drawn == output(code)
    assert len(set(drawn.split())) == 15
    assert drawn != output(code, SEEDBED_SEED="7")


ANOTHER = "numpy.random.set_bit_generator(numpy.random.PCG64(1)); "
SEEDS = (
    "numpy.random.seed(1)",
    "numpy.random.set_state(numpy.random.RandomState(1).get_state())",
    f"{ANOTHER}numpy.random.set_state(numpy.random.get_state(legacy=False))",
)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_user_has_seeded_is_copied_as_it_is_without_seedbed(output, seed: str) -> None:
    def drawn(**variables: str) -> list[str]:
        return [line.split()[0] for line in output(CHILDREN.format(seed=seed), **variables).splitlines()]

    assert drawn() == drawn(SEEDBED_MODE="off")
    assert len(set(drawn())) == 2


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("library", ["numpy.random", "random"])
def test_workers_are_equal_until_they_have_a_task(output, method: str, library: str) -> None:
    """What a pool's initializer draws is the same in all of them: which worker gets which task is a race."""
    code = f"""
import multiprocessing as mp, {library}, os, time
draw = {library}.{"rand" if library == "numpy.random" else "random"}

def draw_once():
    global drawn
    drawn = draw()

def task(_):
    time.sleep(os.urandom(1)[0] / 5000)
    return drawn

if __name__ == "__main__":
    with mp.get_context({method!r}).Pool(3, draw_once) as pool:
        print(set(pool.map(task, range(9), chunksize=1)), pool.apply(draw))
"""
    drawn = output(code)
    assert drawn == output(code)
    assert len(set(drawn.split())) == 2


def test_a_child_goes_on_if_another_thread_was_drawing(output) -> None:
    """Its lock is held for ever there: without Seedbed such a child waits only if it draws itself."""
    code = """
import multiprocessing as mp, numpy, threading
threading.Thread(target=numpy.random.mtrand._rand._bit_generator.lock.acquire).start()
held = threading.Thread(target=threading.Event().wait, daemon=True)
held.start()
process = mp.get_context("fork").Process(target=print, args=("ended",))
process.start()
process.join(30)
print("waits" if process.is_alive() else "gone", flush=True)
process.kill()
"""
    assert output(code) == "ended\ngone\n"
