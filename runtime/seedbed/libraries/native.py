"""Libraries whose generators are not Python's: seeded when they are imported, each by what it offers for that.

docs/libraries.md lists these and those for which nothing can be done. A forked child and a task of a process pool get
numbers of their own, as they do from `random`. What the user seeds later wins.
"""

import functools
import os
import sys
from collections.abc import Callable
from types import ModuleType

from seedbed import callers, lineage, process, terminal
from seedbed.settings import LARGEST_SEED
from seedbed.wrapping import after, around, before

Reseed = Callable[[int], object]


def configure(module: ModuleType) -> None:
    """Seed a library; one whose version has nothing of what is called here stays as it is, and a line says so."""
    try:
        SEEDED[module.__name__](module)
    except Exception as error:
        terminal.log(f"{module.__name__} is not seeded: this version is unknown to Seedbed ({error})")


def by_call(name: str, largest: int = LARGEST_SEED) -> Callable[[ModuleType], None]:
    """The library has a function that seeds its generator; it takes numbers from 0 to `largest`."""

    def configure(module: ModuleType) -> None:
        reseed, chosen = getattr(module, name), None  # as the library has it; what the user has given it last

        def seed(reseed: Reseed, *arguments, **options):
            nonlocal chosen
            chosen = *arguments, *options.values()
            return reseed(*arguments, **options)

        around(module, name, seed)
        follow(module.__name__, lambda number: reseed(number & largest), lambda: chosen)

    return configure


def follow(library: str, reseed: Reseed, chosen: Callable[[], object] = lambda: None) -> None:
    """Seed a generator now, in each forked child, and for each task of a pool."""
    reseed(process.seed(library))
    process.follow(library, reseed, chosen)


def by_keyword(keyword: str, *names: str, unseeded: object = None) -> Callable[[ModuleType], None]:
    """The library takes a seed by keyword in each call, and asks the system for entropy if that is `unseeded`."""

    def configure(module: ModuleType) -> None:
        missing = process.stream(module.__name__)
        for name in names:
            fill(module, name, keyword, unseeded, missing)

    return configure


def fill(module: ModuleType, name: str, keyword: str, unseeded: object, missing: process.Stream) -> None:
    """Have the function take the next number of the stream for the keyword, if the caller leaves it out."""
    place = position(getattr(module, name), keyword)

    def seeded(call: Callable, *arguments, **options):
        if len(arguments) <= place and options.get(keyword, unseeded) == unseeded:
            options[keyword] = missing.getrandbits(31)
        return call(*arguments, **options)

    around(module, name, seeded)


def position(call: Callable, keyword: str) -> int:
    """How many arguments come before this one, if all are given by position."""
    from inspect import signature

    parameters = list(signature(call).parameters.values())
    names = [parameter.name for parameter in parameters if parameter.kind is not parameter.KEYWORD_ONLY]
    return names.index(keyword) if keyword in names else len(names)


def configure_polars(polars: ModuleType) -> None:
    """Its generator, and the order of rows: hash tables have a new key each time, unless order is asked for."""
    by_call("set_random_seed")(polars)
    for owner, defaults in KEEP_ORDER.items():
        for name, value in defaults.items():
            keep_order(getattr(polars, owner), name, value)


OF_TABLES = {"unique": True, "group_by": True, "join": "left_right"}
KEEP_ORDER = {  # class -> what `maintain_order` is by default in its methods
    **{"DataFrame": OF_TABLES, "LazyFrame": OF_TABLES},
    **{"Expr": {"unique": True}, "Series": {"unique": True}},
}


def keep_order(owner: type, name: str, value: object) -> None:
    def ordered(method: Callable, *arguments, **options):
        return method(*arguments, **{"maintain_order": value} | options)

    around(owner, name, ordered)


def configure_duckdb(duckdb: ModuleType) -> None:
    """Each connection has a generator: it is seeded when the connection is made, the default one at its first use.

    Not at import: a connection has threads, which a forked child would miss. Queries find tables among the variables
    of the frame that calls them, so no function that takes a query is wrapped.
    """
    missing = process.stream("duckdb")
    default, connection_type = duckdb.default_connection, duckdb.DuckDBPyConnection
    seeded_at = None

    def seeded(connection):
        connection.execute(f"select setseed({missing.random()})").fetchall()
        return connection

    def seed_default() -> None:
        nonlocal seeded_at
        here = os.getpid(), lineage.place()
        if seeded_at != here:
            seeded_at = here
            seeded(default())

    def connect_seeded(connect, database=":memory:", *arguments, **options):
        connection = connect(database, *arguments, **options)
        return connection if database == ":default:" else seeded(connection)

    around(duckdb, "connect", connect_seeded)
    for owner, name in ((connection_type, "cursor"), (connection_type, "duplicate"), (duckdb, "cursor")):
        around(owner, name, lambda call, *arguments, **options: seeded(call(*arguments, **options)))
    shared = {name for name in vars(connection_type) if not name.startswith("_")} & vars(duckdb).keys()
    before_use(duckdb, shared - {"close", "cursor", "duplicate"} | {"default_connection"}, seed_default)


def configure_numba(numba: ModuleType) -> None:
    """Two generators in each thread, named after numpy's and Python's; other threads start theirs by `os.urandom`."""
    helpers = numba._helperlib

    def reseed(number: int) -> None:
        helpers.rnd_seed(helpers.rnd_get_np_state_ptr(), number)
        helpers.rnd_seed(helpers.rnd_get_py_state_ptr(), number ^ 1)

    os.urandom = entropy_for_threads(os.urandom)
    follow("numba", reseed)


NUMBA_STATE = 624 * 4  # bytes, which compiled code asks for and hardly anybody else


def entropy_for_threads(urandom: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """`urandom` that knows compiled code from Python code, in which a call of it has a name."""

    @functools.wraps(urandom)
    def entropy(size: int) -> bytes:
        caller = sys._getframe(0).f_back
        if size != NUMBA_STATE or (caller and "urandom" in caller.f_code.co_names):
            return urandom(size)
        thread = thread_of_python() if caller else thread_of_numba()
        return process.derived(f"numba {thread} {process.count(thread)}").randbytes(size)

    return entropy


def thread_of_numba() -> str:
    """A thread of `prange` has a number, and with it always the same part of the work."""
    return f"worker {sys.modules['numba.np.ufunc.parallel']._get_thread_id()}"


def thread_of_python() -> str:
    """A thread of the user's has a name, in which Python counts them."""
    from threading import current_thread

    return current_thread().name


def by_object(kind: str, seed: Callable[[object, int], object]) -> Callable[[ModuleType], None]:
    """Each object of a class has a generator, which starts from the clock or the system's entropy."""

    def configure(module: ModuleType) -> None:
        missing = process.stream(module.__name__)
        after(getattr(module, kind), "__init__", lambda _, made, *__, **___: seed(made, missing.getrandbits(31)))

    return configure


def configure_ale(ale_py: ModuleType) -> None:
    """A game reads its seed when a ROM is loaded; -1 stands for the clock."""
    missing = process.stream("ale_py")

    def seed(game, *_, **__) -> None:
        if game.getInt("random_seed") == -1:
            game.setInt("random_seed", missing.getrandbits(31))

    before(ale_py.ALEInterface, "loadROM", seed)


def configure_qiskit(qiskit_aer: ModuleType) -> None:
    """Each run of a simulator that has no seed among its own options gets one."""
    missing = process.stream("qiskit_aer")

    def run_seeded(run: Callable, self, *arguments, **options):
        if self.options.get("seed_simulator") is None:
            options.setdefault("seed_simulator", missing.getrandbits(31))
        return run(self, *arguments, **options)

    around(qiskit_aer.backends.aerbackend.AerBackend, "run", run_seeded)


def configure_rustworkx(rustworkx: ModuleType) -> None:
    by_keyword("seed", *(name for name in vars(rustworkx) if takes(getattr(rustworkx, name), "seed")))(rustworkx)


def takes(call: object, keyword: str) -> bool:
    """Whether it is a function with such a parameter."""
    from inspect import isclass, signature

    try:
        return callable(call) and not isclass(call) and keyword in signature(call).parameters
    except (TypeError, ValueError):  # it does not say
        return False


def configure_sqlite3(sqlite3: ModuleType) -> None:
    """SQL's `random()`, in connections that the user's own code makes; `randomblob` makes names and stays random."""
    missing = process.stream("sqlite3")

    def seed(connection, *_, **__) -> None:
        if callers.caller():
            connection.create_function("random", 0, lambda: missing.getrandbits(64) - 2**63)

    after(sqlite3, "connect", seed)
    sqlite3.dbapi2.connect = sqlite3.connect


def before_use(module: ModuleType, names: set[str], first: Callable[[], None]) -> None:
    """Have `first` called whenever one of these names is looked up in a module."""

    def looked_up(name: str) -> property:
        def get(module):
            first()
            return vars(module)[name]

        return property(get, lambda module, value: vars(module).__setitem__(name, value))

    module.__class__ = type("Module", (type(module),), {name: looked_up(name) for name in names})


SEEDED: dict[str, Callable[[ModuleType], None]] = {
    "ale_py": configure_ale,
    "ctranslate2": by_call("set_random_seed"),
    "cv2": by_call("setRNGSeed", 2**31 - 1),
    "duckdb": configure_duckdb,
    "leidenalg": by_object("Optimiser", lambda optimiser, number: optimiser.set_rng_seed(number)),
    "numba": configure_numba,
    "nutpie": by_keyword("seed", "sample"),
    "onnxruntime": by_call("set_seed"),
    "polars": configure_polars,
    "pyarrow.compute": by_keyword("initializer", "random", unseeded="system"),
    "qiskit_aer": configure_qiskit,
    "rustworkx": configure_rustworkx,
    "sentencepiece": by_call("set_random_generator_seed"),
    "sqlite3": configure_sqlite3,
}
