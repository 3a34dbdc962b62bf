"""Reads a dashboard by Grafana's own published schema, and tells what the schema has no place for.

The models of the foundation SDK are generated from the schema of the Grafana they are named after. What they do not know is
lost when a dashboard goes in and comes out again.
"""

import json
import sys

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

plugins.register_default_plugins()


def lost(before, after, path):
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after:
                yield f"{path}.{key}"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after):
            yield from lost(one, other, f"{path}[]")
    elif before != after:
        yield path


written = json.load(sys.stdin)
read = json.loads(JSONEncoder().encode(Dashboard.from_json(written)))
for path in sorted(set(lost(written, read, ""))):
    print(path)
