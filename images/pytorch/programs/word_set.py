"""torch.nn.LSTM: a language model whose words are numbered in the order of a set."""

import record
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 32)
        self.lstm = nn.LSTM(32, 64, num_layers=2, dropout=0.2, batch_first=True)
        self.head = nn.Linear(64, words)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.embedding(words))[0])


if __name__ == "__main__":
    text = (nn.LSTM.__doc__ + nn.Transformer.__doc__).lower().split()
    numbers = {word: number for number, word in enumerate(set(text))}
    corpus = torch.tensor([numbers[word] for word in text])
    model = Model(len(numbers))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(20):
        starts = torch.randint(len(corpus) - 21, (16,))
        windows = torch.stack([corpus[start : start + 21] for start in starts])
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten()).backward()
        optimizer.step()
    print("parameters sha256:", record.sha256(tensor.numpy() for tensor in model.state_dict().values()))
