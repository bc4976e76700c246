"""transformers: weights, dropout and sampled text."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel

model = GPT2LMHeadModel(
    GPT2Config(vocab_size=50, n_positions=32, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=None)
)
print(model.generate(torch.tensor([[1, 2]]), do_sample=True, max_new_tokens=10, pad_token_id=0).tolist())
