"""What libraries draw, as JSON: names differ from run to run, samples and the user's own numbers do not."""

import json
import random

import coolname
import faker
import haikunator
from opentelemetry.sdk.trace import TracerProvider

with TracerProvider().get_tracer("training").start_as_current_span("epoch") as span:
    context = span.get_span_context()

print(
    json.dumps(
        {
            "names": {
                "trace ID": context.trace_id,
                "span ID": context.span_id,
                "coolname": coolname.generate_slug(4),
                "haikunator": haikunator.Haikunator().haikunate(token_length=9),
                "experiment": "".join(random.Random().choices("abcdefghijklmnopqrstuvwxyz", k=12)),
            },
            "samples": {
                "the user's first number": random.random(),
                "a generator of the user's": random.Random().random(),
                "faker": [faker.Faker().name() for _ in range(3)],
            },
        }
    )
)
