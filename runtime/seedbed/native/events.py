"""What the watching library has written down, and what of it can change a result."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from seedbed import callers
from seedbed.environment import is_number

FRAME = re.compile(r'  File "(.*)", line (\d+|\?\?\?) in (.*)')
THREAD = ("Thread ", "Current thread ")
HASH_KEYS = ("16 bytes, flags 4", "64 bytes, flags 0")  # of Rust's own HashMap, and of its package ahash
WAITING = (
    "/threading.py",
    "/queue.py",
    "/selectors.py",
    "/socket.py",
    "/subprocess.py",
    "/concurrent/futures/thread.py",
)
SQL_RANDOM = re.compile(r"\brandom(?:blob)?\s*\(\s*\w*\s*\)", re.IGNORECASE)
IMPORTING = "<frozen importlib"


@dataclass(frozen=True)
class Known:
    """Entropy that reaches no result: a library (the start of its file's name), how, and where from."""

    library: str
    how: str = ""
    among: str = ""  # in the file or function of what the user's line called


KNOWN = (
    # for cryptography
    *map(Known, ("libcrypto", "libssl", "libgnutls", "libgcrypt", "libnettle", "libsodium", "libkrb5")),
    *map(Known, ("ssh", "gpg", "openssl", "curl", "libcurl", "git")),
    # for names and identifiers
    *map(Known, ("libuuid", "libglib", "libgio", "libsystemd", "libdbus", "mktemp", "libapr")),
    *map(Known, ("libcuda", "libnvidia", "libnccl", "libcufile", "libmpi", "libpmix", "libprrte")),
    *map(Known, ("libfabric", "libucs", "libuct", "libucp", "libibverbs", "libzmq")),
    # for where memory lies
    *map(Known, ("libjemalloc", "libmimalloc", "libtcmalloc")),
    # for the first seed of rand(), drawn at every start, whether or not the script calls it
    Known("mawk", how="srand"),
    # for the first seed of the default generator, and of a GPU's, which Seedbed replaces
    Known("libc10", among=IMPORTING),
    Known("libc10", among="_lazy_init"),
    # for names, of shared memory and others
    *(
        Known("libtorch", among=place)
        for place in ("/torch/storage.py", "/torch/multiprocessing/", "/torch/distributed/")
    ),
    *map(Known, ("libshm", "torch_shm_manager")),
    # tsl/platform/random.cc: numbers of steps and devices. Operations follow tf.random.set_seed or what
    # libraries/tensorflow.py fills in, or raise in strict.
    Known("libtensorflow"),
    # for its memory allocator, and TLS
    Known("libarrow", among=IMPORTING),
    # include/LightGBM/utils/random.h: a generator draws a seed as it is made, and gets the parameter's before its use.
    Known("lib_lightgbm"),
)
ONLY_HASHES = (  # packages whose results do not follow the order of their hash maps
    *("tokenizers", "pydantic_core", "orjson", "rpds", "safetensors", "hf_xet", "hf_transfer", "tiktoken", "jiter"),
    *("cryptography", "bcrypt", "watchfiles", "outlines_core", "uv", "ruff"),
)


@dataclass(frozen=True)
class Frame:
    """One line of a Python stack."""

    file: str
    line: int
    function: str


@dataclass(frozen=True)
class Event:
    """One use of entropy, by a library. `times`: how many of the kind it stands for. Frames are innermost first."""

    process: int
    library: str
    how: str
    detail: str
    times: int
    frames: tuple[Frame, ...]

    @property
    def users(self) -> Frame | None:
        """The user's line that led there."""
        return next((frame for frame in self.frames if callers.is_users(frame.file)), None)

    @property
    def called(self) -> tuple[Frame, ...]:
        """What that line called, innermost first."""
        return self.frames[: self.frames.index(self.users)] if self.users else self.frames

    @property
    def importing(self) -> bool:
        """Whether that line imports."""
        return any(frame.file.startswith(IMPORTING) for frame in self.called)

    @property
    def seeding(self) -> bool:
        """Whether it is a function that seeds the generator, called by Seedbed or by the user: the draw is replaced."""
        return any("seed" in frame.function for frame in self.called[:1])

    @property
    def is_hash_keys(self) -> bool:
        return self.how == "getrandom" and self.detail in HASH_KEYS


@dataclass(frozen=True)
class Row:
    """One place and what draws there. `line` 0: no Python code of the user's led there, and `file` is the library."""

    file: str
    line: int
    what: str
    library: str
    times: int
    processes: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {self.description}" if self.line else f"{self.file}  {self.description}"

    @property
    def description(self) -> str:
        times = f"{self.times} times  " if self.times > 1 else ""
        return f"{times}{self.what}" + (f" (in {self.processes} processes)" if self.processes > 1 else "")


def rows(files: Iterable[Path]) -> list[Row]:
    """What was drawn and can change a result, by place. Of several runs the one that drew most often there counts."""
    found: dict[tuple, tuple[int, int]] = {}
    for file in files:
        for key, events in by_place(file).items():
            here = sum(event.times for event in events), len({event.process for event in events})
            found[key] = max(found.get(key, here), here)
    return [Row(*key, *found[key]) for key in sorted(found)]


def by_place(file: Path) -> dict[tuple[str, int, str, str], list[Event]]:
    """The events of one run that can change a result. Keys of hash maps count once a library, where it was called.

    Each thread draws keys for its first map, wherever that is; all its later maps have them too.
    """
    found: dict[tuple, list[Event]] = {}
    keys: dict[str, list[Event]] = {}
    for event in read(file):
        if event.is_hash_keys:
            keys.setdefault(event.library, []).append(event)
        if not is_harmless(event) and not event.is_hash_keys:
            found.setdefault(described(event), []).append(event)
    for events in keys.values():
        event = min(events, key=lambda event: (event.users is None, event.importing))
        if own_package(event.library).removeprefix("_") not in ONLY_HASHES:
            found[described(event)] = [replace(event, times=1)]
    return found


def read(file: Path) -> Iterator[Event]:
    """The events of one run; a line torn by the end of the process is left out."""
    seen: dict[tuple, int] = {}
    for line in lines(file):
        if "library" in line:
            kind = line["process"], line["library"], line["how"]
            times = line["count"] - seen.get(kind, 0)
            seen[kind] = max(line["count"], seen.get(kind, 0))
            frames = tuple(chosen(stacks(line["stack"])))
            yield Event(line["process"], line["library"], line["how"], line["detail"], max(times, 1), frames)


def lines(file: Path) -> Iterator[dict]:
    """The JSON lines of a file; none if there is no such file."""
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return
    for line in text.split("\n")[:-1]:
        try:
            yield json.loads(line)
        except ValueError:
            continue


def stacks(text: str) -> list[list[Frame]]:
    """The stacks of one thread, or of all threads, as CPython's crash handler writes them."""
    found: list[list[Frame]] = [[]]
    for line in text.splitlines():
        if line.startswith(THREAD):
            found.append([])
        if frame := FRAME.fullmatch(line):
            file = re.sub(r"\\(x..|u....|U.{8})", lambda match: chr(int(match[1][1:], 16)), frame[1])
            found[-1].append(Frame(file, int(frame[2]) if is_number(frame[2]) else 0, frame[3]))
    return [frames for frames in found if frames]


def chosen(found: list[list[Frame]]) -> list[Frame]:
    """The thread that the library works for: one that does not just wait for others."""
    busy = [frames for frames in found if not frames[0].file.endswith(WAITING)]
    return next(iter(busy or found), [])


def is_harmless(event: Event) -> bool:
    """Whether it cannot change a result, as far as is known."""
    name = Path(event.library).name
    if name.startswith("libsqlite3"):
        return not calls_random_in_sql(event.users)
    return event.seeding or "/lib-dynload/" in event.library or any(is_known(event, name, known) for known in KNOWN)


def calls_random_in_sql(frame: Frame | None) -> bool:
    """Whether the user's file may hold a call of SQL's random(): SQLite needs entropy for much else."""
    try:
        return frame is not None and bool(SQL_RANDOM.search(Path(frame.file).read_text(errors="replace")))
    except OSError:  # no file: python -c
        return True


def is_known(event: Event, name: str, known: Known) -> bool:
    among = any(known.among in f"{frame.file} {frame.function}" for frame in event.called)
    return name.startswith(known.library) and known.how in event.how and (among or not known.among)


def described(event: Event) -> tuple[str, int, str, str]:
    """File, line, what and library."""
    place = (event.users.file, event.users.line) if event.users else (event.library, 0)
    return *place, what(event), event.library


def what(event: Event) -> str:
    name = library_name(event.library, package(event))
    if event.detail == "seeded from the clock":
        return f"{name} calls {event.how}() with the time: another result in every run"
    if event.is_hash_keys:
        return f"{name} draws keys for hash maps: an order that follows from them differs in every run"
    return f"{name} draws from the operating system's entropy ({event.how}): no seed reaches it"


def package(event: Event) -> str:
    """The package that the user's line calls, or whose code it is; the library's name if it belongs to no package."""
    others = (frame.file for frame in event.called if not frame.file.startswith(callers.SEEDBED))
    found = next(filter(None, map(callers.package, others)), "")
    return found.removesuffix(".py") or own_package(event.library)


def library_name(library: str, package: str = "") -> str:
    """The package and its library, as in `numba (_helperlib)`."""
    name = package or own_package(library)
    return name if name == stem(library) else f"{name} ({stem(library)})"


def own_package(library: str) -> str:
    """The package that ships it, or its own name."""
    return callers.package(library).removesuffix(".libs") or stem(library)


def stem(library: str) -> str:
    """Its file's name without endings: `libc10`, `_helperlib`."""
    return Path(library).name.split(".")[0]


def as_json(found: Iterable[Row]) -> list[dict]:
    return [asdict(row) for row in found]
