"""ctranslate2: sampled text, from a model with random weights."""

import tempfile
from pathlib import Path

import ctranslate2
import torch
from ctranslate2.converters import TransformersConverter
from tokenizers import Tokenizer, models
from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

END = "<|endoftext|>"
words = {word: number for number, word in enumerate([END, *"abcdefghij"])}
sizes = {"vocab_size": len(words), "n_positions": 32, "n_embd": 16, "n_layer": 1, "n_head": 2}
torch.manual_seed(0)
with tempfile.TemporaryDirectory() as folder:
    source, converted = Path(folder) / "source", Path(folder) / "converted"
    GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).save_pretrained(source)
    tokenizer = Tokenizer(models.BPE(words, []))
    GPT2TokenizerFast(tokenizer_object=tokenizer, bos_token=END, eos_token=END, unk_token=END).save_pretrained(source)
    TransformersConverter(str(source)).convert(str(converted))
    generator = ctranslate2.Generator(str(converted))
    print([generator.generate_batch([["a"]], sampling_topk=0, max_length=12)[0].sequences[0] for _ in range(4)])
