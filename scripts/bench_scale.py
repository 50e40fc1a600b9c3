"""What size costs: the gateway with one key against one with 10,000 keys, 1,000 models and 50 providers; and many streams at once.

Usage: bench_scale.py SCRATCH RESULT.json
"""

import contextlib
import json
import os
import sys
from pathlib import Path

import bench_common as common

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS_EACH = int(os.environ.get("SECONDS_EACH", "2"))
STREAMS = int(os.environ.get("STREAMS", "2000"))
SIZES = {"small": {}, "large": {"keys": 10_000, "models": 1_000, "more_providers": 50}}


def main(scratch, result):
    with contextlib.ExitStack() as stack:
        providers = {
            "fast": ("openai", common.start_provider(stack, scratch, "fast")),
            "paced": ("openai", common.start_provider(stack, scratch, "paced", "tokens=20", pace_ms=250)),
        }
        found = {name: gateway(stack, scratch, providers, name, size) for name, size in SIZES.items()}
        plain = script(scratch, "fast", False)
        rounds = {name: [] for name in found}
        for target in found.values():
            common.run_wrk(target, plain, 16, SECONDS_EACH)
        for number in range(ROUNDS):
            for name in found if number % 2 == 0 else reversed(found):
                rounds[name].append(common.measured(found[name], plain, 16, SECONDS_EACH))
        streams = many_streams(scratch, found["large"])
    report = {"machine": common.machine(), "streams": streams, "sizes": {}}
    for name, target in found.items():
        report["sizes"][name] = {"ready_seconds": target["ready_seconds"], "memory_kb": target["memory_kb"], **common.medians(rounds[name])}
    Path(result).write_text(json.dumps(report, indent=2) + "\n")
    for name, of in report["sizes"].items():
        print(f"{name}: ready after {of['ready_seconds']:.1f} s, {of['memory_kb'] / 1024:.0f} MB, {of['cpu_us_per_request']:.1f} us CPU per request")
    print(f"{STREAMS} streams at once: {streams['requests']} ended well, {streams['kb_per_stream']:.0f} KB for each")
    print(f"written to {result}")


def gateway(stack, scratch, providers, name, size):
    _, yaml = common.gateway_yaml(providers, **size)
    target = common.start_gateway(stack, scratch, yaml, workers=1, name=name)
    return {**target, "memory_kb": common.memory_kb(target["pid"])}


def script(scratch, model, stream):
    headers = {"content-type": "application/json", "authorization": f"Bearer {common.KEY}"}
    return common.load_script(scratch, f"scale-{model}", common.chat(model, 900, stream), headers)


def many_streams(scratch, target):
    """Each takes five seconds, so all of them run at once."""
    before = common.memory_kb(target["pid"])
    ran = common.run_wrk(target, script(scratch, "paced", True), STREAMS, 14)
    return {**ran, "kb_per_stream": (common.memory_kb(target["pid"]) - before) / STREAMS}


main(Path(sys.argv[1]), sys.argv[2])
