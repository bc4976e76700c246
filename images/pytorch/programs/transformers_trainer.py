"""Transformers: Trainer on a small GPT-2 made from a configuration."""

import tempfile

import digits
import record
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

if __name__ == "__main__":
    images, _ = digits.load()[0]
    sequences = (torch.from_numpy(images[:256]).flatten(1) * 16).long()
    data = [{"input_ids": sequence, "labels": sequence} for sequence in sequences]
    model = GPT2LMHeadModel(GPT2Config(vocab_size=17, n_positions=64, n_embd=32, n_layer=2, n_head=2))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=1, per_device_train_batch_size=16, use_cpu=True, report_to="none"
        )
        Trainer(model=model, args=arguments, train_dataset=data).train()
    print("parameters sha256:", record.sha256(tensor.numpy() for tensor in model.state_dict().values()))
