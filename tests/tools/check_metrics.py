#!/usr/bin/env python3
"""PyPI's prometheus-client reads /metrics of a running `moge serve`.

    venv/bin/python tests/tools/check_metrics.py http://127.0.0.1:8080
"""
import collections
import json
import sys
import time
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

url = sys.argv[1]
body = json.dumps(dict(prompt="abc", max_tokens=6, ignore_eos=True)).encode()
urllib.request.urlopen(urllib.request.Request(url + "/v1/completions", body)).read()
time.sleep(0.2)
families = {f.name: f for f in text_string_to_metric_families(urllib.request.urlopen(url + "/metrics").read().decode())}
assert all(f.documentation and f.type in ("counter", "gauge", "histogram") for f in families.values()), families
WANTED = dict(counter="vllm:prompt_tokens vllm:generation_tokens vllm:prefix_cache_queries vllm:prefix_cache_hits "
              "vllm:num_preemptions vllm:request_success llamacpp:prompt_tokens llamacpp:tokens_predicted "
              "llamacpp:prompt_seconds llamacpp:tokens_predicted_seconds",
              gauge="vllm:num_requests_running vllm:num_requests_waiting vllm:kv_cache_usage_perc moge:build_info "
              "llamacpp:requests_processing llamacpp:requests_deferred moge:expert_imbalance_rows",
              histogram="vllm:time_to_first_token_seconds vllm:inter_token_latency_seconds "
              "vllm:e2e_request_latency_seconds vllm:request_queue_time_seconds")
for kind, names in WANTED.items():
    for name in names.split():
        assert families[name].type == kind, (name, families.get(name))
tokens = families["vllm:generation_tokens"].samples[0].value
assert tokens == 6, tokens
layers = collections.Counter(s.labels["layer"] for f in families.values() for s in f.samples if "layer" in s.labels)
assert layers and max(layers.values()) <= 16, layers
print(f"prometheus-client reads {len(families)} families, {max(layers.values())} series a layer of {len(layers)}")
