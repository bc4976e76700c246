"""The register: libraries that draw numbers, by how they are seeded. docs/libraries.md shows it.

Each row has a script that draws from its library, tests/image/field/pytorch/register/draw_NAME.py; `make register` runs
them all in an image and fails if one does not do what its row says. Nothing here is read in a training.
"""

CALLED = "on import"  # Seedbed calls what the library offers (seedbed.libraries.native)
FOLLOWS = "follows"  # it draws from, or is seeded by, a generator that is seeded
CONSTANT = "constant"  # the same in every run and under every seed, unless the user gives another
NEVER = "cannot be seeded"  # differs in every run


class Row:
    """A library, the version that was tried, what draws numbers in it, and how that is seeded.

    `module` is its import name, `package` its name for pip, if that is another; `limits` says what still differs.
    """

    def __init__(
        self,
        module: str,
        version: str,
        generator: str,
        how: str,
        by: str,
        limits: str = "",
        package: str = "",
    ) -> None:
        self.module = module
        self.version = version
        self.generator = generator
        self.how = how
        self.by = by
        self.limits = limits
        self.package = package or module


NUMPY = "numpy's generators"
KEYWORD_NUMPY = "`random_state=None` is numpy's global generator"

REGISTER = (
    Row("ale_py", "0.12.1", "C++, sticky actions", CALLED, "`random_seed`, before a ROM is loaded", package="ale-py"),
    Row("ctranslate2", "4.8.5", "C++", CALLED, "`ctranslate2.set_random_seed`"),
    Row(
        "cv2",
        "5.0.0.93",
        "C++, one for each thread",
        CALLED,
        "`cv2.setRNGSeed`; a constant otherwise",
        "threads of its own keep the constant",
        package="opencv-python-headless",
    ),
    Row(
        "duckdb",
        "2.0.1",
        "C++, one for each connection",
        CALLED,
        "`setseed` on each connection",
        "samples by per cent without `repeatable (n)`; `random()` and the order of groups in large tables, unless "
        "`set threads = 1`",
    ),
    Row("leidenalg", "0.12.0", "C, one for each optimiser", CALLED, "`Optimiser.set_rng_seed`; the clock otherwise"),
    Row(
        "numba",
        "0.65.1",
        "compiled, two for each thread",
        CALLED,
        "`numba._helperlib.rnd_seed`; other threads by their number or name (numba#6002)",
        "threads that share a name and race to start",
    ),
    Row("nutpie", "0.16.8", "Rust", CALLED, "the keyword `seed` of `sample`, unless given"),
    Row("onnxruntime", "1.32.0", "C++", CALLED, "`onnxruntime.set_seed`", "threads that race to draw"),
    Row(
        "polars",
        "2.1.0",
        "Rust, and tables with random keys",
        CALLED,
        "`polars.set_random_seed`; `maintain_order` is true in `unique`, `group_by` and `join` unless given "
        "(polars#15464)",
        "`value_counts`; `shuffle` and `sample` in `over`, or several in one `select` (polars#27307)",
    ),
    Row("pyarrow", "26.0.1", "C++, `compute.random`", CALLED, "its keyword `initializer`, unless given"),
    Row(
        "qiskit_aer", "0.18.2", "C++, shots", CALLED, "`seed_simulator` of each run, unless given", package="qiskit-aer"
    ),
    Row("rustworkx", "0.18.1", "Rust", CALLED, "the keyword `seed` of each function, unless given"),
    Row(
        "sqlite3",
        "3.40.1",
        "C, `random()` of SQL",
        CALLED,
        "a function in its place, in connections that the user's code makes",
        "`randomblob`, on purpose; connections that a package makes",
    ),
    Row("albumentations", "2.0.8", "Python and numpy, its own", FOLLOWS, "made without a seed, hence derived"),
    Row("dask", "2026.8.0", "numpy", FOLLOWS, NUMPY),
    Row("datasets", "5.2.0", "numpy", FOLLOWS, NUMPY),
    Row("gensim", "4.4.0", "C, numpy", FOLLOWS, KEYWORD_NUMPY, "Word2Vec with more than one worker"),
    Row("gymnasium", "1.4.0", "numpy", FOLLOWS, NUMPY),
    Row("igraph", "1.0.0", "C, which asks Python", FOLLOWS, "Python's `random`"),
    Row("implicit", "0.7.3", "Cython, C++", FOLLOWS, KEYWORD_NUMPY, "BPR with more than one thread"),
    Row("librosa", "0.11.0", "numpy", FOLLOWS, NUMPY),
    Row("networkx", "3.6.1", "Python, numpy", FOLLOWS, "Python's and numpy's global generators"),
    Row("optuna", "5.0.0", "numpy", FOLLOWS, NUMPY, "studies with `n_jobs`"),
    Row("pandas", "2.3.3", "numpy", FOLLOWS, NUMPY),
    Row("prophet", "1.5.0", "C++ (Stan), numpy", FOLLOWS, "numpy's global generator; Stan's seed is drawn from numpy"),
    Row("river", "0.26.1", "Python, Rust", FOLLOWS, "Python's and numpy's generators"),
    Row("scipy", "1.17.1", "C, C++, numpy", FOLLOWS, NUMPY),
    Row("shap", "0.51.0", "C, numpy", FOLLOWS, NUMPY),
    Row("sklearn", "1.9.1", "Cython (`rand_r`)", FOLLOWS, KEYWORD_NUMPY, package="scikit-learn"),
    Row("spacy", "3.8.18", "Cython, numpy", FOLLOWS, NUMPY),
    Row("statsmodels", "0.15.0", "Cython, numpy", FOLLOWS, NUMPY),
    Row("torch_geometric", "2.8.1", "Python, numpy, torch", FOLLOWS, "theirs", package="torch-geometric"),
    Row("transformers", "5.24.0", "torch", FOLLOWS, "torch's generator"),
    Row("annoy", "1.17.3", "C++", CONSTANT, "`set_seed` of an index"),
    Row("catboost", "1.2.10", "C++", CONSTANT, "`random_seed`, 0"),
    Row("faiss", "1.15.1", "C++", CONSTANT, "`seed` of `ClusteringParameters`, 1234", package="faiss-cpu"),
    Row("fasttext", "0.9.2", "C++", CONSTANT, "`seed`, 0", "more than one thread", package="fasttext-wheel"),
    Row("hdbscan", "0.8.44", "Cython; draws nothing", CONSTANT, "-"),
    Row("hnswlib", "0.8.0", "C++", CONSTANT, "`random_seed`, 100", "adding with more than one thread"),
    Row("jax", "0.10.2", "C++ (XLA); keys are explicit", CONSTANT, "`jax.random.key`"),
    Row("lightgbm", "4.7.0", "C++", CONSTANT, "`random_state`"),
    Row("mujoco", "4.0.0", "C; draws nothing", CONSTANT, "-"),
    Row("ortools", "9.15.6755", "C++", CONSTANT, "`random_seed`, 1", "more than one worker"),
    Row("pedalboard", "0.9.26", "C++", CONSTANT, "-"),
    Row("rdkit", "2026.9.1", "C++", CONSTANT, "`randomSeed`, `rdBase.SeedRandomNumberGenerator`"),
    Row("statsforecast", "2.1.1", "C++, numba", CONSTANT, "-"),
    Row("tantivy", "0.27.0", "Rust; draws names of segments only", CONSTANT, "-"),
    Row("usearch", "2.26.6", "C++", CONSTANT, "-", "adding with more than one thread"),
    Row("xgboost", "3.2.0", "C++", CONSTANT, "`random_state`, 0"),
    Row("cma", "4.5.0", "numpy, which it seeds from the clock", NEVER, 'pass `{"seed": float("nan")}`'),
    Row("datafusion", "55.0.0", "Rust, `random()` of SQL", NEVER, "draw the column with numpy"),
    Row(
        "sentencepiece",
        "0.2.3",
        "C++ (Abseil), salted by process",
        NEVER,
        "`set_random_generator_seed` is called, which is enough up to 0.2.1",
    ),
    Row("SimpleITK", "2.5.7", "C++, from the clock", NEVER, "pass `seed`, or call `SetSeed`", package="SimpleITK"),
    Row("soundfile", "0.14.0", "C, serial numbers and times in file headers", NEVER, "the sound itself repeats"),
    Row("umap", "0.5.12", "compiled (numba); threads race", NEVER, "pass `random_state`", package="umap-learn"),
    Row("tokenizers", "0.23.3", "Rust, BPE dropout", NEVER, "use sentencepiece up to 0.2.1 (tokenizers#668)"),
)
