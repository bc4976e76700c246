"""Gradients by hand, accumulated over batches, with autograd but without an optimizer of torch's."""

import digits
import torch

images, labels = (torch.from_numpy(part)[:512] for part in digits.load()[0])
weights = (0.1 * torch.randn(64, 10)).requires_grad_()
for pixels, targets in zip(images.reshape(-1, 64).split(64), labels.split(64), strict=True):
    loss = torch.nn.functional.cross_entropy(pixels @ weights, targets)
    loss.backward()
    with torch.no_grad():
        weights -= 0.1 * weights.grad
        weights.grad.mul_(0.9)
    print(f"loss {loss.item():.9f}")
