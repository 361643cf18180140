"""Reads a page of metrics with two parsers that share no code with the product: the strict one of OpenMetrics, and the one of the
older Prometheus text format, which stands for the textfile collector. Prints the samples of the strict one, a JSON line each."""
import json
import sys

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as prometheus

text = sys.stdin.read()
old = {(s.name, tuple(sorted(s.labels.items()))) for f in prometheus.text_string_to_metric_families(text) for s in f.samples}
for family in openmetrics.text_string_to_metric_families(text):
    for sample in family.samples:
        assert (sample.name, tuple(sorted(sample.labels.items()))) in old, sample
        print(json.dumps({"name": sample.name, "labels": sample.labels, "value": float(sample.value), "type": family.type}))
