"""The gateways people use today, on the same work: LiteLLM's proxy and Portkey's gateway beside ours, one process each.

Usage: bench_peers.py SCRATCH RESULT.json   (scripts/setup-peers has installed them into .tools)
Each has one key or none, one provider and one model; none writes to a database. LiteLLM counts and prices, Portkey does
neither. What is compared is what a request costs in CPU, children included.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

import bench_common as common

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS_EACH = int(os.environ.get("SECONDS_EACH", "5"))
TOOLS = Path(".tools").resolve()
CONNECTIONS = 16


def main(scratch, result):
    with contextlib.ExitStack() as stack:
        providers = {"fast": ("openai", common.start_provider(stack, scratch, "fast"))}
        port = providers["fast"][1]
        _, yaml = common.gateway_yaml(providers)
        targets = [
            common.start_bare(stack, scratch, providers, 1),
            common.start_gateway(stack, scratch, yaml, 1),
            litellm(stack, scratch, port),
            portkey(stack, scratch, port),
        ]
        scripts = {target["name"]: script(scratch, target) for target in targets}
        rounds = {target["name"]: [] for target in targets}
        for target in targets:
            common.run_wrk(target, scripts[target["name"]], CONNECTIONS, SECONDS_EACH)
        for number in range(ROUNDS):
            for target in targets if number % 2 == 0 else reversed(targets):
                rounds[target["name"]].append(common.measured(target, scripts[target["name"]], CONNECTIONS, SECONDS_EACH))
    medians = {name: common.medians(each) for name, each in rounds.items()}
    Path(result).write_text(json.dumps({"machine": common.machine(), "medians": medians, "rounds": rounds}, indent=2) + "\n")
    print("| | CPU us/request | requests/s | p50 ms | p99 ms |\n|-|-|-|-|-|")
    for name, of in medians.items():
        print(
            f"| {name} | {of['cpu_us_per_request']:.0f} | {of['requests_per_second']:.0f} "
            f"| {of['p50_us'] / 1000:.1f} | {of['p99_us'] / 1000:.1f} |"
        )
    print(f"written to {result}")


def script(scratch, target):
    headers = {"content-type": "application/json", "authorization": f"Bearer {common.KEY}", "x-bench-provider": "fast"}
    return common.load_script(scratch, target["name"], common.chat("fast", 900, False), {**headers, **target.get("headers", {})})


def litellm(stack, scratch, provider):
    (port,) = common.free_ports(1)
    config = scratch / "litellm.yaml"
    parameters = f"{{model: openai/gpt-4o-mini, api_base: 'http://127.0.0.1:{provider}/v1', api_key: none}}"
    config.write_text(f"model_list:\n- {{model_name: fast, litellm_params: {parameters}}}\ngeneral_settings: {{master_key: {common.KEY}}}\n")
    command = [str(TOOLS / "peers/python/bin/litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    log = scratch / "litellm.log"
    environment = {**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    process = common.started(stack, command, log, env=environment)
    common.wait_for(lambda: common.answers(port), process, log, 120)
    return {"name": "litellm", "url": f"http://127.0.0.1:{port}", "pid": process.pid, "family": True}


def portkey(stack, scratch, provider):
    (port,) = common.free_ports(1)
    start = TOOLS / "peers/node/node_modules/@portkey-ai/gateway/build/start-server.js"
    log = scratch / "portkey.log"
    process = common.started(stack, ["node", str(start), "--headless", f"--port={port}"], log)
    common.wait_for(lambda: common.answers(port), process, log, 60)
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{provider}/v1"}
    return {"name": "portkey", "url": f"http://127.0.0.1:{port}", "pid": process.pid, "family": True, "headers": headers}


main(Path(sys.argv[1]), sys.argv[2])
