"""Reads OpenMetrics from stdin with the parser of prometheus_client, and prints every sample as
JSON: its name, labels and value."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

samples = []
for family in text_string_to_metric_families(sys.stdin.read()):
    if not family.documentation:
        sys.exit(f"{family.name} has no help")
    if family.type == "unknown":
        sys.exit(f"{family.name} has no type")
    for sample in family.samples:
        samples.append([sample.name, sample.labels, sample.value])
json.dump(samples, sys.stdout)
