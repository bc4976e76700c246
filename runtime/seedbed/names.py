"""What stays unique: names (identifiers, run names, ports, cache keys, tokens) and waits do not follow the seed.

Three tables say what a module or package draws, and where that can be read. `APART`: modules that draw names or waits
from Python's global generator; each gets a `random` of its own, so that its names differ and the user's numbers do not
depend on it. `NAMERS`: packages whose own `random.Random()` makes names. `SAMPLERS`: packages whose own
`random.Random()` makes samples. A package in neither is left random, because `seedbed verify` sees that, and nobody
sees a name that repeats.
"""

import os
from functools import cache

from seedbed import callers

APART = {
    "IPython.core.tips": ("a tip for each client that connects", "IPython core/tips.py; ipython #10477, #10036"),
    "IPython.utils.path": ("names of temporary files", "IPython utils/path.py, link_or_copy"),
    "aiohttp.connector": ("order of idle connections", "aiohttp connector.py"),
    "altair.utils.server": ("ports", "altair utils/server.py"),
    "anthropic._base_client": ("waits before a retry", "anthropic _base_client.py"),
    "azure.core.pipeline.policies._authentication": (
        "waits before tokens are renewed",
        "azure-core _authentication.py",
    ),
    "backoff._jitter": ("waits before a retry", "backoff _jitter.py"),
    "botocore.retries.standard": ("waits before a retry", "botocore retries/standard.py"),
    "botocore.retryhandler": ("waits before a retry", "botocore retryhandler.py"),
    "botocore.utils": ("waits before credentials are renewed", "botocore utils.py"),
    "celery.utils.time": ("waits before a retry", "celery utils/time.py"),
    "click._compat": ("names of temporary files", "click _compat.py"),
    "comet_ml.utils": ("identifiers", "comet_ml utils.py"),
    "coolname": ("names", "coolname __init__.py; dvc #9490"),
    "cuid": ("identifiers", "cuid cuid.py"),
    "dask.sizeof": ("elements whose size is measured", "dask sizeof.py"),
    "databricks.sdk.retries": ("waits before a retry", "databricks-sdk retries.py"),
    "datasets.arrow_dataset": ("waits before a retry, a batch to try out", "datasets arrow_dataset.py"),
    "datasets.dataset_dict": ("waits before a retry", "datasets dataset_dict.py"),
    "distributed.comm.core": ("waits before a retry", "distributed comm/core.py"),
    "distributed.protocol.compression": ("parts of the data to try compression on", "distributed compression.py"),
    "distributed.scheduler": ("which worker gets a copy", "distributed scheduler.py"),
    "distributed.utils_comm": ("which worker is asked, waits", "distributed utils_comm.py"),
    "email.generator": ("boundaries of parts", "CPython Lib/email/generator.py, _make_boundary"),
    "email.utils": ("identifiers of messages", "CPython Lib/email/utils.py, make_msgid"),
    "gcsfs.core": ("waits before a retry", "gcsfs core.py"),
    "gcsfs.retry": ("waits before a retry", "gcsfs retry.py"),
    "google.auth._exponential_backoff": ("waits before a retry", "google-auth _exponential_backoff.py"),
    "google.cloud.firestore_v1.base_collection": ("identifiers of documents", "python-firestore #346, PR #388"),
    "gradio.blocks": ("the identifier of an app", "gradio blocks.py, app_id"),
    "gradio.utils": ("tips", "gradio utils.py"),
    "guild.util": ("ports", "guildai guild/util.py"),
    "imaplib": ("tags of commands", "CPython Lib/imaplib.py"),
    "jupyter_client.session": ("which digests are forgotten", "jupyter_client session.py"),
    "jupyter_server.auth.security": ("salts of passwords", "jupyter_server auth/security.py"),
    "jupyter_server.gateway.connections": ("waits before a retry", "jupyter_server gateway/connections.py"),
    "jupyter_server.serverapp": ("ports", "jupyter_server serverapp.py, random_ports"),
    "kafka.cluster": ("which broker is asked", "kafka-python cluster.py"),
    "logfire._internal.exporters.otlp": ("waits before a retry", "logfire exporters/otlp.py"),
    "marimo._cli.tips": ("tips", "marimo _cli/tips.py"),
    "marimo._runtime.virtual_file.virtual_file": ("names of files", "marimo virtual_file.py"),
    "matplotlib.backends.backend_webagg": ("ports", "matplotlib backend_webagg.py"),
    "mlflow.utils.name_utils": ("run names", "mlflow #18855; lightning-hydra-template #613"),
    "mlflow.utils.request_utils": ("waits before a retry", "mlflow utils/request_utils.py"),
    "mlflow.utils.rest_utils": ("waits before a retry", "mlflow utils/rest_utils.py"),
    "nbconvert.utils.io": ("names of temporary files", "nbconvert utils/io.py"),
    "neptune.internal.operation_processors.utils": ("names of folders", "neptune operation_processors/utils.py"),
    "nni.experiment.management": ("identifiers of experiments", "nni #5073, in releases up to 2.9"),
    "openai._base_client": ("waits before a retry", "openai _base_client.py"),
    "opencensus.trace.span_context": ("trace and span IDs", "opencensus trace/span_context.py"),
    "opentelemetry.exporter.otlp.common.http": ("waits before a retry", "opentelemetry otlp/common/http.py"),
    "opentelemetry.sdk.metrics._internal.exemplar.exemplar_reservoir": (
        "which measurements are kept as examples",
        "opentelemetry exemplar_reservoir.py",
    ),
    "opentelemetry.sdk.trace.id_generator": ("trace and span IDs", "opentelemetry-python #4376, #2974; mlflow #21418"),
    "optuna.storages._rdb.storage": ("waits before a retry", "optuna storages/_rdb/storage.py"),
    "pathos.connection": ("names", "pathos connection.py"),
    "pathos.portpicker": ("ports", "pathos portpicker.py"),
    "prefect.server.api.server": ("ports", "prefect server/api/server.py"),
    "psycopg_pool.base": ("waits before a connection is renewed", "psycopg_pool base.py"),
    "pymongo.message": ("identifiers of requests", "pymongo message.py"),
    "pymongo.synchronous.topology": ("which server is asked", "pymongo synchronous/topology.py"),
    "randomname": ("names", "randomname #11"),
    "ray._common.retry": ("waits before a retry", "ray _common/retry.py"),
    "ray._common.utils": ("identifiers", "ray _common/utils.py"),
    "ray._private.event.event_logger": ("identifiers of events", "ray event_logger.py"),
    "ray._private.gcs_pubsub": ("identifiers of subscribers", "ray _private/gcs_pubsub.py"),
    "ray._private.node": ("ports and socket names", "ray #2681, #2594"),
    "retrying": ("waits before a retry", "retrying retrying.py"),
    "rich.style": ("identifiers of links, from import on", "rich style.py, _id_generator"),
    "s3transfer": ("names of temporary files", "s3transfer __init__.py, random_file_extension"),
    "s3transfer.utils": ("names of temporary files", "s3transfer utils.py, random_file_extension"),
    "sentry_sdk._batcher": ("waits", "sentry_sdk _batcher.py"),
    "sentry_sdk.client": ("which events are sent", "sentry_sdk client.py"),
    "sentry_sdk.utils": ("tokens", "sentry_sdk utils.py"),
    "tenacity.wait": ("waits before a retry", "tenacity wait.py"),
    "tensorboard.notebook": ("identifiers of frames", "tensorboard notebook.py"),
    "tensorboard.util.grpc_util": ("waits before a retry", "tensorboard grpc_util.py"),
    "torch._functorch._aot_autograd.autograd_cache": ("cache keys", "torch 2.14.1 _aot_autograd/autograd_cache.py"),
    "torch._inductor.codegen.wrapper": ("identifiers of buffers", "torch 2.7.1 codegen/wrapper.py"),
    "torch.distributed.elastic.rendezvous.etcd_store": ("waits before a retry", "torch 2.7.1 etcd_store.py"),
    "torch.distributed.elastic.rendezvous.utils": ("waits before a retry", "torch 2.7.1 rendezvous/utils.py"),
    "tornado.ioloop": ("spread of periodic calls", "tornado ioloop.py, PeriodicCallback"),
    "urllib3.util.retry": ("waits before a retry", "urllib3 util/retry.py"),
    "uvicorn.protocols.websockets.websockets_sansio_impl": ("payloads of pings", "uvicorn websockets_sansio_impl.py"),
    "uvicorn.server": ("the number of requests that ends a server", "uvicorn server.py"),
    "wandb.sdk.lib.retry": ("waits before a retry", "wandb sdk/lib/retry.py"),
    "wandb.wandb_controller": ("identifiers of sweeps", "wandb wandb_controller.py, _id_generator"),
    "websockets.asyncio.connection": ("payloads of pings", "websockets asyncio/connection.py"),
    "websockets.client": ("waits before a retry", "websockets client.py"),
    "websockets.sync.connection": ("payloads of pings", "websockets sync/connection.py"),
    "zmq.sugar.socket": ("ports", "pyzmq sugar/socket.py, bind_to_random_port"),
}

NAMERS = {
    "aiohttp": ("masks of WebSocket frames", "aiohttp _websocket/writer.py"),
    "datasets": ("cache keys of functions that cannot be hashed", "datasets #6604, #2775, #6606"),
    "dvc": ("experiment names", "dvc #9490"),
    "haikunator": ("names", "haikunator haikunator.py"),
    "logfire": ("trace and span IDs", "logfire #457"),
    "marimo": ("identifiers of elements", "marimo ui_element.py"),
    "mlflow": ("trace IDs", "mlflow #21418"),
    "nni": ("identifiers of experiments", "nni #5073"),
    "wandb": ("run IDs", "wandb sdk/lib/runid.py; wandb PR #11039"),
}

SAMPLERS = {
    "albumentations": ("augmentations", "albumentations core/transforms_interface.py, py_random"),
    "dask": ("samples of a bag", "dask bag/core.py, random_state"),
    "faker": ("made-up records", "faker generator.py, mod_random"),
    "gluonts": ("artificial series", "gluonts dataset/artificial/_base.py"),
    "hypothesis": ("examples", "hypothesis core.py, _hypothesis_global_random"),
    "keras_tuner": ("values of hyperparameters", "keras-tuner engine/hyperparameters/hyperparameter.py"),
    "lhotse": ("perturbations, order of cuts", "lhotse dataset/cut_transforms, dataset/sampling"),
    "litdata": ("which data set is next", "litdata streaming/combined.py"),
    "mesa": ("the steps of a model", "mesa model.py, self.random"),
    "mimesis": ("made-up records", "mimesis providers/base.py, random.py"),
    "mpmath": ("starting points", "mpmath calculus/extrapolation.py"),
    "nltk": ("means of clusters, sentences", "nltk cluster/kmeans.py, tag/hmm.py"),
    "pygad": ("generations", "pygad utils/engine.py, python_random_generator"),
    "pytest_randomly": ("the order of tests", "pytest-randomly __init__.py, make_seed"),
    "river": ("trees, projections, artificial streams", "river 0.26.1 forest, preprocessing, datasets/synth"),
    "sympy": ("points at which expressions are tried", "sympy core/random.py"),
    "timm": ("order of samples", "timm data/readers/reader_wds.py"),
    "toolz": ("samples of a sequence", "toolz 1.2.0 itertoolz.py, random_sample"),
    "torch": ("order of a datapipe", "torch 2.7.1 utils/data/datapipes/iter/combinatorics.py"),
    "webdataset": ("order of shards and samples", "webdataset filters.py, shardlists.py"),
}

NAMERS_OPTION, SAMPLERS_OPTION = "SEEDBED_NAMERS", "SEEDBED_SAMPLERS"


def listed(option: str) -> set[str]:
    """The packages that the user lists in a variable, separated by commas."""
    return {name.strip() for name in os.environ.get(option, "").split(",")} - {""}


_namers = NAMERS.keys() - listed(SAMPLERS_OPTION) | listed(NAMERS_OPTION)
_samplers = {callers.USER} | SAMPLERS.keys() - listed(NAMERS_OPTION) | listed(SAMPLERS_OPTION)


@cache
def kind(maker: str) -> str:
    """What a generator made by that module (see `callers.maker`) draws: "sampler", "namer" or "unknown".

    The longest part of the dotted name that is listed decides; Python's own modules make names (tempfile).
    """
    while maker:
        if maker in _samplers:
            return "sampler"
        if maker in _namers or maker == callers.PYTHON:
            return "namer"
        maker = maker.rpartition(".")[0]
    return "unknown"


def separate(module) -> None:
    """Before a module runs: have `import random` in it, at its top or in a function, give a `random` of its own."""
    import builtins

    usual = builtins.__import__

    def own_import(name, globals=None, locals=None, fromlist=(), level=0):
        imported = usual(name, globals, locals, fromlist, level)
        return own_random() if name == "random" and not level else imported

    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": own_import}


@cache
def own_random():
    """The module `random` with all that draws taken from the operating system; there is one for all."""
    import random

    own = type(random)("random", random.__doc__)
    own.__dict__.update(vars(random))
    system = type("SystemRandom", (random.SystemRandom,), {"__reduce__": lambda _: (own_source, ())})()
    drawing = (name for name in random.__all__ if getattr(vars(random)[name], "__self__", None) is random._inst)
    own.__dict__.update({name: getattr(system, name) for name in drawing if not name.endswith("state")})
    own._inst = system
    return own


def own_source():
    """What draws for all modules apart: a module may keep a method of it in an object that is copied or pickled."""
    return own_random()._inst
