"""Train a small convolutional network on handwritten digits with PyTorch. Nothing here seeds anything."""

import digits
import record
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

BATCH = 64
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def main() -> None:
    options = record.arguments(__doc__)
    training, test = (tensors(part) for part in digits.load())
    model = network().to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    log = record.Record(options.output)
    for _ in range(options.epochs):
        loss = train(model, optimizer, DataLoader(training, BATCH, shuffle=True))
        log.epoch(loss=loss, accuracy=accuracy(model, test))
    log.finish(tensor.cpu().numpy() for tensor in model.state_dict().values())


def tensors(part: digits.Digits) -> TensorDataset:
    images = torch.from_numpy(part.images).unsqueeze(1)
    return TensorDataset(images.to(DEVICE), torch.from_numpy(part.labels).to(DEVICE))


def network() -> nn.Module:
    """From images of shape (n, 1, 8, 8) to logits of shape (n, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(32 * 4 * 4, 10),
    )


def train(model: nn.Module, optimizer: torch.optim.Optimizer, loader: DataLoader) -> float:
    """One epoch; returns the mean loss over its batches."""
    model.train()
    total = 0.0
    for images, labels in loader:
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


@torch.no_grad()
def accuracy(model: nn.Module, test: TensorDataset) -> float:
    model.eval()
    images, labels = test.tensors
    return (model(images).argmax(dim=1) == labels).double().mean().item()


if __name__ == "__main__":
    main()
