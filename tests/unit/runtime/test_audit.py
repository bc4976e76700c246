"""What stays unrepeatable is found and located; what is in order is not mentioned."""

import pytest
from seedbed import lint

CODE = """
import os, random, secrets, time, uuid
for _ in range(3):
    random.Random()
random.seed(int(time.time()))
uuid.uuid4(); secrets.token_hex()
for thing in {object(), object()}: pass
os.listdir(".")
random.Random(3); random.seed(1); sorted(os.listdir(".")); sorted({1, 2})
"""


def places(stderr: str) -> list[tuple[int, str]]:
    """The lines found and what is said of each."""
    rows = (line.split(":", 1)[1].split("  ", 1) for line in stderr.splitlines() if "script.py:" in line)
    return [(int(number), what) for number, what in rows]


def test_each_place_is_named_once_with_how_often_it_was_passed(run) -> None:
    done = run(CODE, SEEDBED_AUDIT="1")
    assert done.returncode == 0
    assert places(done.stderr) == [
        (4, "3 times  generator made without a seed; repeats only because of Seedbed"),
        (5, "seeded from the clock: another result in every run"),
        (6, "2 times  os.urandom, uuid4 or secrets: random on purpose"),
        (7, "loops over a set: only strings and numbers have a fixed order in it; sort it"),
        (8, "directory listing in the file system's order; sort it"),
    ]


def test_the_operating_systems_entropy_is_watched_however_it_is_asked_for(run) -> None:
    done = run("import os\nos.getrandom(4)\nos.urandom(4)\n", SEEDBED_AUDIT="1")
    assert [line for line, what in places(done.stderr) if what.startswith("os.urandom")] == [2, 3]


@pytest.mark.parametrize("folder, named", [("_vendor", False), ("parts", True)])
def test_a_generator_that_setuptools_or_pip_bring_along_is_not_named(run, install, folder: str, named: bool) -> None:
    code = "import random\nmade = random.Random()\n"
    install({f"site-packages/tool/{folder}/more.py": code})
    path = "import sys, os; sys.path.insert(0, os.path.dirname(__file__) + '/site-packages')"
    done = run(f"{path}; import tool.{folder}.more", SEEDBED_AUDIT="1")
    assert ("random.Random() without a seed" in done.stderr) == named, done.stderr


def test_without_the_option_nothing_is_said(run) -> None:
    assert run(CODE).stderr == ""


def test_watching_changes_no_number(output) -> None:
    code = "import random; print(random.random(), random.Random().random())"
    assert output(code) == output(code, SEEDBED_AUDIT="1")


def test_a_seed_larger_than_any_float_is_no_time(run) -> None:
    done = run("import random\nrandom.seed(10**400)\nrandom.seed(float('inf'))", SEEDBED_AUDIT="1")
    assert done.returncode == 0, done.stderr
    assert places(done.stderr) == []


def test_numpys_generators_are_watched(run) -> None:
    pytest.importorskip("numpy")
    code = """
import time
import numpy as np
np.random.default_rng()
np.random.seed(int(time.time()))
np.random.default_rng(1); np.random.seed(1)
"""
    assert places(run(code, SEEDBED_AUDIT="1").stderr) == [
        (4, "numpy generator made without a seed; repeats only because of Seedbed"),
        (5, "seeded from the clock: another result in every run"),
    ]


def test_another_bit_generator_of_numpys_is_reported_like_any_other(run) -> None:
    pytest.importorskip("numpy")
    done = run("import numpy.random as r\nr.set_bit_generator(r.PCG64(1))", SEEDBED_AUDIT="1")
    assert done.stderr.startswith("seedbed: audit: places to look at: none"), done.stderr


def test_a_package_that_takes_its_seed_from_the_clock_is_named_with_the_users_line(run, install, tmp_path) -> None:
    install({"site-packages/sampler.py": "import random, time\ndef sample(): return random.Random(time.time_ns())\n"})
    code = "import sys; sys.path.append('site-packages')\nimport sampler\n\nsampler.sample()\n"
    assert places(run(code, SEEDBED_AUDIT="1").stderr) == [
        (4, "sampler: seeded from the clock: another result in every run")
    ]


def test_the_report_imports_nothing_more(run) -> None:
    """At exit some modules can no longer be imported: concurrent.futures.process registers itself with threading."""
    done = run("import multiprocessing.pool, random\nrandom.Random()\n", SEEDBED_AUDIT="1")
    assert "Traceback" not in done.stderr
    assert places(done.stderr) == [(2, "generator made without a seed; repeats only because of Seedbed")]


TORCH = {
    "torch/__init__.py": """
class Flags: pass
random, backends = Flags(), Flags()
backends.cudnn, backends.mkldnn = Flags(), Flags()
from torch import utils
algorithms = None
def manual_seed(seed): pass
def initial_seed(): return 42
def seed(): pass
def use_deterministic_algorithms(mode, warn_only=False): global algorithms; algorithms = mode
def set_deterministic_debug_mode(mode): use_deterministic_algorithms(mode == "error")
def get_deterministic_debug_mode(): return 2 if algorithms else 0
class Generator:
    seed = 67280421310721
    def initial_seed(self): return self.seed
    def manual_seed(self, seed): self.seed = seed; return self
""",
    "torch/utils/__init__.py": "class deterministic: pass",
    "torch/utils/data/__init__.py": "",
    "torch/utils/data/distributed.py": """
class DistributedSampler:
    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0): pass
""",
}


def test_constant_seeds_of_torch_and_undone_flags_are_found(run, install) -> None:
    install(TORCH)
    code = """
import torch
from torch.utils.data.distributed import DistributedSampler
torch.Generator()
torch.Generator().manual_seed(3)
DistributedSampler([], seed=0)
DistributedSampler([], seed=3); DistributedSampler([], shuffle=False)
torch.backends.cudnn.benchmark = True
torch.use_deterministic_algorithms(False)
"""
    done = run(code, SEEDBED_AUDIT="1")
    assert places(done.stderr) == [
        (4, "torch.Generator() never given a seed: the same numbers under every SEEDBED_SEED"),
        (6, "DistributedSampler(seed=0): the same order under every SEEDBED_SEED"),
    ]
    assert done.stderr.splitlines()[-2:] == [
        "  torch.use_deterministic_algorithms is False at exit, was set True",
        "  torch.backends.cudnn.benchmark is True at exit, was set False",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "for x in set(names): pass",
        "[x for x in {a, b}]",
        "list({x for x in names})",
        "for i, x in enumerate(frozenset(names)): pass",
        "os.listdir('.')",
        "list(Path('.').glob('*'))",
        "for folder, _, files in os.walk('.'): read(files)",
        "train([*set(layers)])",
        "first, second = set(layers)",
        "set(layers).pop()",
        "next(iter(set(layers)))",
        "dict.fromkeys(set(layers))",
        "total = sum(layer.weight for layer in set(layers))",
        "for layer in before | set(layers): train(layer)",
        "for layer in set().union(*groups): train(layer)",
        "for name in a.keys() - b.keys(): train(name)",
        "for layer in weakref.WeakSet(layers): train(layer)",
        "layers = sorted(layers, key=id)",
        "layers.sort(key=hash)",
        "share = id(layer) % 4",
        "random.seed(hash(layer))",
        "sorted(layers, key=lambda layer: id(layer))",
        "layers.sort(key=lambda layer: (layer.depth, hash(layer)))",
        "functools.reduce(add, set(layers), 0.0)",
        "np.random.seed(time.time_ns() % 2**32)",
        "torch.manual_seed(os.getpid() + int(time.time() * 1000) % 9999)",
        "random.seed(int.from_bytes(open('/dev/urandom', 'rb').read(4), 'big'))",
        "rng = np.random.default_rng(seed=secrets.randbits(64))",
        "for done in as_completed(futures): total += done.result()",
        "for loss in pool.imap_unordered(work, tasks): total += loss",
    ],
)
def test_an_order_that_varies_is_found(tmp_path, line: str) -> None:
    (tmp_path / "a.py").write_text(f"\n{line}\n")
    assert [number for number, _ in lint.unordered(str(tmp_path / "a.py"))] == [2]


@pytest.mark.parametrize(
    "line",
    [
        "for x in sorted(set(names)): pass",
        "x in {a, b}",
        "len(set(names))",
        "for x in names: pass",
        "sorted(os.listdir('.'))",
        "len(os.listdir('.'))",
        "set(glob('*'))",
        "for name in {'a', 'b'}: train(name)",
        "for number in set(range(9)): train(number)",
        "for word in set(text.split()): train(word)",
        "for name in {path.name for path in paths}: train(name)",
        "for layer in set(layers): seen.add(layer)",
        "for layer in set(layers): layer.frozen = True",
        "names = [layer.name for layer in set(layers)]\nnames.sort()",
        "files = os.listdir('.')\nfor file in sorted(files): train(file)",
        "paths = []\nfor path in Path('.').glob('*'): paths.append(path)\npaths.sort()",
        "for folder, _, files in sorted(os.walk('.')): read(files)",
        "for node in ast.walk(tree): read(node)",
        "batch.pop(); next(iter(loader))",
        "known = {id(layer): layer for layer in layers}",
        "share = hash('layer 1') % 4",
        "name = '%x' % id(layer)",
        "layers = sorted(layers, key=lambda layer: layer.name)",
        "functools.reduce(operator.or_, set(masks))",
        "random.seed(seed or time.time())",
        "random.seed(int(os.environ['SEED']))",
        "class Ordered(set):\n    def __iter__(self): return iter(self.kept)\nfor x in Ordered(layers): train(x)",
        "groups = {'a': {'x', 'y'}}\nfor name in groups['a']: train(name)",
        "groups = defaultdict(set)\nfor w in text.split(): groups[0].add(w)\nfor name in groups[0]: train(name)",
        "done, _ = concurrent.futures.wait(futures)\nfor future in done: results[futures[future]] = future.result()",
        "for done in as_completed(futures): results[futures[done]] = done.result()",
        "class Point:\n    def __hash__(self): return hash(self.x) ^ hash(self.y)",
        "not python",
    ],
)
def test_an_order_that_does_not_matter_is_not(tmp_path, line: str) -> None:
    (tmp_path / "a.py").write_text(line)
    assert lint.unordered(str(tmp_path / "a.py")) == []


FOLLOWED = {
    "a variable": ("waiting = set(layers)", "for layer in waiting: train(layer)"),
    "an attribute": (
        "class Trainer:\n    def __init__(self): self.waiting = set()\n    def fit(self):",
        "        for layer in self.waiting: train(layer)",
    ),
    "a parameter": ("def train(waiting: set[Layer]):", "    return [layer.weight for layer in waiting]"),
    "an annotated name": ("waiting: set[Layer] | None = None", "list(waiting)"),
    "a result": ("def unique(layers): return set(layers)", "for layer in unique(layers): train(layer)"),
    "a set of a dictionary": ("groups = defaultdict(set)", "for layer in groups[0]: train(layer)"),
    "a set in a function, made outside": (
        "waiting = set(layers)\ndef train():",
        "    for layer in waiting: step(layer)",
    ),
    "sets combined": ("left, right = set(layers), set()", "for layer in left - right: train(layer)"),
    "what is added": ("waiting = set()\nwaiting.add(Layer())", "waiting.pop()"),
    "a sum under a lock": (
        "lock = threading.Lock()\ndef work(loss):\n    global total\n    with lock:",
        "        total += loss",
    ),
    "a sum under a lock of an object": (
        "def work(self, loss):\n    with self._lock:",
        "        self.sum = self.sum + loss",
    ),
    "a set in a dictionary": ("groups = {'a': set(layers)}", "for layer in groups['a']: train(layer)"),
    "the sets of a dictionary": (
        "groups = {'a': set(layers)}\nfor name, members in groups.items():",
        "    for layer in members: train(layer)",
    ),
    "the values of a dictionary": (
        "groups = defaultdict(set)\nfor members in groups.values():",
        "    for layer in members: train(layer)",
    ),
    "a set that setdefault makes": (
        "groups = {}\nfor layer in layers: groups.setdefault('a', set()).add(layer)",
        "for layer in groups['a']: train(layer)",
    ),
    "a field of a dataclass": (
        "class Graph:\n    nodes: set = field(default_factory=set)\n    def fit(self):",
        "        for node in self.nodes: train(node)",
    ),
    "a property": (
        "class Graph:\n    @property\n    def nodes(self): return set(self.all)",
        "for node in Graph().nodes: train(node)",
    ),
    "a class that is a set": ("class Bag(set): pass\nbag = Bag(layers)", "for layer in bag: train(layer)"),
    "futures that are done": ("done, _ = concurrent.futures.wait(futures)", "for future in done: add(future.result())"),
    "futures by another name": ("done, _ = cf.wait(futures)", "total = [future.result() for future in done]"),
    "tasks that are done": (
        "async def main():\n    done, waiting = await asyncio.wait(tasks)",
        "    return [task.result() for task in done]",
    ),
    "an address with a name": ("address = id(layer)", "share = address // 16 % 7"),
    "a dictionary by addresses": (
        "known = {id(layer): layer for layer in layers}",
        "for key in sorted(known): use(key)",
    ),
    "a seed with a name": ("seed = int(time.time() * 1000) % 9999", "torch.manual_seed(seed)"),
    "a sum between acquire and release": (
        "def work(loss):\n    global total\n    lock.acquire()\n    try:",
        "        total = total + loss\n    finally: lock.release()",
    ),
    "a list that is filled under a lock": (
        "def work(x):\n    with lock:",
        "        results.append(x * x)\nprint(sum(results))",
    ),
    "a queue with several producers": (
        "def work(results): results.put(1)\nfor _ in range(2): Thread(target=work, args=(results,)).start()",
        "total = results.get() + results.get()",
    ),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_set_or_a_race_is_followed_to_where_it_matters(tmp_path, name: str) -> None:
    before, line = FOLLOWED[name]
    (tmp_path / "a.py").write_text(f"{before}\n{line}\n")
    assert [number for number, _ in lint.unordered(str(tmp_path / "a.py"))] == [len(before.splitlines()) + 1]


@pytest.mark.parametrize(
    "code",
    [
        "waiting = set(layers)\nwaiting = sorted(waiting, key=name)\nfor layer in waiting: train(layer)",
        "words = set()\nfor line in text.splitlines(): words.add(line.strip())\nfor word in words: train(word)",
        "def train(words: set[str]): return list(words)",
        "def train(words: dict[int, set[str]]): return list(words[0])",
        "class A:\n    def __init__(self): self.x = set()\n    def fit(self): self.x = []; list(self.x)",
        "devices = set(all_devices)\nif len(devices) == 1: device = next(iter(devices))",
        "lock = threading.Lock()\ndef work(batch):\n    global seen\n    with lock: seen += len(batch)",
        "def work(loss):\n    with open(loss) as file:\n        total += file.read()",
        "def work(results): results.put((1, 2))\nfor _ in tasks: Thread(target=work, args=(results,)).start()\n"
        "parts = dict(results.get() for _ in tasks)\nfor number in sorted(parts): train(parts[number])",
        "def work(x):\n    with lock: results.append(x * x)\nfor x in sorted(results): train(x)",
        "def work(x):\n    with lock: free.append(x)\nconnection = free.pop()",
        "def work(x):\n    with lock: results.append((x, x * x))\nresults = dict(results)",
        "class Graph:\n    names: set[str] = field(default_factory=set)\n    def fit(self): return list(self.names)",
        "class Graph:\n    @property\n    def names(self): return {x.name for x in self.all}\nlist(Graph().names)",
        "def work(results): results.put(1)\nThread(target=work, args=(results,)).start()\nresults.get()",
    ],
)
def test_what_has_one_order_is_not_named(tmp_path, code: str) -> None:
    (tmp_path / "a.py").write_text(code)
    assert lint.unordered(str(tmp_path / "a.py")) == []


def test_forked_children_draw_what_they_draw_without_an_audit(output) -> None:
    """Control: libraries that the audit imports at start told a child of its fork before it knew where it stands."""
    code = """
import os, random
for _ in range(2):
    if os.fork() == 0:
        print(random.random(), random.Random().random(), flush=True)
        os._exit(0)
    os.wait()"""
    drawn = output(code, SEEDBED_AUDIT="1")
    assert drawn == output(code)
    assert len(set(drawn.split())) == 4
