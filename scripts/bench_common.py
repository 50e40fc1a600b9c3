"""What the benchmarks share: starts Envoys, gateways and fake providers, drives them with wrk, and reads their CPU.

Environment: TOLLGATE_BIN, TOLLGATE_ENVOY, TOLLGATE_WASM (scripts/bench sets them). CPU is what the scheduler counts for
the process, so it does not depend on what else the cores do, as far as caches allow; requests per second do.
"""

import contextlib
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

PATH = "/v1/chat/completions"
KEY = "sk-tg-bench"
KEY_SHA256 = "013bb71398f8db18249da5af2f25b982e01f1ca90ed56729b8c9a1257486021a"

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
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [%(routes)s]}]}
          http_filters:
          - {name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters: [%(clusters)s]
"""
# The header says which provider, as the model does for the gateway, which does not let it pass.
ROUTE = (
    '{match: {prefix: /, headers: [{name: x-bench-provider, string_match: {exact: "%s"}}]}, '
    "route: {cluster: %s, timeout: 0s}}"
)
CLUSTER = (
    "{name: %s, circuit_breakers: {thresholds: [{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000}]}, "
    "load_assignment: {cluster_name: %s, endpoints: [{lb_endpoints: [{endpoint: {address: "
    "{socket_address: {address: 127.0.0.1, port_value: %d}}}}]}]}}"
)
DONE = """
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("COUNTED %d %d %d %d %d\\n", summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def started(stack, command, log, **options):
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
    stack.callback(stop, process)
    return process


def stop(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(condition, process, log, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if found := condition():
            return found
        time.sleep(0.05)
    sys.exit(f"bench: {process.args[0]} did not come up\n{Path(log).read_text()[-2000:]}")


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def start_provider(stack, scratch, name, script=None, pace_ms=0):
    """A fake provider; `script` is what it answers always, in its own compact form."""
    (port,) = free_ports(1)
    command = [os.environ["TOLLGATE_BIN"], "fake", "--listen", f"127.0.0.1:{port}", "--keep-requests", "0", "--pace-ms", str(pace_ms)]
    log = scratch / f"provider-{name}.log"
    wait_for(lambda: answers(port), started(stack, command, log), log)
    if script:
        post(f"http://127.0.0.1:{port}/_control", {"always": [script]})
    return port


def start_bare(stack, scratch, providers, workers):
    listen, admin = free_ports(2)
    ports = {name: port for name, (_, port) in providers.items()}
    values = {
        "listen": listen,
        "admin": admin,
        "routes": ", ".join(ROUTE % (name, name) for name in ports),
        "clusters": ", ".join(CLUSTER % (name, name, port) for name, port in ports.items()),
    }
    config = scratch / f"bare-{workers}.yaml"
    config.write_text(BARE % values)
    command = [os.environ["TOLLGATE_ENVOY"], "-c", str(config), "--concurrency", str(workers), "--disable-hot-restart", "-l", "error"]
    log = scratch / f"bare-{workers}.log"
    process = started(stack, command, log)
    wait_for(lambda: answers(listen), process, log)
    return {"name": "bare", "url": f"http://127.0.0.1:{listen}", "pid": process.pid, "admin": admin}


def gateway_yaml(providers, keys=1, models=0, more_providers=0, with_budget=False):
    """`providers` by name: dialect and port. Beside them as many keys, models and providers as are asked for."""
    listen, admin = free_ports(2)
    bases = {"openai": "/v1", "anthropic": "/anthropic"}
    lines = ["listen:", f"  address: 127.0.0.1:{listen}", "admin:", f"  address: 127.0.0.1:{admin}", "providers:"]
    for name, (dialect, port) in providers.items():
        lines += [f"  {name}:", f"    dialect: {dialect}", f"    url: http://127.0.0.1:{port}{bases[dialect]}"]
    some = next(iter(providers.values()))[1]
    for number in range(more_providers):
        lines += [f"  more-{number}:", "    dialect: openai", f"    url: http://127.0.0.1:{some}/v1"]
    lines.append("models:")
    for name in providers:
        lines += [f"  {name}:", "    targets:", *targets(name, next(iter(providers)))]
    for number in range(models):
        first = f"more-{number % more_providers}" if more_providers else next(iter(providers))
        lines += [f"  model-{number}:", "    targets:", *targets(first, next(iter(providers)))]
    lines += ["prices:", *[f"  {name}/gpt-4o-mini: {{input: 0.15, output: 0.60}}" for name in providers]]
    lines.append("tenants:")
    if with_budget:
        budget, budget_admin = free_ports(2)
        service = f"budget_service: {{listen: 127.0.0.1:{budget}, admin: 127.0.0.1:{budget_admin}, store: sqlite}}"
        lines = [service, *lines, "  teams: {bench: {max_budget: 1000000}}"]
    lines += ["  keys:", "  - name: bench", f"    sha256: {KEY_SHA256}", "    team: bench"]
    for number in range(keys - 1):
        lines += [f"  - name: key-{number}", f"    sha256: {number:064x}", f"    team: team-{number % 500}"]
    return listen, "\n".join(lines) + "\n"


def targets(first, second):
    names = [first] if first == second else [first, second]
    return [f"    - {{provider: {name}, model: gpt-4o-mini}}" for name in names]


def start_gateway(stack, scratch, yaml, workers, name="gateway"):
    config = scratch / f"{name}-{workers}.yaml"
    config.write_text(yaml)
    command = [os.environ["TOLLGATE_BIN"], "up", "--config", str(config), "--data", str(scratch / f"{name}-{workers}"), "--concurrency", str(workers)]
    log = scratch / f"{name}-{workers}.log"
    before = time.monotonic()
    process = started(stack, command, log)
    url = wait_for(lambda: re.search(r"^ready (http://\S+)", log.read_text(errors="replace"), re.M), process, log).group(1)
    ready = time.monotonic() - before
    envoy = next(pid for pid in descendants(process.pid) if command_of(pid)[:1] and "envoy" in Path(command_of(pid)[0]).name)
    return {"name": name, "url": url, "pid": envoy, "ready_seconds": ready}


def post(url, body, key=None, headers=()):
    headers = {"content-type": "application/json", **dict(headers)}
    if key:
        headers["authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return reply.read()


def prompt(bytes_):
    sentence = "Tell me why a gateway should cost nothing. "
    return (sentence * (bytes_ // len(sentence) + 1))[:bytes_]


def chat(model, bytes_, stream):
    body = {"model": model, "messages": [{"role": "user", "content": prompt(bytes_)}]}
    return {**body, "stream": True} if stream else body


def load_script(scratch, name, body, headers):
    script = scratch / f"{name}.lua"
    lines = ['wrk.method = "POST"', f"wrk.body = [==[{json.dumps(body)}]==]"]
    lines += [f'wrk.headers["{header}"] = "{value}"' for header, value in headers.items()]
    script.write_text("\n".join(lines) + DONE)
    return script


def run_wrk(target, script, connections, seconds, path=PATH):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script), target["url"] + path]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    requests, microseconds, errors, p50, p99 = map(int, re.search(r"COUNTED (\d+) (\d+) (\d+) (\d+) (\d+)", output).groups())
    if errors or not requests:
        sys.exit(f"bench: {target['name']}: {errors} errors in {requests} requests: no number is worth printing")
    return {"requests": requests, "requests_per_second": requests * 1e6 / microseconds, "p50_us": p50, "p99_us": p99}


def measured(target, script, connections, seconds, path=PATH):
    pids = [target["pid"], *descendants(target["pid"])] if target.get("family") else [target["pid"]]
    before = sum(map(cpu_seconds, pids))
    ran = run_wrk(target, script, connections, seconds, path)
    cpu = sum(map(cpu_seconds, pids)) - before
    return {**ran, "cpu_us_per_request": cpu * 1e6 / ran["requests"]}


def cpu_seconds(pid):
    """Of all its threads, in nanoseconds as the scheduler counts: the ticks of /proc/PID/stat are samples."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def memory_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))


def command_of(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def descendants(pid):
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from descendants(int(child))


def medians(rounds):
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def machine():
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    version = subprocess.run([os.environ["TOLLGATE_ENVOY"], "--version"], capture_output=True, text=True).stdout
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    return {
        "processor": cpu.group(1) if cpu else platform.processor(),
        "processors": os.cpu_count(),
        "system": platform.platform(terse=True),
        "envoy": (re.search(r"/(\d+\.\d+\.\d+)/", version) or [None, "?"])[1],
        "filter_bytes": Path(os.environ["TOLLGATE_WASM"]).stat().st_size,
        "commit": commit,
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "load_average_at_start": round(os.getloadavg()[0], 1),
    }


def say(text):
    print(text, file=sys.stderr, flush=True)
