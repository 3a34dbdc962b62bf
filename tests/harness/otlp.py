"""Reads requests of OTLP with opentelemetry-proto: one gzipped body in base64 a line in, an object of JSON out.

`text` is what they carry in the classic format, `resources` their attributes, `points` what that format has no words for.
"""

import base64
import decimal
import gzip
import json
import sys

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

TEMPORALITY = {1: "delta", 2: "cumulative"}


def number(value):
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    # Without an exponent, and without the decimal place of a whole number.
    text = format(decimal.Decimal(repr(value)), "f")
    return text[:-2] if text.endswith(".0") else text


def escaped(text, quotes=True):
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def labels(point, **more):
    pairs = [(pair.key, pair.value.string_value) for pair in point.attributes] + list(more.items())
    return "{" + ",".join(f'{key}="{escaped(value)}"' for key, value in pairs) + "}" if pairs else ""


def value(point):
    return getattr(point, point.WhichOneof("value"))


def lines(metric, data, kind):
    for point in data.data_points:
        if kind in ("gauge", "counter"):
            yield f"{metric.name}{labels(point)} {number(value(point))}"
            continue
        if kind == "histogram":
            assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
            bounds = [*map(number, point.explicit_bounds), "+Inf"]
            total = 0
            for bound, count in zip(bounds, point.bucket_counts):
                total += count
                yield f"{metric.name}_bucket{labels(point, le=bound)} {total}"
            assert total == point.count
        else:
            for quantile in point.quantile_values:
                level = number(quantile.quantile)
                yield f"{metric.name}{labels(point, quantile=level)} {number(quantile.value)}"
        yield f"{metric.name}_sum{labels(point)} {number(point.sum)}"
        yield f"{metric.name}_count{labels(point)} {point.count}"


def main():
    families, resources, points = {}, [], []
    for line in sys.stdin:
        body = gzip.decompress(base64.b64decode(line))
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            resources.append({pair.key: pair.value.string_value for pair in resource.resource.attributes})
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    data = getattr(metric, kind)
                    if kind == "sum":
                        assert data.is_monotonic
                        kind = "counter"
                    head = f"# HELP {metric.name} {escaped(metric.description, quotes=False)}\n" if metric.description else ""
                    # A family may be in several requests.
                    family = families.setdefault(metric.name, [head + f"# TYPE {metric.name} {kind}"])
                    family.extend(lines(metric, data, kind))
                    for point in data.data_points:
                        points.append({
                            "name": metric.name,
                            "unit": metric.unit,
                            "scope": scope.scope.name,
                            "temporality": TEMPORALITY.get(getattr(data, "aggregation_temporality", 0)),
                            "labels": {pair.key: pair.value.string_value for pair in point.attributes},
                            "start": point.start_time_unix_nano,
                            "time": point.time_unix_nano,
                            "exemplars": [
                                {"trace": exemplar.trace_id.hex(), "value": exemplar.as_double, "time": exemplar.time_unix_nano}
                                for exemplar in getattr(point, "exemplars", [])
                            ],
                        })
    text = "".join("\n".join(family) + "\n" for family in families.values())
    json.dump({"text": text, "resources": resources, "points": points}, sys.stdout)


main()
