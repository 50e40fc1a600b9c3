"""A million requests through one gateway: the slope of its memory, printed.

Usage: bench_soak.py SCRATCH RESULT.json   (REQUESTS for another number)
"""

import contextlib
import json
import os
import sys
from pathlib import Path

import bench_common as common

REQUESTS = int(os.environ.get("REQUESTS", "1000000"))
SAMPLES = 40
CONNECTIONS = 32


def main(scratch, result):
    with contextlib.ExitStack() as stack:
        providers = {"fast": ("openai", common.start_provider(stack, scratch, "fast"))}
        _, yaml = common.gateway_yaml(providers)
        gateway = common.start_gateway(stack, scratch, yaml, workers=1)
        scripts = [script(scratch, stream) for stream in (False, True)]
        samples, done = [], 0
        while done < REQUESTS:
            # In turn in one piece and streamed. The first stretch finds the speed, so that there are about SAMPLES of them.
            seconds = 3 if not samples else max(1, round(REQUESTS / SAMPLES / samples[-1]["requests_per_second"]))
            ran = common.run_wrk(gateway, scripts[len(samples) % 2], CONNECTIONS, seconds)
            done += ran["requests"]
            samples.append({"requests": done, "memory_kb": common.memory_kb(gateway["pid"]), **{"requests_per_second": ran["requests_per_second"]}})
            common.say(f"{done:9} requests, {samples[-1]['memory_kb']} KB")
    # What is reached while everything is used for the first time is no leak.
    settled = samples[len(samples) // 4 :]
    per_million = slope(settled) * 1e6
    report = {"machine": common.machine(), "samples": samples, "kb_per_million_requests": per_million}
    Path(result).write_text(json.dumps(report, indent=2) + "\n")
    first, last = settled[0], settled[-1]
    print(f"{done} requests: {samples[0]['memory_kb']} KB at first, {first['memory_kb']} KB after a quarter, {last['memory_kb']} KB at the end")
    print(f"slope after the first quarter: {per_million:.0f} KB for a million requests")
    print(f"written to {result}")


def script(scratch, stream):
    headers = {"content-type": "application/json", "authorization": f"Bearer {common.KEY}"}
    return common.load_script(scratch, f"soak-{stream}", common.chat("fast", 900, stream), headers)


def slope(samples):
    """Least squares, in KB for each request."""
    count = len(samples)
    if count < 2:
        return 0.0
    mean = sum(each["requests"] for each in samples) / count
    height = sum(each["memory_kb"] for each in samples) / count
    over = sum((each["requests"] - mean) * (each["memory_kb"] - height) for each in samples)
    return over / sum((each["requests"] - mean) ** 2 for each in samples)


main(Path(sys.argv[1]), sys.argv[2])
