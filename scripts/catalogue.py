#!/usr/bin/env python3
"""Makes src/core/catalogue/models.jsonl from two packages of the Python index.

    pip install genai-prices && pip install --no-deps litellm && scripts/catalogue.py

genai-prices says what things cost, with dates and long-context tiers; litellm what a model can do and how much fits into
it, and what it costs where the former does not know. Where both know and differ by more than 1%, the line says so and it
is printed. An exact name of genai-prices wins; where only one of its patterns fits, an exact name of litellm wins.

A line for each set of names that are alike. `p` are prices, the earliest first, each with `from` where it has a
beginning: `i` input, `o` output, `c` cached, `w` cache write, `h` write for an hour, `a` heard, `r` thought, `s` spoken, `t` tiers
(above so many prompt tokens), `f` for each request, `b` batches in thousandths, of prices and of cached ones. All money is whole
nano-dollars, for a million tokens where it is for tokens.
"""
import argparse
import collections
import datetime
import importlib.metadata
import importlib.util
import json
import pathlib
import re
from decimal import ROUND_CEILING, Decimal

from genai_prices import types as genai
from genai_prices.data import providers

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Ours, genai-prices', litellm's, and what litellm writes before a name.
VENDORS = [
    ("openai", "openai", ["openai", "text-completion-openai"], ""),
    ("azure", "azure", ["azure", "azure_text"], "azure/"),
    ("anthropic", "anthropic", ["anthropic"], ""),
    ("google", "google", ["gemini"], "gemini/"),
    ("vertex", "google", ["vertex_ai-language-models", "vertex_ai-anthropic_models", "vertex_ai-embedding-models"], "vertex_ai/"),
    ("bedrock", "aws", ["bedrock", "bedrock_converse"], "bedrock/"),
    ("mistral", "mistral", ["mistral"], "mistral/"),
    ("groq", "groq", ["groq"], "groq/"),
    ("together", "together", ["together_ai"], "together_ai/"),
    ("deepseek", "deepseek", ["deepseek"], "deepseek/"),
    ("openrouter", "openrouter", ["openrouter"], "openrouter/"),
    ("xai", "x-ai", ["xai"], "xai/"),
    ("fireworks", "fireworks", ["fireworks_ai", "fireworks_ai-embedding-models"], "fireworks_ai/"),
    ("cohere", "cohere", ["cohere", "cohere_chat"], ""),
]
MODES = {"chat", "completion", "responses", "embedding"}
# Key here, genai-prices', litellm's.
CLASSES = [
    ("i", "input_mtok", "input_cost_per_token"),
    ("o", "output_mtok", "output_cost_per_token"),
    ("c", "cache_read_mtok", "cache_read_input_token_cost"),
    ("w", "cache_write_mtok", "cache_creation_input_token_cost"),
    ("h", "cache_write_1h_mtok", "cache_creation_input_token_cost_above_1hr"),
    ("a", "input_audio_mtok", "input_cost_per_audio_token"),
    ("r", "output_reasoning_mtok", "output_cost_per_reasoning_token"),
    ("s", "output_audio_mtok", "output_cost_per_audio_token"),
]
CAPABILITIES = [
    ("tools", "supports_function_calling"),
    ("parallel_tools", "supports_parallel_function_calling"),
    ("vision", "supports_vision"),
    ("schema", "supports_response_schema"),
    ("reasoning", "supports_reasoning"),
    ("audio_input", "supports_audio_input"),
    ("audio_output", "supports_audio_output"),
    ("documents", "supports_pdf_input"),
    ("prompt_cache", "supports_prompt_caching"),
    ("web_search", "supports_web_search"),
]
NANOS = Decimal(10**9)
# What is also charged for, and not counted here.
KNOWN = {ours for _, ours, _ in CLASSES} | {"requests_kcount", "web_searches_kcount", "storage_searches_kcount"}


def nanos(dollars):
    return int((Decimal(dollars) * NANOS).to_integral_value(ROUND_CEILING))


def of_genai(price):
    """One ModelPrice: its rates with tiers, or nothing where it is not by tokens."""
    base, thresholds, extra = {}, set(), []
    for key, value in price.__dict__.items():
        if value is None:
            continue
        if key not in KNOWN and (value.base if isinstance(value, genai.TieredPrices) else value) > 0:
            extra.append(key)
        if isinstance(value, genai.TieredPrices):
            thresholds |= {tier.start for tier in value.tiers}
    for ours, theirs, _ in CLASSES:
        value = getattr(price, theirs)
        if value is not None:
            base[ours] = nanos(value.base if isinstance(value, genai.TieredPrices) else value)
    if "i" not in base:
        return None, extra
    base.setdefault("o", 0)
    tiers = []
    for start in sorted(thresholds):
        rates = {"above": start}
        for ours, theirs, _ in CLASSES:
            value = getattr(price, theirs)
            if isinstance(value, genai.TieredPrices):
                under = [tier for tier in value.tiers if tier.start <= start]
                rates[ours] = nanos(under[-1].price if under else value.base)
            elif value is not None:
                rates[ours] = nanos(value)
        tiers.append(rates)
    if tiers:
        base["t"] = tiers
    if price.requests_kcount:
        base["f"] = nanos(price.requests_kcount / 1000)
    return base, sorted(extra)


def dearest(prices):
    """Of prices that change with the hour: nobody knows the hour of the provider's bill."""
    prices = list(prices)
    most = dict(max(prices, key=lambda price: price["i"] + price["o"]))
    for ours, _, _ in CLASSES:
        known = [price[ours] for price in prices if ours in price]
        if known:
            most[ours] = max(known)
    return most


def ratio(standard, cheaper):
    """Thousandths, rounded up; the dearest of all classes, and the one of cached tokens."""
    def of(keys):
        pairs = [(cheaper[key], standard[key]) for key in keys if standard.get(key) and key in cheaper]
        return max((-(-1000 * less // more) for less, more in pairs), default=None)
    plain = of(["i", "o", "w", "h", "a", "r", "s"])
    if plain is None or plain > 1000:
        return None
    cached = of(["c"]) if "c" in cheaper else 1000
    return [plain, min(cached or 1000, 1000)]


def prices_of_genai(model):
    """Prices by date, and what a reader should know of them."""
    notes = []
    listed = model.prices if isinstance(model.prices, list) else [genai.ConditionalPrice(prices=model.prices)]
    dated, hourly = [], []
    for conditional in listed:
        price, extra = of_genai(conditional.prices)
        notes += [f"also charges {key}" for key in extra]
        if price is None:
            continue
        if isinstance(conditional.constraint, genai.TimeOfDateConstraint):
            hourly.append(price)
        elif conditional.constraint is None:
            dated.append((None, price))
        else:
            dated.append((conditional.constraint.start_date.isoformat(), price))
    if hourly:
        notes.append("the dearest hour of the day")
        dated = [(start, dearest([price, *hourly])) for start, price in dated] or [(None, dearest(hourly))]
    dated.sort(key=lambda entry: entry[0] or "")
    out = []
    for start, price in dated:
        price = dict(price)
        for variant in model.price_variants or ():
            if variant.when == {"processing": "batch"}:
                batch, _ = of_genai(variant.prices)
                if batch and (found := ratio(price, batch)):
                    price["b"] = found
        if start:
            price = {"from": start, **price}
        out.append(price)
    return out, sorted(set(notes))


def price_of_litellm(entry):
    cost = lambda key: nanos(Decimal(entry[key]) * 1_000_000) if isinstance(entry.get(key), (int, Decimal)) else None
    base = {ours: value for ours, _, theirs in CLASSES if (value := cost(theirs)) is not None}
    if "i" not in base or ("o" not in base and entry.get("mode") != "embedding"):
        return None
    base.setdefault("o", 0)
    tiers = collections.defaultdict(dict)
    for ours, _, theirs in CLASSES:
        for key in entry:
            if (found := re.fullmatch(re.escape(theirs) + r"_above_(\d+)k_tokens", key)) and cost(key) is not None:
                tiers[int(found[1]) * 1000][ours] = cost(key)
    if tiers:
        rates = {key: value for key, value in base.items()}
        base["t"] = []
        for above in sorted(tiers):
            rates = {**rates, **tiers[above]}
            base["t"].append({"above": above, **rates})
    batch = {ours: value for ours, _, theirs in CLASSES if (value := cost(theirs + "_batches")) is not None}
    if batch and (found := ratio(base, batch)):
        base["b"] = found
    if (fee := entry.get("input_cost_per_request")):
        base["f"] = nanos(fee)
    return base


def is_free(price):
    return all(price.get(ours, 0) == 0 for ours, _, _ in CLASSES)


def completed(price, other):
    """With the classes that only the other source knows: what is charged for must not be cheap by omission."""
    for ours, _, _ in CLASSES:
        if ours in other and ours not in price:
            price[ours] = other[ours]
            for tier in price.get("t", []):
                same = [one for one in other.get("t", []) if one["above"] == tier["above"]]
                tier.setdefault(ours, (same or [other])[0].get(ours, other[ours]))
    if "b" in other and "b" not in price:
        price["b"] = other["b"]


def disagreements(price, other):
    out = {}
    for ours, _, _ in CLASSES:
        one, two = price.get(ours), other.get(ours)
        if one is not None and two is not None and abs(one - two) * 100 > max(one, two):
            out[ours] = two
    return out


def equals(clause):
    if isinstance(clause, genai.ClauseEquals):
        return {clause.equals.lower()}
    if isinstance(clause, genai.ClauseOr):
        return set().union(*map(equals, clause.or_))
    return set()


def limits(entry, model):
    out = {}
    window = entry.get("max_input_tokens") or (model and model.context_window)
    if isinstance(window, int) and window > 0:
        out["window"] = window
    most = entry.get("max_output_tokens")
    if isinstance(most, int) and most > 0:
        out["out"] = most
    return out


def current(dated, today):
    return [price for price in dated if price.get("from", "") <= today][-1:] or dated[:1]


def records(theirs, litellm_of, prefix, costs, today):
    source = next(provider for provider in providers if provider.id == theirs)
    bare = {}
    for name, entry in costs.items():
        if entry.get("litellm_provider") in litellm_of and entry.get("mode") in MODES:
            bare.setdefault(name.removeprefix(prefix).lower(), entry)
    exact = {}
    for model in source.models:
        for name in {model.id.lower()} | equals(model.match):
            exact.setdefault(name, model)
    for name in sorted(bare.keys() | exact.keys()):
        entry = bare.get(name, {})
        model = exact.get(name) or source.find_model(name)
        dated, notes = prices_of_genai(model) if model else ([], [])
        other = price_of_litellm(entry)
        record = {}
        if dated and other:
            (now,) = current(dated, today)
            differs = disagreements(now, other)
            if differs and name not in exact:
                dated, notes, differs = [other], [], disagreements(other, now)
                record["by"] = "litellm"
            else:
                for price in dated:
                    completed(price, other)
            if differs:
                record["differs"] = differs
        elif other:
            dated, record["by"] = [other], "litellm"
        # A price of nothing is more often a price that nobody wrote down.
        if any(is_free(price) for price in dated) and not name.endswith("free"):
            dated = []
        if any(price["o"] == 0 and price["i"] > 0 for price in dated) and entry.get("mode", "chat") != "embedding" and "embed" not in name:
            dated = []
        known = limits(entry, model)
        if not dated and not known:
            continue
        if dated:
            record["p"] = dated
        if notes and dated:
            record["notes"] = notes
        record |= known
        if entry:
            record["can"] = [ours for ours, key in CAPABILITIES if entry.get(key) is True]
        yield name, record


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--date", default=datetime.datetime.now(datetime.UTC).date().isoformat())
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "src/core/catalogue/models.jsonl")
    args = parser.parse_args()
    # Importing it would need all that it needs.
    folder = pathlib.Path(importlib.util.find_spec("litellm").submodule_search_locations[0])
    costs = json.loads((folder / "model_prices_and_context_window_backup.json").read_text(), parse_float=Decimal)
    version = importlib.metadata.version
    sources = [{"name": name, "version": version(name)} for name in ("genai-prices", "litellm")]
    lines = [json.dumps({"catalogue": 1, "made": args.date, "sources": sources}, separators=(",", ":"))]
    differ = 0
    for vendor, theirs, litellm_of, prefix in VENDORS:
        alike = collections.defaultdict(list)
        for name, record in records(theirs, litellm_of, prefix, costs, args.date):
            alike[json.dumps(record, separators=(",", ":"))].append(name)
            if "differs" in record and "p" in record:
                differ += 1
                (latest,) = current(record["p"], args.date)
                told = ", ".join(f"{key} {latest[key] / 1e9:g} or {two / 1e9:g}" for key, two in record["differs"].items())
                print(f"{vendor}/{name}: {told}")
        for record, names in sorted(alike.items(), key=lambda item: item[1]):
            head = json.dumps({"v": vendor, "n": names}, separators=(",", ":"))
            lines.append(head[:-1] + "," + record[1:])
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text("\n".join(lines) + "\n")
    print(f"{len(lines) - 1} lines, {args.output.stat().st_size} bytes, {differ} disagreements of more than 1%")


main()
