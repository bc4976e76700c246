"""timm: a ResNet with stochastic depth, RandAugment, random erasing and Mixup."""

import digits
import numpy as np
import record
import timm
import torch
from PIL import Image
from timm.data import Mixup, create_transform
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from torch.utils.data import DataLoader, Dataset


class Digits(Dataset):
    """The first 256, as RGB images, augmented anew each time."""

    def __init__(self) -> None:
        self.digits = digits.load()[0]
        self.transform = create_transform(32, is_training=True, auto_augment="rand-m9-mstd0.5", re_prob=0.25)

    def __len__(self) -> int:
        return 256

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        pixels = (self.digits.images[index] * 255).astype(np.uint8)
        return self.transform(Image.fromarray(pixels).convert("RGB")), int(self.digits.labels[index])


if __name__ == "__main__":
    model = timm.create_model("resnet10t", num_classes=10, drop_rate=0.1, drop_path_rate=0.1)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-3)
    mixup = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, num_classes=10)
    loss = SoftTargetCrossEntropy()
    for images, labels in DataLoader(Digits(), batch_size=32, shuffle=True, num_workers=2):
        optimizer.zero_grad()
        images, targets = mixup(images, labels)
        loss(model(images), targets).backward()
        optimizer.step()
    print("parameters sha256:", record.sha256(tensor.numpy() for tensor in model.state_dict().values()))
