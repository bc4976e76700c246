"""The one table of everything Seedbed sets; the image's ENV, entrypoint, hook, `seedbed info` and docs all read it.

Every process that imports a library reads it, hence plain classes and no imports.
"""

MODES = ("strict", "warn", "off")
DEFAULT_MODE = "strict"
DEFAULT_SEED = 42
LARGEST_SEED = 2**32 - 1  # PYTHONHASHSEED and numpy take no more
GPU = ("torch", "tensorflow", "jax")
# Where launchers say which rank a process is -> where the same launcher says how many there are. One that may run
# inside another one's job comes before that one: inside `srun --pty bash` or an sbatch script the variables of Slurm
# are 0 in every rank that mpirun starts there.
RANKS = {
    "RANK": "WORLD_SIZE",  # torchrun, deepspeed, accelerate, Kubeflow
    "NODE_RANK": "WORLD_SIZE",  # Lightning's own launcher, if it is that one's
    "HOROVOD_RANK": "HOROVOD_SIZE",  # horovodrun with Gloo
    "OMPI_COMM_WORLD_RANK": "OMPI_COMM_WORLD_SIZE",  # Open MPI
    "MV2_COMM_WORLD_RANK": "MV2_COMM_WORLD_SIZE",  # MVAPICH2
    "PMI_RANK": "PMI_SIZE",  # MPICH, Intel MPI, Cray; srun --mpi=pmi2
    "PMIX_RANK": "SLURM_STEP_NUM_TASKS",  # srun --mpi=pmix; PMIx has no size of its own, and Open MPI's come first
    "JSM_NAMESPACE_RANK": "JSM_NAMESPACE_SIZE",  # jsrun of LSF
    "PALS_RANKID": "WORLD_SIZE",  # PALS, with PBS
    "FLUX_TASK_RANK": "FLUX_JOB_SIZE",  # Flux
    "TF_CONFIG": "TF_CONFIG",  # TensorFlow: JSON
    "LOCAL_RANK": "WORLD_SIZE",  # one started by hand on this machine
    "JAX_PROCESS_ID": "JAX_NUM_PROCESSES",
    "JOB_COMPLETION_INDEX": "WORLD_SIZE",  # an indexed job of Kubernetes
    "SLURM_PROCID": "SLURM_STEP_NUM_TASKS",  # Slurm's own tasks; an sbatch script has SLURM_NTASKS, and is no rank
}
# Variables of ranks that bear on numbers and name no host, which TF_CONFIG does.
OF_RANKS = {*RANKS, *RANKS.values(), "LOCAL_WORLD_SIZE", "SLURM_NTASKS"} - {"TF_CONFIG"}


class Setting:
    """One thing that Seedbed sets: an environment variable, or a call made when a library is imported.

    `values` has its value in each mode; None: left alone (a variable: removed if it was ours), as always in mode off.
    `{seed}` and `{threads}` stand for this run's. `libraries` are the import names it is for; none: any Python.
    `legal` lists the user's other choices that keep the guarantee; `undone_by` says what breaks it.
    `since` is the first version of the library that knows it, if the images have one that does not.
    """

    def __init__(
        self,
        name: str,
        *libraries: str,
        strict: str,
        warn: str | None = "as strict",
        legal: tuple[str, ...] = (),
        since: str = "",
        why: str,
        evidence: str,
        undone_by: str,
    ) -> None:
        self.name = name
        self.libraries = libraries
        self.values = {"strict": strict, "warn": strict if warn == "as strict" else warn, "off": None}
        self.legal = legal
        self.since = since
        self.why = why
        self.evidence = evidence
        self.undone_by = undone_by


OPTIONS = {  # variables by which users tell Seedbed something: the default, and what it means
    "SEEDBED_SEED": (str(DEFAULT_SEED), f"the seed, 0 to {LARGEST_SEED}"),
    "SEEDBED_MODE": (DEFAULT_MODE, "strict, warn or off"),
    "SEEDBED_QUIET": ("", "1: the entrypoint logs no line"),
    "SEEDBED_RANK_OFFSET": ("", "1: each rank of a distributed job adds its rank to the seed"),
    "SEEDBED_AUDIT": ("", "1: each Python process lists at exit what in your code does not repeat, and where"),
    "SEEDBED_SAMPLERS": ("", "packages whose own `random.Random()` is seeded, separated by commas"),
    "SEEDBED_NAMERS": (
        "",
        "packages that draw names and stay random, whichever generator they use; commas between",
    ),
    "SEEDBED_FILL_UNINITIALIZED": ("", "1: torch fills fresh memory with NaN, to find reads of it (slower)"),
}

VARIABLES = (
    Setting(
        "PYTHONHASHSEED",
        strict="{seed}",
        why="order of sets of strings",
        evidence="Python docs, PYTHONHASHSEED: read once, before any Python code",
        undone_by="python -E or -I, which ignore it; PYTHONHASHSEED=random",
    ),
    Setting(
        "OMP_NUM_THREADS",
        strict="{threads}",
        why="sums on the CPU are split by thread, so their number changes the bits",
        evidence="pytorch #88718",
        undone_by="another number of CPUs, torch.set_num_threads",
    ),
    Setting(
        "OMP_DYNAMIC",
        strict="FALSE",
        why="OpenMP may otherwise change the number of threads while running",
        evidence="Intel oneMKL developer guide, Reproducibility Conditions",
        undone_by="OMP_DYNAMIC=TRUE",
    ),
    Setting(
        "MKL_DYNAMIC",
        strict="FALSE",
        why="MKL may otherwise change the number of threads while running",
        evidence="Intel oneMKL developer guide, Reproducibility Conditions",
        undone_by="MKL_DYNAMIC=TRUE",
    ),
    Setting(
        "CUBLAS_WORKSPACE_CONFIG",
        *GPU,
        strict=":4096:8",
        legal=(":4096:8", ":16:8"),
        why="cuBLAS otherwise shares its workspace between streams; torch before 2.10 refuses to multiply matrices "
        "without it, and newer ones make a workspace for each stream, of this size",
        evidence="cuBLAS docs, Results reproducibility; torch 2.7.1 Context.cpp; pytorch PR #161749",
        undone_by="any value but :4096:8 and :16:8; setting it after CUDA has started",
    ),
    Setting(
        "NCCL_ALGO",
        *GPU,
        strict="Ring",
        legal=("Ring", "CollnetDirect", "CollnetChain", "^NVLS"),
        why="the order in which gradients of several GPUs are summed must not depend on the topology found",
        evidence="Megatron-LM, deterministic training",
        undone_by="Tree or NVLS; another number or mapping of ranks",
    ),
    Setting(
        "NCCL_NVLS_ENABLE",
        *GPU,
        strict="0",
        why="NVSwitch sums inside the network, not in the same order each time",
        evidence="NVIDIA/nccl #1497; torch 2.14.1 excludes NVLS itself if NCCL_ALGO is not set: pytorch PR #156381",
        undone_by="NCCL_NVLS_ENABLE=1",
    ),
    Setting(
        "TORCHINDUCTOR_DETERMINISTIC",
        "torch",
        strict="1",
        since="2.10",
        why="torch.compile otherwise picks kernels by timing them; torch's own switch for it holds in one thread only",
        evidence="torch 2.14.1 _inductor/config.py, utils/_config_module.py; pytorch PR #165950",
        undone_by="torch._inductor.config.deterministic = False",
    ),
    Setting(
        "TORCHINDUCTOR_SHAPE_PADDING",
        "torch",
        strict="0",
        why="torch.compile otherwise times padded against plain matrix products and keeps the faster",
        evidence="torch 2.7.1 and 2.14.1 _inductor/config.py; pytorch PR #163589",
        undone_by='torch.compile(mode="max-autotune"), torch._inductor.config.shape_padding = True',
    ),
    Setting(
        "TORCHINDUCTOR_DYNAMIC_SCALE_RBLOCK",
        "torch",
        strict="0",
        why="torch.compile otherwise tunes the block size of reductions on the device",
        evidence="torch 2.7.1 and 2.14.1 _inductor/config.py; pytorch PR #163589",
        undone_by='torch.compile(mode="max-autotune")',
    ),
    Setting(
        "FLASH_ATTENTION_DETERMINISTIC",
        "torch",
        strict="1",
        why="the flash-attn package follows this variable and not torch's flag",
        evidence="transformers trainer_utils.py, enable_full_determinism",
        undone_by="calling it with deterministic=False",
    ),
    Setting(
        "NVTE_ALLOW_NONDETERMINISTIC_ALGO",
        "torch",
        strict="0",
        warn=None,
        why="Transformer Engine follows this variable and not torch's flag; it raises where it has no such kernel",
        evidence="Megatron-LM, deterministic training",
        undone_by="NVTE_ALLOW_NONDETERMINISTIC_ALGO=1",
    ),
    Setting(
        "TF_DETERMINISTIC_OPS",
        "tensorflow",
        strict="1",
        warn=None,
        why="deterministic kernels from TensorFlow's first look on; it has no mode that only warns",
        evidence="TensorFlow xla/tsl/util/determinism.cc",
        undone_by="tf.config.experimental's private disable_op_determinism",
    ),
    Setting(
        "TF_NUM_INTRAOP_THREADS",
        "tensorflow",
        strict="{threads}",
        why="TensorFlow has a thread pool of its own, which does not follow OMP_NUM_THREADS",
        evidence="TensorFlow core/common_runtime/process_util.cc",
        undone_by="tf.config.threading.set_intra_op_parallelism_threads",
    ),
    Setting(
        "XLA_FLAGS",
        "jax",
        strict="--xla_gpu_deterministic_ops=true",
        warn=None,
        why="XLA otherwise uses atomics and picks algorithms by timing them",
        evidence="openxla/xla PR #12520",
        undone_by="XLA_FLAGS of your own: add this flag to them",
    ),
    Setting(
        "NPROC",
        "jax",
        strict="{threads}",
        why="on a CPU, XLA has a thread pool of its own, which does not follow OMP_NUM_THREADS",
        evidence="jaxlib 0.5.3 xla/pjrt/utils.cc, DefaultThreadPoolSize",
        undone_by="another number",
    ),
)

CALLS = (
    Setting(
        "random.seed",
        "random",
        strict="{seed}",
        why="Python's generator starts from the operating system's entropy; Keras 3 draws its seeds from it",
        evidence="CPython Lib/random.py; Keras seed_generator.py",
        undone_by="seeding it from the clock",
    ),
    Setting(
        "random.Random()",
        "random",
        strict="derived from the seed",
        why="generators made without a seed by the user's code and by packages known to sample, random.seed() without "
        "one, and forked children, which CPython reseeds",
        evidence="CPython Lib/random.py, os.register_at_fork",
        undone_by="random.SystemRandom, on purpose left random; a first draw that is an identifier; threads that race "
        "to make generators",
    ),
    Setting(
        "numpy.random.seed",
        "numpy",
        strict="{seed}",
        why="numpy's global generator starts from the operating system's entropy",
        evidence="numpy docs, Legacy random generation",
        undone_by="seeding it from the clock",
    ),
    Setting(
        "numpy.random.default_rng()",
        "numpy",
        strict="derived from the seed",
        why="generators made without a seed do not follow numpy.random.seed",
        evidence="numpy/random/bit_generator.pyx, SeedSequence",
        undone_by="threads that race to make generators",
    ),
    Setting(
        "torch.manual_seed",
        "torch",
        strict="{seed}",
        why="seeds the CPU and, once it starts, every GPU",
        evidence="torch 2.7.1 and 2.14.1 random.py; CUDA's part waits in cuda._lazy_call",
        undone_by="torch.Generator() of your own, whose seed is a constant",
    ),
    Setting(
        "torch.seed()",
        "torch",
        strict="derived from the seed",
        why="seeds every device from the operating system's entropy",
        evidence="torch 2.7.1 and 2.14.1 random.py",
        undone_by="torch.Generator().seed()",
    ),
    Setting(
        "torch.use_deterministic_algorithms",
        "torch",
        strict="True",
        warn="True, warn_only=True",
        why="deterministic kernels, and an error (or a warning) naming the operation that has none",
        evidence="torch 2.7.1 and 2.14.1 torch/__init__.py; no environment variable turns it on",
        undone_by="torch.use_deterministic_algorithms(False); in warn, attention's backward stays nondeterministic",
    ),
    Setting(
        "torch.backends.cudnn.deterministic",
        "torch",
        strict="True",
        why="cuDNN picks among deterministic convolutions only",
        evidence="torch 2.7.1 and 2.14.1 aten/src/ATen/Context.h",
        undone_by="setting it False",
    ),
    Setting(
        "torch.backends.cudnn.benchmark",
        "torch",
        strict="False",
        why="timing decides which convolution is used, and timing varies",
        evidence="torch 2.7.1 and 2.14.1 aten/src/ATen/Context.h",
        undone_by="setting it True",
    ),
    Setting(
        "torch.backends.mkldnn.deterministic",
        "torch",
        strict="True",
        why="oneDNN picks deterministic CPU kernels",
        evidence="torch 2.7.1 and 2.14.1 backends/mkldnn",
        undone_by="setting it False",
    ),
    Setting(
        "torch.sqrt",
        "torch",
        strict="called once",
        why="MKL chooses its vector kernels at the first call; if several threads make it, one may get an inexact one",
        evidence="pytorch #188792; MKL 2024.2 in torch 2.7.1 and 2.14.1, mkl_vml_serv_cpu_detect",
        undone_by="nothing",
    ),
    Setting(
        "torch.utils.deterministic.fill_uninitialized_memory",
        "torch",
        strict="False",
        legal=("True",),
        why="deterministic mode would write NaN into all fresh memory: costly, and no use to a valid program",
        evidence="pytorch #109802; Megatron-LM PR #7093 (15 % down to 2 %)",
        undone_by="SEEDBED_FILL_UNINITIALIZED=1, which keeps the bits equal",
    ),
    Setting(
        "tensorflow.random.set_seed",
        "tensorflow",
        strict="{seed}",
        why="TensorFlow's global seed; op seeds then follow from it",
        evidence="TensorFlow framework/random_seed.py",
        undone_by="setting it None",
    ),
    Setting(
        "tensorflow.config.experimental.enable_op_determinism",
        "tensorflow",
        strict="True",
        warn=None,
        why="deterministic kernels, and an error naming the operation that has none",
        evidence="TensorFlow 2.20 framework/config.py",
        undone_by="the private disable_op_determinism",
    ),
    Setting(
        "tensorflow.random.get_global_generator",
        "tensorflow",
        strict="derived from the seed",
        why="TensorFlow refuses to make its global generator under op determinism unless one was set",
        evidence="TensorFlow stateful_random_ops.py",
        undone_by="tf.random.set_global_generator with an unseeded one",
    ),
    Setting(
        "tensorflow.Graph.seed",
        "tensorflow",
        strict="derived from the seed",
        why="graphs of TensorFlow 1 do not follow tensorflow.random.set_seed",
        evidence="TensorFlow framework/random_seed.py, get_seed; tensorflow #9003",
        undone_by="graph.seed = None",
    ),
    Setting(
        "multiprocessing.Process.start",
        "multiprocessing",
        strict="derived from the seed",
        why="spawned children must differ from one another and not from run to run",
        evidence="CPython Lib/multiprocessing/process.py",
        undone_by="threads that race to start them",
    ),
    Setting(
        "multiprocessing.Pool",
        "multiprocessing",
        strict="derived from the seed",
        why="which worker runs which task is a race, so every task is seeded by its number; pools of threads, "
        "concurrent.futures, joblib, loky, multiprocess and billiard alike",
        evidence="CPython Lib/multiprocessing/pool.py, concurrent/futures; joblib _parallel_backends.py",
        undone_by="a generator that a worker makes once and several tasks share; threads that race to submit tasks; "
        "in threads, the generators of torch and TensorFlow",
    ),
    Setting(
        "subprocess.Popen",
        "subprocess",
        strict="derived from the seed",
        why="equal programs that run at the same time would draw the same numbers: "
        "the second and later ones, and all that a worker starts, have seeds of their own",
        evidence="CPython Lib/subprocess.py",
        undone_by="os.system, os.posix_spawn and programs that are not told apart by Python, such as a shell's",
    ),
)


TIMED = ("picks kernels by timing them", "2.10")  # from then on TORCHINDUCTOR_DETERMINISTIC overrules or refuses

# Set by nobody in an image; each makes a promise of strict void where a user sets it: why, and before which torch.
CONTRARY = {
    "TF_DISABLE_SEGMENT_REDUCTION_OP_DETERMINISM_EXCEPTIONS": ("lets nondeterministic segment reductions pass", ""),
    "TF_DISABLE_SCATTER_OP_DETERMINISM": ("lets nondeterministic scatters pass", ""),
    "TORCHINDUCTOR_MAX_AUTOTUNE": TIMED,
    "TORCHINDUCTOR_MAX_AUTOTUNE_GEMM": TIMED,
    "TORCHINDUCTOR_MAX_AUTOTUNE_POINTWISE": TIMED,
    "TORCHINDUCTOR_COORDINATE_DESCENT_TUNING": TIMED,
    "TORCHINDUCTOR_BENCHMARK_FUSION": TIMED,
    "TORCHINDUCTOR_MULTI_KERNEL": TIMED,
}

# What `seedbed run --portable` sets to take away what follows the machine; beside each, what happens otherwise.
PORTABLE = {
    "OMP_NUM_THREADS": "1",  # sums are split by thread
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels sum in as many lanes as the processor has
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # oneDNN takes the widest kernels that the processor has
    "MKL_CBWR": "COMPATIBLE",  # MKL uses other code on each vendor's processors
    # Not in Intel's manual, but MKL 2024.2, which is in torch 2.7.1 and 2.14.1, reads it. 1: the kernels for SSE2; only
    # they use neither rsqrtps nor rcpps.
    "MKL_VML_DEBUG_CPU_TYPE": "1",  # MKL's square roots start from a guess that differs from maker to maker
    # By itself it is on only where the processor has AVX512-VNNI or the like (TensorFlow core/util/port.cc).
    "TF_ENABLE_ONEDNN_OPTS": "1",  # TensorFlow takes Eigen on older processors, which splits sums by cache sizes
    "OPENBLAS_CORETYPE": "Haswell",  # numpy's OpenBLAS has other kernels for each kind of processor
    "NPY_DISABLE_CPU_FEATURES": "X86_V4,AVX512_ICL,AVX512_SPR",  # numpy's own functions use AVX-512 if it is there
    "NVIDIA_TF32_OVERRIDE": "0",  # GPUs since Ampere may round the inputs of products to 10 bits
}
