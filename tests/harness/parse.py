"""Reads expositions with prometheus_client: one JSON string a line in, one JSON object a line out.

Values are written as text, because JSON knows neither NaN nor infinity. An exposition that ends in `# EOF` is OpenMetrics.
"""

import json
import sys

from prometheus_client import openmetrics, parser
import prometheus_client.openmetrics.parser


def families(exposition):
    is_open = exposition.endswith("# EOF\n")
    reader = openmetrics.parser if is_open else parser
    return [
        {
            "name": family.name,
            "kind": family.type,
            "help": family.documentation,
            "unit": family.unit,
            "samples": [
                {
                    "name": sample.name,
                    "labels": sample.labels,
                    "value": repr(float(sample.value)),
                    "timestamp": sample.timestamp,
                    "exemplar": sample.exemplar and {
                        "labels": sample.exemplar.labels,
                        "value": repr(float(sample.exemplar.value)),
                        "timestamp": float(sample.exemplar.timestamp),
                    },
                }
                for sample in family.samples
            ],
        }
        for family in reader.text_string_to_metric_families(exposition)
    ]


for line in sys.stdin.buffer:
    try:
        answer = {"families": families(json.loads(line))}
    except Exception as error:  # The parser raises whatever the text makes it stumble over.
        answer = {"refused": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
