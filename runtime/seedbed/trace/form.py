"""What the lines of a journal hold. The program that is traced can write to it: whatever is read has passed here."""

from seedbed.recording.form import COUNT, TABLE, TEXT, TEXTS, Form, check, is_scalar, is_whole, list_of, table_of

LANDMARKS = ("batch", "input", "output", "gradients", "update", "result", "line")
SCALAR = Form("text, a number or null", lambda value: is_scalar(value) or isinstance(value, int))  # seeds have any size
SEEN = Form("a landmark", lambda value: value in LANDMARKS)
WRITERS = Form("lists of whole numbers", list_of(list_of(COUNT.fits)))
OUTPUTS = Form("a list of texts and nulls", list_of(lambda value: value is None or TEXT.fits(value)))
KINDS = {  # the first key of a line -> what is in it
    "start": {"start": TEXTS, "lineage": TEXT, "hash_seed": TEXT, "environment": TABLE},
    "op": {"op": TEXT, "arguments": TEXT, "outputs": OUTPUTS, "inputs": TEXTS, "from": WRITERS},
    "seen": {"seen": SEEN, "name": TEXT, "tensors": TEXTS, "places": TEXTS, "from": WRITERS},
    "step": {"step": COUNT},
    "sources": {"sources": TEXTS, "gpu": SCALAR},
    "ready": {"ready": TEXT},
    "acted": {"acted": TEXT},
    "seed": {"seed": TEXT, "value": SCALAR, "places": TEXTS},
    "fresh": {"fresh": TEXT, "places": TEXTS},
    "file": {"file": TEXT, "fingerprint": TEXT, "places": TEXTS},
    "listing": {"listing": TEXT, "fingerprint": TEXT, "places": TEXTS},
}
MORE = {
    "places": TEXTS,
    "module": TEXT,
    "backward": TEXT,
    "labels": TEXTS,
    "hidden": TEXTS,
    "offsets": Form("whole numbers", list_of(is_whole)),
    "generator": Form("a generator's seed and state", lambda value: table_of(SCALAR.fits)(value) and "seed" in value),
}


def checked(event: object, kind: str) -> dict:
    """The event of that kind. ValueError: it is not of that form."""
    forms = KINDS[kind]
    if not isinstance(event, dict) or (missing := forms.keys() - event.keys()):
        found = f"no {min(missing)}" if isinstance(event, dict) else type(event).__name__
        raise ValueError(f"{kind}: expected an object with {', '.join(forms)}, found {found}")
    check(event, MORE | forms, kind)
    for key in ("inputs", "tensors", "hidden", "labels"):
        if "from" in event and key in event and len(event[key]) != len(event["from"]):
            raise ValueError(f"{kind}: {key}: expected {len(event['from'])}, found {len(event[key])}")
    return event
