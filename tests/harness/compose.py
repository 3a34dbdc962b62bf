"""Reads a compose file by the rules of the Compose Specification; says what is wrong with it and fails."""

import sys

import compose_spec

compose = compose_spec.PyOptions(apply_merge=True).from_yaml(sys.stdin.read())
compose.validate()
