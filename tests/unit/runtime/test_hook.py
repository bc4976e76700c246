"""The layer in every Python: what it seeds, and with the layer off the same code must differ."""

import subprocess
import sys
from pathlib import Path

import pytest

NUMPY = "import numpy as np\n"

REPEATS = {
    "the global generator": "import random; print(random.random())",
    "a generator without a seed": "from random import Random; print(Random().random(), Random().random())",
    "seed() without a seed": "import random; random.seed(); print(random.random())",
    "a forked child": """
        import os, random
        if os.fork() == 0: print(random.random())
        else: os.wait()""",
    "the order of a set of strings": "print({chr(c) for c in range(97, 120)})",
    "numpy's global generator": NUMPY + "print(np.random.rand())",
    "numpy's seed() without a seed": NUMPY + "np.random.seed(); print(np.random.rand())",
    "default_rng()": NUMPY + "print(np.random.default_rng().random(), np.random.default_rng().random())",
    "SeedSequence()": NUMPY + "print(np.random.SeedSequence().entropy)",
    "RandomState()": NUMPY + "print(np.random.RandomState().rand())",
    "Philox()": NUMPY + "print(np.random.Generator(np.random.Philox()).random())",
    "a forked child's default_rng()": NUMPY
    + """
        import os
        if os.fork() == 0: print(np.random.default_rng().random())
        else: os.wait()""",
}


def dedented(code: str) -> str:
    return "\n".join(line.removeprefix("        ") for line in code.splitlines())


@pytest.fixture(params=REPEATS.values(), ids=REPEATS.keys())
def code(request: pytest.FixtureRequest) -> str:
    if request.param.startswith(NUMPY):
        pytest.importorskip("numpy")
    return dedented(request.param)


def test_it_repeats(output, code: str) -> None:
    assert output(code) == output(code)


def test_another_seed_gives_another_result(output, code: str) -> None:
    assert output(code) != output(code, SEEDBED_SEED="7", PYTHONHASHSEED="7")


def test_without_the_layer_it_varies(output, code: str) -> None:
    off = {"SEEDBED_MODE": "off", "PYTHONHASHSEED": None}
    assert output(code, **off) != output(code, **off)


def test_warn_seeds_as_strict_does(output, code: str) -> None:
    assert output(code, SEEDBED_MODE="warn") == output(code)


WORKERS = """
import multiprocessing as mp, random, sys
from concurrent.futures import ProcessPoolExecutor

def draw(_):
    return random.random(), random.Random().random()

def nested(_):
    with mp.get_context(sys.argv[1]).Pool(1) as pool:
        return pool.map(draw, [0])[0]

def put(queue, work):
    queue.put(work(0))

if __name__ == "__main__":
    context = mp.get_context(METHOD)
    sys.argv = [sys.argv[0], METHOD]
    queue = context.SimpleQueue()
    for work in draw, draw, nested:
        process = context.Process(target=put, args=(queue, work))
        process.start()
        print(*queue.get())
        process.join()
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        print(*next(pool.map(draw, [0])))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_child_processes_repeat_and_differ_from_one_another(output, method: str) -> None:
    code = WORKERS.replace("METHOD", repr(method))
    drawn = output(code)
    assert drawn == output(code)
    assert len(set(drawn.split())) == 8
    assert drawn != output(code, SEEDBED_SEED="7")
    assert drawn != output(code, SEEDBED_MODE="off")


SPAWNED_GLOBALS = """
import multiprocessing as mp, random
random.seed(1)
mine = random.random()

def put(queue):
    queue.put((mine, random.random()))

if __name__ == "__main__":
    context = mp.get_context("spawn")
    queue = context.SimpleQueue()
    for _ in range(2):
        process = context.Process(target=put, args=(queue,))
        process.start()
        print(*queue.get())
        process.join()
"""


def test_a_seed_the_user_sets_in_a_spawned_child_wins(output) -> None:
    first, second = output(SPAWNED_GLOBALS).splitlines()
    assert first == second == output(SPAWNED_GLOBALS, SEEDBED_SEED="7").splitlines()[0]


def test_a_seed_the_user_sets_reaches_forked_children(output) -> None:
    code = """
import os, random
random.seed({seed})
if os.fork() == 0: print(random.random())
else: os.wait()"""
    assert output(code.format(seed=1)) == output(code.format(seed=1), SEEDBED_SEED="7")
    assert output(code.format(seed=1)) != output(code.format(seed=2))


@pytest.mark.parametrize("when", ["import random; random.seed(1)", "from random import seed; seed(1); import random"])
def test_the_users_own_seed_wins(output, when: str) -> None:
    code = f"{when}; print(random.random())"
    assert output(code) == output(code, SEEDBED_SEED="7") == output(code, SEEDBED_MODE="off")


def test_the_users_own_numpy_seeds_win(output) -> None:
    pytest.importorskip("numpy")
    code = NUMPY + "np.random.seed(1); print(np.random.rand(), np.random.default_rng(1).random())"
    assert output(code) == output(code, SEEDBED_SEED="7") == output(code, SEEDBED_MODE="off")


def test_what_must_stay_random_does(output) -> None:
    code = """
import os, random, secrets, tempfile, uuid
print(os.urandom(8).hex(), random.SystemRandom().random(), secrets.token_hex(), tempfile.mktemp(), uuid.uuid4())"""
    assert not set(output(code).split()) & set(output(code).split())


def test_starting_python_imports_nothing_but_the_two_files_of_the_hook(output) -> None:
    code = "import sys; print(*sys.modules)"
    added = set(output(code).split()) - set(output(code, "-S").split())
    assert {name for name in added if "seedbed" in name} == {"seedbed", "seedbed.boot", "seedbed.lineage"}
    assert "random" not in added


def test_loading_the_layer_twice_changes_nothing(output) -> None:
    code = """
import sys, runpy, seedbed.boot
from importlib import reload
import random
print(sum(type(finder).__name__ == "Finder" for finder in sys.meta_path), random.random())"""
    count, number = output(code).split()
    assert count == "1" and number == output("import random; print(random.random())").strip()


def test_a_library_loaded_before_the_layer_is_seeded_too(output, runtime: Path) -> None:
    code = f"import random, sys; sys.path.append({str(runtime)!r}); import seedbed.boot; print(random.random())"
    assert output(code, "-S") == output("import random; print(random.random())")


def test_loaders_keep_their_type_and_are_left_as_they_were(output) -> None:
    code = """
import inspect, random
loader = random.__spec__.loader
print(type(loader).__name__, "exec_module" in vars(loader), "def random" in inspect.getsource(random))"""
    assert output(code) == "SourceFileLoader False True\n"


def test_asking_whether_a_library_is_there_loads_nothing(output) -> None:
    code = """
import sys
from importlib.util import find_spec
print(find_spec("random") is not None, "random" in sys.modules)"""
    assert output(code) == "True False\n"


def test_a_library_that_is_not_there_fails_as_ever(run) -> None:
    assert "ModuleNotFoundError: No module named 'torch'" in run("import torch").stderr


@pytest.mark.parametrize("flag", ["-E", "-I"])
def test_where_python_ignores_the_environment_it_seeds_and_says_what_it_cannot(run, output, flag: str) -> None:
    pytest.importorskip("numpy")
    done = run("import numpy, random; print(random.random())", flag)
    assert done.stdout == output("import random; print(random.random())")
    assert done.stderr.startswith("seedbed: Python started without PYTHONHASHSEED") and done.stderr.count("\n") == 1


def test_a_missing_hash_seed_is_said_once_and_only_where_numbers_are_computed(run) -> None:
    pytest.importorskip("numpy")
    assert run("import random", PYTHONHASHSEED=None).stderr == ""
    assert run("import numpy", PYTHONHASHSEED=None).stderr.count("PYTHONHASHSEED") == 1
    assert run("import numpy").stderr == ""


@pytest.mark.parametrize("variables", [{"SEEDBED_SEED": "x"}, {"SEEDBED_MODE": "x"}])
def test_with_the_entrypoint_bypassed_a_wrong_request_stops_the_process(run, variables: dict[str, str]) -> None:
    done = run("try:\n    import random\nexcept BaseException:\n    pass\nprint('went on')", **variables)
    (name, value), *_ = variables.items()
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith(f"seedbed: cannot configure random: {name}={value}: expected ")


BROKEN_TORCH = {"torch/__init__.py": ""}  # has none of what the layer calls


def test_a_library_that_cannot_be_configured_stops_strict(run, install) -> None:
    install(BROKEN_TORCH)
    done = run("print('before')\ntry:\n    import torch\nexcept BaseException:\n    pass\nprint('went on')")
    assert (done.returncode, done.stdout) == (78, "before\n")
    assert done.stderr.startswith("seedbed: cannot configure torch: ") and done.stderr.count("\n") == 1


def test_a_library_that_cannot_be_configured_is_said_in_warn(run, install) -> None:
    install(BROKEN_TORCH)
    done = run("import torch; print('went on')", SEEDBED_MODE="warn")
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert done.stderr.startswith("seedbed: cannot configure torch: ")


def test_an_unknown_numpy_is_said_and_goes_on(run, install) -> None:
    install(
        {
            "numpy/__init__.py": "",
            "numpy/random/__init__.py": "from numpy.random import bit_generator\ndef seed(seed): pass",
            "numpy/random/bit_generator.py": "class SeedSequence:\n    entropy = 1",
        }
    )
    done = run("import numpy.random; print('went on')")
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert "numpy.random.default_rng() without a seed stays random" in done.stderr


def test_variables_are_there_before_the_library_runs(output, install) -> None:
    install({"jax/__init__.py": "import os; print(os.environ['XLA_FLAGS'], os.environ['CUBLAS_WORKSPACE_CONFIG'])"})
    assert output("import jax") == "--xla_gpu_deterministic_ops=true :4096:8\n"
    assert output("import jax", XLA_FLAGS="--mine") == "--mine :4096:8\n"


def test_the_users_xla_flags_get_ours_added_unless_they_decide(output, install) -> None:
    install({"jax/__init__.py": ""})
    code = "import jax, os; print(os.environ.get('XLA_FLAGS'))"
    assert output(code, XLA_FLAGS="--mine") == "--mine --xla_gpu_deterministic_ops=true\n"
    assert output(code, XLA_FLAGS="--xla_gpu_deterministic_ops=false") == "--xla_gpu_deterministic_ops=false\n"
    assert output(code, SEEDBED_MODE="warn") == "None\n"


def test_off_takes_the_baked_variables_back_with_the_entrypoint_bypassed(output) -> None:
    code = "import os; print(os.environ.get('TF_DETERMINISTIC_OPS'), os.environ.get('NCCL_ALGO'))"
    assert output(code, SEEDBED_MODE="off", TF_DETERMINISTIC_OPS="1", NCCL_ALGO="Tree") == "None Tree\n"


def test_the_second_carrier_reaches_a_python_without_the_first(python: Path, runtime: Path, environ, tmp_path) -> None:
    carrier = (runtime / "sitecustomize.py").read_text()
    (tmp_path / "sitecustomize.py").write_text(carrier.replace("/opt/venv", str(python.parents[1])))
    subprocess.run([python, "-m", "venv", "--without-pip", tmp_path / "theirs"], check=True, env=environ)
    theirs, home = tmp_path / "theirs/bin/python", python.parents[1]

    def drawn(python: Path, **variables: str) -> str:
        code = f"import random, sys; print(random.random(), any({str(home)!r} in path for path in sys.path))"
        return subprocess.run([python, "-c", code], env=environ | variables, capture_output=True, text=True).stdout

    with_carrier = drawn(theirs, PYTHONPATH=str(tmp_path))
    assert with_carrier == drawn(theirs, PYTHONPATH=str(tmp_path))
    assert with_carrier.endswith("False\n"), "only the layer is visible, not the packages beside it"
    assert with_carrier.split()[0] == drawn(python).split()[0]
    assert drawn(theirs) != drawn(theirs)


# Ways to keep the hook from saying that it cannot do its work.
STREAMS = {
    "stdout closed": ">&-",
    "stderr closed": "2>&-",
    "both closed": ">&- 2>&-",
    "stdout full": ">/dev/full",
    "stderr full": "2>/dev/full",
    "both full": ">/dev/full 2>/dev/full",
}


@pytest.mark.parametrize("streams", STREAMS.values(), ids=STREAMS.keys())
def test_whatever_the_streams_a_hook_that_fails_ends_the_process(python, environ, tmp_path, streams: str) -> None:
    code = "open(__import__('sys').argv[1], 'w').write('started')\nimport random\nopen(__import__('sys').argv[2], 'w')"
    command = f'"$0" -c "$1" started unseeded {streams}'
    done = subprocess.run(
        ["sh", "-c", command, python, code], env=environ | {"SEEDBED_SEED": "x"}, cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 78
    assert (tmp_path / "started").exists() and not (tmp_path / "unseeded").exists()


def test_messages_do_not_go_to_stdout_if_there_is_no_stderr(python, environ) -> None:
    command = ["sh", "-c", '"$0" -c "import random" 2>&-', python]
    done = subprocess.run(command, env=environ | {"SEEDBED_SEED": "x"}, capture_output=True)
    assert (done.returncode, done.stdout) == (78, b"")


@pytest.mark.parametrize("file", ["seedbed.py", "seedbed/__init__.py", "seedbed/boot.py"])
def test_a_package_called_seedbed_on_pythonpath_does_not_replace_the_hook(output, install, tmp_path, file) -> None:
    install({f"theirs/{file}": "print('theirs')"})
    code = "import random; print(random.random())"
    assert output(code, PYTHONPATH=str(tmp_path / "theirs")) == output(code)


def test_the_folder_it_is_loaded_from_is_on_the_path_once(output) -> None:
    assert output("import sys; print(len(sys.path) == len(set(sys.path)))") == "True\n"


def test_a_second_carrier_that_finds_no_package_ends_the_process(runtime: Path, environ, tmp_path) -> None:
    text = (runtime / "sitecustomize.py").read_text()
    assert text.count("/opt/venv") == 1
    (tmp_path / "sitecustomize.py").write_text(text.replace("/opt/venv", "/nonexistent"))
    environ = environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", "print('went on')"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == "seedbed: cannot start: No module named 'seedbed'\n"
    off = subprocess.run(command, env=environ | {"SEEDBED_MODE": "off"}, capture_output=True, text=True)
    assert off.stdout == "went on\n"


PAST = {  # ways to import a library past the hook's finder
    "a finder before it": "sys.meta_path.insert(0, PathFinder); import random",
    "finders replaced": "sys.meta_path[:] = [PathFinder]; import random",
    "by hand": """
spec = PathFinder.find_spec("random")
sys.modules["random"] = random = module_from_spec(spec)
spec.loader.exec_module(random)""",
}
BY_HAND = "import sys\nfrom importlib.machinery import PathFinder\nfrom importlib.util import module_from_spec\n"


@pytest.mark.parametrize("way", PAST)
def test_a_library_imported_past_the_hook_ends_the_process_at_exit_at_the_latest(run, output, way: str) -> None:
    done = run(f"{BY_HAND}{PAST[way]}\nprint('drawn', random.random() < 1)")
    assert (done.returncode, done.stdout) == (78, "drawn True\n")
    assert done.stderr.startswith("seedbed: cannot seed random: ") and done.stderr.count("\n") == 1
    warned = run(f"{BY_HAND}{PAST[way]}", SEEDBED_MODE="warn")
    assert (warned.returncode, warned.stderr) == (0, done.stderr)
    assert output(f"{BY_HAND}{PAST[way]}", SEEDBED_MODE="off") == ""


def test_it_ends_when_the_next_library_is_imported(run, install) -> None:
    install({"torch/__init__.py": ""})
    done = run(f"{BY_HAND}{PAST['a finder before it']}\nsys.meta_path.pop(0)\nimport torch\nprint('went on')")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith("seedbed: cannot seed random: ")


def test_a_stand_in_for_a_library_and_one_that_is_not_loaded_yet_are_not_taken_for_it(output, install) -> None:
    install({"torch/__init__.py": "raise ValueError('loaded')"})
    code = """
import sys, types
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader, find_spec, module_from_spec
sys.modules["tensorflow"] = types.ModuleType("tensorflow")
sys.modules["jax"] = None
sys.modules["duckdb"] = types.ModuleType("duckdb")
sys.modules["duckdb"].__spec__ = True
sys.modules["cv2"] = module_from_spec(ModuleSpec("cv2", None))
spec = PathFinder.find_spec("torch", sys.path)
spec.loader = LazyLoader(spec.loader)
sys.modules["torch"] = torch = module_from_spec(spec)
spec.loader.exec_module(torch)
import random
print("went on")"""
    assert output(code) == "went on\n"


def test_threads_that_import_at_the_same_time_miss_nothing(output) -> None:
    pytest.importorskip("numpy")
    code = """
import importlib, sys, threading
sys.setswitchinterval(1e-6)
names = ("random", "tempfile", "subprocess", "sqlite3", "multiprocessing.pool", "concurrent.futures.thread", "numpy")
threads = [threading.Thread(target=importlib.import_module, args=(name,)) for name in names]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("went on")"""
    assert output(code) == "went on\n"


def test_an_error_without_a_text_is_named(run, install) -> None:
    install({"torch/__init__.py": "def manual_seed(seed): raise MemoryError"})
    assert run("import torch").stderr == "seedbed: cannot configure torch: MemoryError\n"


@pytest.mark.parametrize("broken", ["no package", "no boot.py", "an error in it"])
@pytest.mark.parametrize("streams", ["", "2>&-", "2>/dev/full"])
def test_a_first_carrier_that_finds_no_hook_ends_the_process(runtime: Path, environ, tmp_path, broken, streams) -> None:
    """Also if a sitecustomize.py of the user's hides the second one: Python itself prints the error and goes on."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "theirs"], check=True, env=environ)
    (packages,) = (tmp_path / "theirs").glob("lib/*/site-packages")
    (packages / "00_seedbed.pth").write_text((runtime / "00_seedbed.pth").read_text())
    if broken != "no package":
        (packages / "seedbed").mkdir()
        (packages / "seedbed/__init__.py").write_text("")
    if broken == "an error in it":
        (packages / "seedbed/boot.py").write_text("1 +")
    (tmp_path / "sitecustomize.py").write_text("")
    command = ["sh", "-c", f'"$0" -c "print(1)" {streams}', tmp_path / "theirs/bin/python"]
    environ = environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (78, "")
    assert streams or (done.stderr.startswith("seedbed: cannot start: ") and done.stderr.count("\n") == 1)
    off = subprocess.run(command, env=environ | {"SEEDBED_MODE": "off"}, capture_output=True, text=True)
    assert streams or (off.returncode, off.stdout) == (0, "1\n")


def test_the_second_carrier_seeds_before_it_looks_for_a_home(python: Path, runtime: Path, environ, tmp_path) -> None:
    """An error in the rest of it is one that Python prints and goes on after."""
    text = (runtime / "sitecustomize.py").read_text().replace("/opt/venv", str(python.parents[1]))
    (tmp_path / "sitecustomize.py").write_text(text.replace("set_home() -> None:\n", "set_home():\n    1 / 0\n"))
    draw = [sys.executable, "-c", "import random; print(random.random())"]
    environ = environ | {"PYTHONPATH": str(tmp_path)}
    drawn = [subprocess.run(draw, env=environ, capture_output=True, text=True) for _ in range(2)]
    assert "ZeroDivisionError" in drawn[0].stderr
    assert drawn[0].stdout == drawn[1].stdout != ""


def test_nothing_in_the_hook_warns(output) -> None:
    """Neither of an encoding that follows the locale nor of anything else: -W error would end the process."""
    pytest.importorskip("numpy")
    code = "import concurrent.futures.process, multiprocessing.pool, numpy, random, sqlite3, tempfile; print(1)"
    assert output(code, "-X", "warn_default_encoding", "-W", "error") == "1\n"
