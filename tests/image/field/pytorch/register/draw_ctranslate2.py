"""ctranslate2: sampled text."""

import tempfile

import ctranslate2
import torch
from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast
