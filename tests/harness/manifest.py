"""Reads a list of manifests by the schemas of Kubernetes and of the Prometheus operator; says what is wrong with each.

The operator's models are generated from the schemas of its resources and ignore what they do not know: that is lost when a
manifest goes in and comes out again.
"""

import json
import sys

import kubernetes_validate
from cloudcoil.models.prometheus_operator import v1 as operator

# The oldest and the newest Kubernetes of which there are schemas.
VERSIONS = ["1.25", "1.37"]


def check(manifest):
    if manifest["apiVersion"] == "monitoring.coreos.com/v1":
        model = getattr(operator, manifest["kind"]).model_validate(manifest)
        read = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if read != manifest:
            raise ValueError(f"the operator knows only {json.dumps(read)}")
    else:
        for version in VERSIONS:
            kubernetes_validate.validate(manifest, version, strict=True)


def verdict(manifest):
    try:
        check(manifest)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


print(json.dumps([verdict(manifest) for manifest in json.load(sys.stdin)]))
