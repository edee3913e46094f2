#!/usr/bin/env python3
"""Reads a run's event files with PyPI's tensorboard and compares every scalar with metrics.jsonl.

    python3 -m venv /tmp/tb && /tmp/tb/bin/pip install tensorboard
    build/release/moge train --model preset:tiny --mock-data --vocab-size 256 --train-iters 12 --save /tmp/run
    /tmp/tb/bin/python tests/tools/check_tensorboard.py /tmp/run
"""
import json
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

# Our tag -> the value it must have, from the step's line of metrics.jsonl.
FIELDS = {
    "lm loss": lambda line: line["lm_loss"],
    "learning-rate": lambda line: line["lr"],
    "grad-norm": lambda line: line["grad_norm"],
    "iteration-time": lambda line: line["step_ms"] / 1e3,
    "throughput(tps)": lambda line: line["tokens_per_s"],
    "mfu(%)": lambda line: 100 * line["mfu"],
    "load_balancing_loss": lambda line: line["aux_loss"],
    "z_loss": lambda line: line["z_loss"],
}


def fail(sentence):
    sys.exit(f"check_tensorboard: {sentence}")


def compare(events, tag, steps, value_of):
    scalars = {event.step: event for event in events.Scalars(tag)}
    if sorted(scalars) != sorted(steps):
        fail(f"'{tag}' has steps {sorted(scalars)}, want {sorted(steps)}")
    for step, line in steps.items():
        want, got = value_of(line), scalars[step].value
        if abs(got - want) > 1e-6 * max(abs(want), 1e-30):
            fail(f"'{tag}' at step {step} is {got}, metrics.jsonl says {want}")
    times = [scalars[step].wall_time for step in sorted(scalars)]
    if times != sorted(times):
        fail(f"the wall times of '{tag}' go backward")


def main():
    run = pathlib.Path(sys.argv[1])
    steps = {line["step"]: line for line in map(json.loads, (run / "metrics.jsonl").open())}
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    compared = [tag for tag in FIELDS if tag in tags]
    if "lm loss" not in compared or not steps:
        fail(f"no 'lm loss' among {tags}, or no line in metrics.jsonl")
    for tag in compared:
        compare(events, tag, steps, FIELDS[tag])
    print(f"{len(steps)} steps, tags equal to metrics.jsonl: {', '.join(compared)}; all tags: {', '.join(tags)}")


main()
