"""A training whose libraries draw entropy only for names: workers, shared memory, a database, a temporary folder."""

import sqlite3
import tempfile
import uuid

import torch
from torch.utils.data import DataLoader

model = torch.nn.Linear(3, 2)
for batch in DataLoader(torch.rand(8, 3), batch_size=2, num_workers=2, shuffle=True):
    model(batch).sum().backward()
with tempfile.TemporaryDirectory() as folder:
    torch.save(model.state_dict(), f"{folder}/{uuid.uuid1()}.pt")
sqlite3.connect(":memory:").execute("create table runs (name)")
