"""torchvision: a MobileNet on images cropped, jittered and mixed at random (transforms v2)."""

import digits
import record
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, default_collate
from torchvision.models import mobilenet_v3_small
from torchvision.transforms import v2

AUGMENT = v2.Compose(
    [
        v2.RandomResizedCrop(32, scale=(0.6, 1.0), antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ColorJitter(0.4, 0.4),
        v2.RandomErasing(),
    ]
)
MIX = v2.RandomChoice([v2.CutMix(num_classes=10), v2.MixUp(num_classes=10)])


def collate(samples: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    return MIX(*default_collate([(AUGMENT(image), label) for image, label in samples]))


if __name__ == "__main__":
    images, labels = map(torch.from_numpy, digits.load()[0])
    data = TensorDataset(images[:256].unsqueeze(1).expand(-1, 3, -1, -1), labels[:256])
    model = mobilenet_v3_small(num_classes=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for images, labels in DataLoader(data, batch_size=32, shuffle=True, num_workers=2, collate_fn=collate):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    print("parameters sha256:", record.sha256(tensor.numpy() for tensor in model.state_dict().values()))
