"""A bare Envoy and the gateway in front of the same providers, in interleaved rounds of wrk.

Usage: bench.py SCRATCH RESULT.json   (scripts/bench sets the environment)
What to trust: the ratio of CPU per request, both read in the same rounds. Requests per second depend on what else the
cores do, load generator and provider included.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

import bench_common as common

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS_EACH = int(os.environ.get("SECONDS_EACH", "2"))
ONLY = os.environ.get("ONLY", "").split()

# Name, what it is, provider, prompt bytes, streamed, connections, workers.
SCENARIOS = [
    ("plain", "1 KB prompt, reply in one piece", "fast", 900, False, 16, 1),
    ("plain-1", "the same, one connection", "fast", 900, False, 1, 1),
    ("plain-256", "the same, 256 connections", "fast", 900, False, 256, 1),
    ("money", "the same as plain, under a hard budget", "fast", 900, False, 16, 1),
    ("plain-2w", "the same, 2 workers", "fast", 900, False, 16, 2),
    ("prompt-32k", "32 KB prompt", "fast", 32_000, False, 16, 1),
    ("prompt-512k", "512 KB prompt", "short", 512_000, False, 16, 1),
    ("reply-100k", "100 KB reply in one piece", "large", 900, False, 16, 1),
    ("stream", "stream of 100 events, not paced", "words", 900, True, 16, 1),
    ("stream-paced", "stream of 20 events, one every 20 ms", "paced", 900, True, 128, 1),
    ("translated", "OpenAI's words to Anthropic's, reply in one piece", "claude", 900, False, 16, 1),
    ("translated-stream", "the same, stream of 100 events", "claude", 900, True, 16, 1),
]
# Those whose caller has a budget, so that money is held, settled and reported for each request.
WITH_BUDGET = ("money",)
# What SPEED's targets are for: scenario, which median, must, stretch; more is better where must < 1.
TARGETS = [
    ("plain", "cpu_us_per_request", 2.0, 1.75),
    ("plain", "requests_per_second", 0.50, 0.58),
    ("reply-100k", "cpu_us_per_request", 1.5, 1.4),
    ("stream-paced", "cpu_us_per_request", 1.35, 1.25),
]
ADDED_P50_US = ("plain-1", 100, 65)


def main(scratch, result):
    with contextlib.ExitStack() as stack:
        providers = start_providers(stack, scratch)
        scenarios = [each for each in SCENARIOS if not ONLY or each[0] in ONLY]
        kinds = sorted({kind(each) for each in scenarios})
        pairs = {each: start_pair(stack, scratch, providers, *each) for each in kinds}
        setting = {"machine": common.machine(), "rounds": ROUNDS, "seconds_each": SECONDS_EACH}
        results = [run(scratch, scenario, pairs[kind(scenario)]) for scenario in scenarios]
    Path(result).write_text(json.dumps({**setting, "scenarios": results}, indent=2) + "\n")
    print(table(setting, results))
    print(f"written to {result}")


def start_providers(stack, scratch):
    fast = common.start_provider(stack, scratch, "fast")
    return {
        "fast": ("openai", fast),
        "short": ("openai", common.start_provider(stack, scratch, "short", "tokens=20")),
        "words": ("openai", common.start_provider(stack, scratch, "words", "tokens=100")),
        "paced": ("openai", common.start_provider(stack, scratch, "paced", "tokens=20", pace_ms=20)),
        "large": ("openai", common.start_provider(stack, scratch, "large", "tokens=20000")),
        "claude": ("anthropic", common.start_provider(stack, scratch, "claude", "tokens=100")),
    }


def kind(scenario):
    return scenario[6], scenario[0] in WITH_BUDGET


def start_pair(stack, scratch, providers, workers, with_budget):
    if with_budget:
        scratch = scratch / "with-budget"
        scratch.mkdir(exist_ok=True)
    _, yaml = common.gateway_yaml(providers, with_budget=with_budget)
    return common.start_bare(stack, scratch, providers, workers), common.start_gateway(stack, scratch, yaml, workers)


def run(scratch, scenario, pair):
    name, title, provider, bytes_, stream, connections, _ = scenario
    body = common.chat(provider, bytes_, stream)
    headers = {"content-type": "application/json", "authorization": f"Bearer {common.KEY}", "x-bench-provider": provider}
    script = common.load_script(scratch, name, body, headers)
    rounds = {target["name"]: [] for target in pair}
    for target in pair:
        common.post(target["url"] + common.PATH, body, common.KEY, {"x-bench-provider": provider})
        common.run_wrk(target, script, connections, SECONDS_EACH)
    for number in range(ROUNDS):
        for target in pair if number % 2 == 0 else reversed(pair):
            rounds[target["name"]].append(common.measured(target, script, connections, SECONDS_EACH))
    medians = {target: common.medians(each) for target, each in rounds.items()}
    # Of each round, then the middle one: what disturbs a round disturbs both.
    names = ("cpu_us_per_request", "requests_per_second", "p50_us")
    ratios = [{key: mine[key] / max(theirs[key], 1e-9) for key in names} for mine, theirs in zip(rounds["gateway"], rounds["bare"])]
    common.say(f"{name}: {common.medians(ratios)['cpu_us_per_request']:.2f} times the CPU of a bare Envoy")
    return {"name": name, "title": title, "medians": medians, "ratios": common.medians(ratios), "rounds": rounds}


def table(setting, results):
    of = setting["machine"]
    lines = [
        f"{of['processor']}, {of['processors']} processors, {of['system']}; Envoy {of['envoy']}; commit {of['commit']}, {of['date']};",
        f"medians of {setting['rounds']} interleaved rounds of {setting['seconds_each']} s; load average at the start {of['load_average_at_start']}.",
        "",
        "| | CPU us/request, bare | gateway | ratio | requests/s, bare | gateway | ratio | p50 us, bare | gateway |",
        "|-|-|-|-|-|-|-|-|-|",
    ]
    for each in results:
        bare, gateway, ratios = each["medians"]["bare"], each["medians"]["gateway"], each["ratios"]
        lines.append(
            f"| {each['name']}: {each['title']} | {bare['cpu_us_per_request']:.1f} | {gateway['cpu_us_per_request']:.1f} "
            f"| **{ratios['cpu_us_per_request']:.2f}** | {bare['requests_per_second']:.0f} | {gateway['requests_per_second']:.0f} "
            f"| {ratios['requests_per_second']:.2f} | {bare['p50_us']:.0f} | {gateway['p50_us']:.0f} |"
        )
    return "\n".join([*lines, "", *verdicts({each["name"]: each for each in results})])


def verdicts(results):
    """Told, never asserted: what a busy machine measures must not fail a build."""
    for name, key, must, stretch in TARGETS:
        if name in results:
            got = results[name]["ratios"][key]
            met = (lambda bound: got >= bound) if must < 1 else (lambda bound: got <= bound)
            yield f"- {name}, {key}: {got:.2f}; must {must}: {said(met(must))}; stretch {stretch}: {said(met(stretch))}"
    name, must, stretch = ADDED_P50_US
    if name in results:
        medians = results[name]["medians"]
        added = medians["gateway"]["p50_us"] - medians["bare"]["p50_us"]
        yield f"- added p50 at one connection: {added:.0f} us; must {must}: {said(added <= must)}; stretch {stretch}: {said(added <= stretch)}"
    if {"plain", "money"} <= set(results):
        without, under = (results[name]["medians"]["gateway"]["cpu_us_per_request"] for name in ("plain", "money"))
        yield f"- holding, settling and reporting money: {under - without:.1f} us of Envoy's CPU for a request"
    if {"plain", "plain-2w"} <= set(results):
        one, two = (results[name]["medians"]["gateway"]["cpu_us_per_request"] for name in ("plain", "plain-2w"))
        yield f"- CPU per request, one worker to two: {one / two:.2f}; must 0.92: {said(one / two >= 0.92)}"


def said(met):
    return "met" if met else "not met"


main(Path(sys.argv[1]), sys.argv[2])
