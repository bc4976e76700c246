"""What a lock was made from, as one hash: a lock whose inputs have another is stale."""

import hashlib
import json
from collections.abc import Mapping


def hash_of(inputs: Mapping[str, object]) -> str:
    """The hex sha256. Committed locks hold it, so it stays as it is: JSON as Python writes it, with sorted keys."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
