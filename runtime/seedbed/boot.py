"""Runs at the start of every Python process, before any user code: a `.pth` line or sitecustomize imports it.

It leaves a finder behind that has each library configured the moment it is imported, and does nothing more: a process
that needs no library pays for this file and `lineage`, and not even for `import random`.
"""

import atexit
import os
import sys

import seedbed.lineage  # noqa: F401 - it counts forks from the start

NATIVE = (  # libraries whose generators are not Python's
    *("ale_py", "ctranslate2", "cv2", "duckdb", "leidenalg", "numba", "nutpie", "onnxruntime"),
    *("polars", "pyarrow.compute", "qiskit_aer", "rustworkx", "sentencepiece", "sqlite3"),
)
WAITED_FOR = {  # the module waited for -> the one in seedbed.libraries that configures it
    "random": "random",
    "tempfile": "tempfile",
    "multiprocessing.process": "multiprocessing",
    "multiprocessing.pool": "pools",
    "multiprocess.process": "multiprocessing",  # multiprocessing under another name: pathos, datasets
    "multiprocess.pool": "pools",
    "billiard.process": "multiprocessing",  # likewise: celery
    "billiard.pool": "pools",
    "concurrent.futures.process": "pools",
    "concurrent.futures.thread": "pools",
    "loky.process_executor": "pools",
    "joblib._parallel_backends": "joblib",
    "joblib.externals.loky.process_executor": "pools",
    "subprocess": "subprocess",
    "numpy": "",  # only its variables: its threads start here, its generators come with numpy.random
    "numpy.random": "numpy",
    **dict.fromkeys(NATIVE, "native"),
    "torch": "torch",
    "torch.distributed.distributed_c10d": "distributed",
    "tensorflow": "tensorflow",
    "jax": "jax",
    "keras": "",  # nothing to set: only watched
    "_pytest.runner": "pytest",
}
# Modules that get a `random` of their own; docs/libraries.md says what each draws.
# fmt: off
DRAW_NAMES_APART = {
    "IPython.core.tips", "IPython.utils.path", "aiohttp.connector", "altair.utils.server", "anthropic._base_client",
    "azure.core.pipeline.policies._authentication", "backoff._jitter", "botocore.retries.standard",
    "botocore.retryhandler", "botocore.utils", "celery.utils.time", "click._compat", "comet_ml.utils", "coolname",
    "cuid", "dask.sizeof", "databricks.sdk.retries", "datasets.arrow_dataset", "datasets.dataset_dict",
    "distributed.comm.core", "distributed.protocol.compression", "distributed.scheduler", "distributed.utils_comm",
    "email.generator", "email.utils", "gcsfs.core", "gcsfs.retry", "google.auth._exponential_backoff",
    "google.cloud.firestore_v1.base_collection", "gradio.blocks", "gradio.utils", "guild.util", "imaplib",
    "jupyter_client.session", "jupyter_server.auth.security", "jupyter_server.gateway.connections",
    "jupyter_server.serverapp", "kafka.cluster", "logfire._internal.exporters.otlp", "marimo._cli.tips",
    "marimo._runtime.virtual_file.virtual_file", "matplotlib.backends.backend_webagg", "mlflow.utils.name_utils",
    "mlflow.utils.request_utils", "mlflow.utils.rest_utils", "nbconvert.utils.io",
    "neptune.internal.operation_processors.utils", "nni.experiment.management", "openai._base_client",
    "opencensus.trace.span_context", "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.sdk.metrics._internal.exemplar.exemplar_reservoir", "opentelemetry.sdk.trace.id_generator",
    "optuna.storages._rdb.storage", "pathos.connection", "pathos.portpicker", "prefect.server.api.server",
    "psycopg_pool.base", "pymongo.message", "pymongo.synchronous.topology", "randomname", "ray._common.retry",
    "ray._common.utils", "ray._private.event.event_logger", "ray._private.gcs_pubsub", "ray._private.node", "retrying",
    "rich.style", "s3transfer", "s3transfer.utils", "sentry_sdk._batcher", "sentry_sdk.client", "sentry_sdk.utils",
    "tenacity.wait", "tensorboard.notebook", "tensorboard.util.grpc_util",
    "torch._functorch._aot_autograd.autograd_cache", "torch._inductor.codegen.wrapper",
    "torch.distributed.elastic.rendezvous.etcd_store", "torch.distributed.elastic.rendezvous.utils", "tornado.ioloop",
    "urllib3.util.retry", "uvicorn.protocols.websockets.websockets_sansio_impl", "uvicorn.server",
    "wandb.sdk.lib.retry", "wandb.wandb_controller", "websockets.asyncio.connection", "websockets.client",
    "websockets.sync.connection", "zmq.sugar.socket",
}
# fmt: on
EX_CONFIG = 78  # sysexits.h

off = os.environ.get("SEEDBED_MODE") == "off"
# Packages that the user adds to those that make names.
namers = tuple(filter(None, os.environ.get("SEEDBED_NAMERS", "").replace(" ", "").split(",")))
_met = set()  # those that the finder has found, and those that were there before it


def start() -> None:
    """Wait for the libraries; in mode off, take back what the image has set, and wait only if somebody watches."""
    record = os.environ.get("SEEDBED_RECORD")
    consumers = {  # started by name: they know what is configured here, and nobody pays for them otherwise
        "audit": os.environ.get("SEEDBED_AUDIT") == "1" and not off,
        "recording": record,
        "resume": record and ("SEEDBED_RECORD_STATES" in os.environ or "SEEDBED_RECORD_STOP" in os.environ),
        "trace": os.environ.get("SEEDBED_TRACE"),
    }
    for name in filter(consumers.get, consumers):
        from importlib import import_module

        import_module(f"seedbed.{name}").start()
    if off:
        from seedbed import environment

        environment.adjust(os.environ, "off")
        if not any(consumers.values()):
            return
    if runs_users_code(program := (getattr(sys, "argv", None) or [""])[0]):
        from seedbed import tools

        tools.start(program)
    atexit.register(_refuse_missed)
    sys.meta_path.insert(0, Finder())
    _met.update(loaded := [name for name in WAITED_FOR if name in sys.modules])
    for name in loaded:
        _prepare(name)
        _configure(name, sys.modules[name])


def runs_users_code(program: str) -> bool:
    """Whether the program started (`sys.argv[0]`) may run the user's code, and is not the user's itself."""
    if program in ("-m", "-c"):  # pytest-xdist starts its workers with a line of code
        return program == "-m" or "exec(eval(sys.stdin.readline()))" in sys.orig_argv[-1]
    folder = os.path.abspath(program).rpartition("/")[0]  # noqa: PTH100 - pathlib takes long to import
    installed = (sys.executable.rpartition("/")[0], f"{sys.prefix}/bin")
    return program != "" and (folder in installed or folder.endswith("/.local/bin") or "-packages/" in f"{folder}/")


def draws_names(name: str) -> bool:
    """Whether the module gets a `random` of its own."""
    return name in DRAW_NAMES_APART or (namers != () and name.partition(".")[0] in namers)


class Finder:
    """Finds a library as Python would, and has it configured once it has run.

    Only `exec_module` of that one loader is replaced: loaders keep their type (inspect, importlib.resources).
    """

    def find_spec(self, name, path=None, target=None):
        if name not in WAITED_FOR and not draws_names(name):
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            _configure_after(spec.loader, name)
        return spec


def _configure_after(loader, name: str) -> None:
    _met.add(name)

    def exec_module(module) -> None:
        loader.__dict__.pop("exec_module", None)
        if name in WAITED_FOR:
            _prepare(name)
            loader.exec_module(module)
            _configure(name, module)
        else:
            _separate(module)
            loader.exec_module(module)

    loader.exec_module = exec_module


def _prepare(name: str) -> None:
    """Before the library runs: what it reads from the environment."""
    if off:
        return
    _refuse_missed()
    try:
        from seedbed import shadows

        with shadows.Unshadowed():
            from seedbed import libraries

            libraries.prepare(name)
    except Exception as error:
        _fail(f"cannot prepare for {name}", error)


def _configure(name: str, module) -> None:
    """After the library has run, before the code that imported it goes on."""
    try:
        from seedbed import shadows

        with shadows.Unshadowed():
            from seedbed import libraries

            libraries.ready(name, module, "" if off else WAITED_FOR[name])
    except Exception as error:
        if file := _another(name):
            _say(f"{name} is not seeded: {file} is another module of that name; rename it if you want the library")
        else:
            _fail(f"cannot configure {name}", error)


def _another(name: str) -> str:
    """The user's file that has no more than the library's name, which plain Python would run too; empty: none."""
    try:
        return sys.modules["seedbed.shadows"].file_of_another(name)
    except Exception:
        return ""


def _separate(module) -> None:
    """Before a module that draws names runs."""
    if off:
        return
    try:
        from seedbed import shadows

        with shadows.Unshadowed():
            from seedbed import names

            names.separate(module)
    except Exception as error:
        _fail(f"cannot give {module.__name__} a generator of its own", error)


def _say(message: str) -> None:
    from seedbed import terminal  # most processes have nothing to say

    terminal.log(message)


def _refuse_missed() -> None:
    """End the process if a library was imported past the finder: nothing has seeded it.

    Asked whenever another library is imported, and at exit.
    """
    missed = [name for name, library in WAITED_FOR.items() if library and name not in _met and _was_imported(name)]
    if missed and not off:
        _met.update(missed)
        _fail(f"cannot seed {', '.join(missed)}", "not imported by Python's import, or by a finder before Seedbed's")


def _was_imported(name: str) -> bool:
    """Whether it is a library that has run: no stand-in of a test's, and none that waits for LazyLoader."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None) if type(module) is type(sys) else None
    return getattr(spec, "has_location", False) and spec.name == name


def _fail(what: str, error: Exception | str) -> None:
    """Say so and, unless the mode is warn, end the process: a bare `except:` would swallow an exception."""
    try:
        _say(f"{what}: {str(error) or type(error).__name__}")
        if sys.stdout is not None:
            sys.stdout.flush()
    except RecursionError:  # so deep that no function of ours can be called
        os.write(2, f"seedbed: {what}\n".encode())
    finally:  # a stream may be closed or full
        if os.environ.get("SEEDBED_MODE") != "warn":
            os._exit(EX_CONFIG)


try:
    start()
except Exception as error:  # Python would print it and go on, unseeded
    _fail("cannot prepare this Python", error)
