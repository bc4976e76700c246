"""Small trainings with PyTorch, each of one kind of operation. Nothing here seeds anything; batches are drawn anew."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, Dataset

BF16, FP16 = torch.bfloat16, torch.float16


@dataclass(frozen=True)
class Scale:
    """Where the trainings run, and how large they are."""

    device: str
    quick: bool

    def of(self, full: int, quick: int) -> int:
        return quick if self.quick else full


class Training:
    """A model, and `step()`, which takes one step of Adam on a loss of the model and returns it."""

    def __init__(
        self,
        model: nn.Module,
        scale: Scale,
        loss: Callable[[nn.Module], Tensor],
        *,
        dtype: torch.dtype | None = None,
        within: Callable[[], AbstractContextManager] = nullcontext,
    ) -> None:
        self.model = model.to(scale.device)
        self.loss = loss
        self.autocast = torch.autocast(scale.device, dtype=dtype, enabled=dtype is not None)
        self.scaler = torch.amp.GradScaler(scale.device, enabled=dtype is FP16)
        self.within = within
        self.optimizer = torch.optim.Adam(self.model.parameters())

    def step(self) -> Tensor:
        self.optimizer.zero_grad()
        with self.autocast, self.within():
            loss = self.loss(self.model)
            self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()


def classify(model: nn.Module, inputs: Tensor, classes: int = 10) -> Tensor:
    labels = torch.randint(classes, (len(inputs),), device=inputs.device)
    return F.cross_entropy(model(inputs), labels)


def images(scale: Scale) -> Tensor:
    side = scale.of(64, 12)
    return torch.randn(scale.of(128, 4), 3, side, side, device=scale.device)


def convolution(scale: Scale, dtype: torch.dtype | None = None) -> Training:
    model = nn.Sequential(
        nn.Conv2d(3, 64, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(64, 128, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, stride=2, groups=4),
        nn.Flatten(),
        nn.LazyLinear(10),
    ).to(scale.device)
    model(images(scale))
    return Training(model, scale, lambda model: classify(model, images(scale)), dtype=dtype)


def normalisation(scale: Scale) -> Training:
    model = nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, stride=2),
        nn.GroupNorm(8, 64),
        nn.GELU(),
        nn.Flatten(),
        nn.LazyLinear(256),
        nn.LayerNorm(256),
        nn.Linear(256, 10),
    ).to(scale.device)
    model(images(scale))
    return Training(model, scale, lambda model: classify(model, images(scale)))


class Block(nn.Module):
    """A transformer's block with PyTorch's own attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width - 1), nn.GELU(), nn.Linear(4 * width - 1, width))

    def forward(self, inputs: Tensor) -> Tensor:
        batch, length, width = inputs.shape
        parts = self.project(self.norms[0](inputs)).reshape(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(*parts, is_causal=True)
        inputs = inputs + self.merge(attended.transpose(1, 2).reshape(batch, length, width))
        return inputs + self.feed(self.norms[1](inputs))


def transformer(scale: Scale, backend: SDPBackend | None = None, compiled: bool = False) -> Training:
    width, length = scale.of(512, 64), scale.of(1024, 32)
    model: nn.Module = nn.Sequential(*(Block(width, scale.of(8, 2)) for _ in range(2)))

    def loss(model: nn.Module) -> Tensor:
        sequences = torch.randn(scale.of(16, 2), length, width, device=scale.device)
        return F.mse_loss(model(sequences), sequences.roll(-1, dims=1))

    if compiled:
        model.compile()
    within = nullcontext if backend is None else lambda: sdpa_kernel([backend])
    return Training(model, scale, loss, dtype=BF16, within=within)


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.bag = nn.Embedding(500, 128), nn.EmbeddingBag(500, 128, mode="sum")
        self.last = nn.Linear(128, 10)

    def forward(self, words: Tensor) -> Tensor:
        return self.last(self.embedding(words).mean(1) + self.bag(words))


def embedding(scale: Scale) -> Training:
    shape = (scale.of(512, 16), scale.of(256, 32))
    return Training(Words(), scale, lambda model: classify(model, torch.randint(500, shape, device=scale.device)))


class Graph(nn.Module):
    """Messages along random edges, summed at their ends by each operation that scatters."""

    def __init__(self) -> None:
        super().__init__()
        self.send, self.last = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, nodes: Tensor) -> Tensor:
        count = len(nodes)
        start, end = torch.randint(count, (2, 32 * count), device=nodes.device)
        messages = self.send(nodes)[start]
        nodes = nodes.index_add(0, end, messages)
        nodes = nodes.scatter_add(0, end[:, None].expand_as(messages), messages)
        nodes = nodes.index_put((end,), messages, accumulate=True)
        nodes = nodes.scatter_reduce(0, end[:, None].expand_as(messages), messages, "mean")
        return self.last(F.layer_norm(nodes, nodes.shape[1:]))


def scatter(scale: Scale) -> Training:
    count = scale.of(4096, 64)
    return Training(Graph(), scale, lambda model: classify(model, torch.randn(count, 64, device=scale.device)))


class Recurrent(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.LSTM(width, 2 * width, num_layers=2, dropout=0.2, batch_first=True)
        self.second = nn.GRU(2 * width, 2 * width, batch_first=True, bidirectional=True)
        self.last = nn.Linear(4 * width, 10)

    def forward(self, sequences: Tensor) -> Tensor:
        return self.last(self.second(self.first(sequences)[0])[0][:, -1])


def recurrent(scale: Scale) -> Training:
    shape = (scale.of(64, 4), scale.of(128, 8), width := scale.of(64, 8))
    return Training(Recurrent(width), scale, lambda model: classify(model, torch.randn(shape, device=scale.device)))


def pooling(scale: Scale) -> Training:
    """The one that has no deterministic kernel on a GPU."""
    model = nn.Sequential(nn.Conv2d(3, 32, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(32 * 49, 10))
    return Training(model, scale, lambda model: classify(model, images(scale)))


class Noisy(Dataset):
    """Random images; the worker that has one draws from Python, numpy and torch."""

    def __len__(self) -> int:
        return 512

    def __getitem__(self, index: int) -> Tensor:
        noise = np.random.default_rng().normal(0, 0.1, (3, 16, 16)).astype(np.float32)
        return torch.randn(3, 16, 16) * random.uniform(0.8, 1) + torch.from_numpy(noise)


def loader(scale: Scale) -> Training:
    model = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 14 * 14, 10))
    batches = iter(DataLoader(Noisy(), batch_size=16, shuffle=True, num_workers=2, persistent_workers=True))
    return Training(model, scale, lambda model: classify(model, next(batches).to(scale.device)))


@dataclass(frozen=True)
class Workload:
    """A training, and what docs/determinism.md claims of it on a GPU. On a CPU both modes claim equal bits.

    `timed`: its cost is measured; one training of each kind of network.
    """

    make: Callable[[Scale], Training]
    strict: str = "equal"
    warn: str = "equal"
    timed: bool = False


def attention(backend: SDPBackend, strict: str = "equal", warn: str = "may differ") -> Workload:
    return Workload(lambda scale: transformer(scale, backend), strict, warn)


EAGER = {
    "convolution": Workload(convolution),
    "convolution, AMP bf16": Workload(lambda scale: convolution(scale, BF16), timed=True),
    "convolution, AMP fp16": Workload(lambda scale: convolution(scale, FP16)),
    "normalisation": Workload(normalisation),
    "attention, as chosen": Workload(transformer, warn="may differ", timed=True),
    "attention, math": attention(SDPBackend.MATH, warn="equal"),
    "attention, flash": attention(SDPBackend.FLASH_ATTENTION),
    "attention, memory-efficient": attention(SDPBackend.EFFICIENT_ATTENTION),
    "attention, cuDNN": attention(SDPBackend.CUDNN_ATTENTION, strict="equal or refused"),
    "embedding": Workload(embedding, timed=True),
    "scatter": Workload(scatter, timed=True),
    "recurrent": Workload(recurrent, timed=True),
    "pooling, adaptive": Workload(pooling, strict="refused", warn="may differ"),
    "DataLoader, two workers": Workload(loader),
}
COMPILED = {"transformer, compiled": Workload(lambda scale: transformer(scale, compiled=True), warn="may differ")}
