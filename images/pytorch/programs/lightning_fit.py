"""Lightning: Trainer.fit with dropout and a DataLoader with two workers."""

import digits
import lightning
import record
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Classifier(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        images, labels = batch
        return nn.functional.cross_entropy(self.layers(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters())


if __name__ == "__main__":
    data = TensorDataset(*map(torch.from_numpy, digits.load()[0]))
    model = Classifier()
    trainer = lightning.Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.fit(model, DataLoader(data, batch_size=64, shuffle=True, num_workers=2, persistent_workers=True))
    print("parameters sha256:", record.sha256(tensor.numpy() for tensor in model.state_dict().values()))
