"""Reads expositions with prometheus_client: one JSON string a line in, one JSON object a line out.

Values are written as text, because JSON knows neither NaN nor infinity.
"""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families


def families(exposition):
    return [
        {
            "name": family.name,
            "kind": family.type,
            "help": family.documentation,
            "samples": [
                {
                    "name": sample.name,
                    "labels": sample.labels,
                    "value": repr(float(sample.value)),
                    "timestamp": sample.timestamp,
                }
                for sample in family.samples
            ],
        }
        for family in text_string_to_metric_families(exposition)
    ]


for line in sys.stdin.buffer:
    try:
        answer = {"families": families(json.loads(line))}
    except Exception as error:  # The parser raises whatever the text makes it stumble over.
        answer = {"refused": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
