"""A bare Envoy and the gateway, each in front of `tollgate fake`, in interleaved rounds of wrk.

Usage: bench.py SCRATCH CONFIG RESULT.json   (scripts/bench sets the environment)
What to trust: CPU per request of each Envoy and the ratio of the two. Requests per second depend on what else the cores do,
load generator and provider included.
"""

import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS_EACH = int(os.environ.get("SECONDS_EACH", "5"))
CONNECTIONS = 16
# One worker each: what one core can do.
WORKERS = 1
PROMPT = "Tell me why a gateway should cost nothing. " * 20  # about 1 KB with what surrounds it
PATH = "/v1/chat/completions"

BARE = """
admin: {address: {socket_address: {address: 127.0.0.1, port_value: %(admin)d}}}
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %(listen)d}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bare
          route_config:
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: fake, timeout: 0s}}]}]
          http_filters:
          - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: fake
    circuit_breakers: {thresholds: [{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000}]}
    load_assignment:
      cluster_name: fake
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %(fake)d}}}}]}]
"""


def main(scratch, config, result):
    with contextlib.ExitStack() as stack:
        gateway, key, model = start_gateway(stack, scratch, config)
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": PROMPT}]})
        script = write_load(scratch, key, body)
        bare = start_bare(stack, scratch)
        for target in (bare, gateway):
            expect_answer(target, key, body)
            run_wrk(target, script, 1)
        for number in range(ROUNDS):
            for target in (bare, gateway) if number % 2 == 0 else (gateway, bare):
                target["rounds"].append(measure(target, script))
                say(f"round {number + 1} of {ROUNDS}, {target['name']}: {show(target['rounds'][-1])}")
    report(bare, gateway, result)


def start_gateway(stack, scratch, config):
    command = [os.environ["TOLLGATE_BIN"], "up", "--config", config, "--data", str(scratch / "data"), "--concurrency", str(WORKERS)]
    log = scratch / "gateway.log"
    process = started(stack, command, log)
    url = wait_for(lambda: re.search(r"^ready (http://\S+)", log.read_text(), re.M), process, log).group(1)
    said = log.read_text()
    # The printed curl is a contract: what works for a newcomer is what is measured.
    key = re.search(r"sk-tg-[\w-]+", said).group(0)
    model = re.search(r'"model": ?"([^"]+)"', said).group(1)
    envoy = next(pid for pid in descendants(process.pid) if command_of(pid)[:1] and "envoy" in Path(command_of(pid)[0]).name)
    return {"name": "gateway", "url": url, "pid": envoy, "rounds": []}, key, model


def start_bare(stack, scratch):
    listen, admin, fake = free_ports(3)
    provider = [os.environ["TOLLGATE_BIN"], "fake", "--listen", f"127.0.0.1:{fake}"]
    started(stack, provider, scratch / "fake.log")
    config = scratch / "bare.yaml"
    config.write_text(BARE % {"listen": listen, "admin": admin, "fake": fake})
    command = [os.environ["TOLLGATE_ENVOY"], "-c", str(config), "--concurrency", str(WORKERS), "--disable-hot-restart", "-l", "error"]
    log = scratch / "bare.log"
    process = started(stack, command, log)
    for port in (fake, listen):
        wait_for(lambda port=port: answers(port), process, log)
    return {"name": "bare", "url": f"http://127.0.0.1:{listen}", "pid": process.pid, "rounds": []}


def started(stack, command, log):
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    stack.callback(stop, process)
    return process


def stop(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(condition, process, log):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        if found := condition():
            return found
        time.sleep(0.05)
    sys.exit(f"bench: {process.args[0]} did not come up\n{log.read_text()[-2000:]}")


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def expect_answer(target, key, body):
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    request = urllib.request.Request(target["url"] + PATH, body.encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert json.load(reply)["choices"], "no answer in the reply"


def write_load(scratch, key, body):
    script = scratch / "chat.lua"
    script.write_text(
        'wrk.method = "POST"\n'
        f"wrk.body = [==[{body}]==]\n"
        'wrk.headers["content-type"] = "application/json"\n'
        f'wrk.headers["authorization"] = "Bearer {key}"\n'
        "done = function(summary)\n"
        "  local errors = summary.errors\n"
        '  io.write(string.format("COUNTED %d %d %d\\n", summary.requests, summary.duration,\n'
        "    errors.connect + errors.read + errors.write + errors.status + errors.timeout))\n"
        "end\n"
    )
    return script


def run_wrk(target, script, seconds):
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), target["url"] + PATH]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 30).stdout
    requests, microseconds, errors = map(int, re.search(r"COUNTED (\d+) (\d+) (\d+)", output).groups())
    if errors or not requests:
        sys.exit(f"bench: {target['name']}: {errors} errors in {requests} requests: no number is worth printing")
    return requests, microseconds


def measure(target, script):
    before = cpu_seconds(target["pid"])
    requests, microseconds = run_wrk(target, script, SECONDS_EACH)
    cpu = cpu_seconds(target["pid"]) - before
    return {"requests_per_second": requests * 1e6 / microseconds, "cpu_us_per_request": cpu * 1e6 / requests}


def cpu_seconds(pid):
    """Of all its threads, in nanoseconds as the scheduler counts: the ticks of /proc/PID/stat are samples."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def command_of(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def descendants(pid):
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from descendants(int(child))


def show(numbers):
    return f"{numbers['requests_per_second']:8.0f} requests/s, {numbers['cpu_us_per_request']:6.1f} us CPU per request"


def say(text):
    print(text, file=sys.stderr, flush=True)


def report(bare, gateway, result):
    medians = {
        target["name"]: {name: statistics.median(each[name] for each in target["rounds"]) for name in target["rounds"][0]}
        for target in (bare, gateway)
    }
    ratios = {name: medians["gateway"][name] / medians["bare"][name] for name in medians["bare"]}
    for name, numbers in medians.items():
        print(f"{name:8} {show(numbers)}")
    print(f"ratio    {ratios['requests_per_second']:8.2f}             {ratios['cpu_us_per_request']:6.2f}")
    setting = {"rounds": ROUNDS, "seconds_each": SECONDS_EACH, "connections": CONNECTIONS, "workers": WORKERS}
    every = {target["name"]: target["rounds"] for target in (bare, gateway)}
    Path(result).write_text(json.dumps({"setting": setting, "medians": medians, "ratios": ratios, "rounds": every}, indent=2) + "\n")
    print(f"written to {result}")


main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
