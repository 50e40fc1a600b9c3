"""Asks with Anthropic's SDK, the same of each provider. Prints one line for each check: a list of its name and what it saw."""

import asyncio
import json
import sys

import anthropic
import httpx2
from anthropic import Anthropic, AsyncAnthropic

base_url, dialect = sys.argv[1:]
good = {"base_url": base_url, "api_key": "sk-tg-team-a", "max_retries": 0, "timeout": 20}
client = Anthropic(**good)

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
WEATHER = {"name": "weather", "description": "Tells the weather", "input_schema": CITY}


def say(name, *seen):
    print(json.dumps([name, *seen]), flush=True)


def ask(text="hi there", model=dialect, **more):
    return {"model": model, "max_tokens": 200, "messages": [{"role": "user", "content": text}], **more}


def figures(usage):
    """What was new, what the cache gave, what was said."""
    return [usage.input_tokens, usage.cache_read_input_tokens or 0, usage.output_tokens]


def calls(message):
    return [[block.name, block.input] for block in message.content if block.type == "tool_use"]


def fails(name, call):
    try:
        call()
        say(name, "no error")
    except anthropic.APIStatusError as error:
        detail = error.body["error"] if isinstance(error.body, dict) else error.body
        say(name, type(error).__name__, error.status_code, error.type, detail.get("code"))
    # What the transport raises inside a stream, this SDK lets through.
    except (anthropic.APIError, httpx2.TransportError) as error:
        say(name, type(error).__name__)


def answers():
    message = client.messages.create(**ask())
    say("plain", message.type, message.role, message.model, message.content[0].text, message.stop_reason, figures(message.usage))
    message = client.messages.create(**ask(system="Be brief, please"))
    say("system", message.content[0].text, figures(message.usage))
    message = client.messages.create(**ask("one two three four", model=f"{dialect}-cached"))
    say("cached", figures(message.usage))
    message = client.messages.create(**{**ask(), "max_tokens": 2})
    say("too long", message.content[0].text, message.stop_reason)
    conversation = [("user", "one"), ("assistant", "two"), ("user", [{"type": "text", "text": "three"}])]
    message = client.messages.create(**ask(), extra_body={"messages": [{"role": role, "content": text} for role, text in conversation]})
    say("turns", message.content[0].text, figures(message.usage))
    raw = client.messages.with_raw_response.create(**ask())
    say("raw response", raw.headers["x-tollgate-provider"], raw.parse().content[0].text)
    plain = {"model": dialect, "messages": [{"role": "user", "content": "hi there"}]}
    more = [plain, {**plain, "system": "Be brief, please"}, {**plain, "system": "Be brief, please", "tools": [WEATHER]}]
    counts = [client.messages.count_tokens(**request).input_tokens for request in more]
    say("count", 1 < counts[0] < counts[1] < counts[2])


def wishes():
    """What clients add to a question, and every provider takes or can do without."""
    hints = {"cache_control": {"type": "ephemeral"}}
    system = [{"type": "text", "text": "Be brief, please", **hints}]
    message = client.messages.create(**ask(system=system, tools=[{**WEATHER, **hints}], tool_choice={"type": "none"}))
    say("cache hints", message.content[0].text, figures(message.usage))
    message = client.messages.create(**ask(stop_sequences=["never said"], metadata={"user_id": "somebody"}))
    say("stop and user", message.content[0].text, message.stop_reason)
    for source in [{"type": "base64", "media_type": "image/png", "data": PIXEL}, {"type": "url", "url": "https://example.com/pixel.png"}]:
        content = [{"type": "image", "source": source}, {"type": "text", "text": "what is it"}]
        say(f"picture by {source['type']}", client.messages.create(**ask(content)).content[0].text)
    message = client.messages.create(**ask("in Rome", output_config={"format": {"type": "json_schema", "schema": CITY}}))
    say("schema", json.loads(message.content[0].text)["days"])
    say("beta", client.beta.messages.create(**ask(), betas=["interleaved-thinking-2025-05-14"]).content[0].text)
    bearer = Anthropic(base_url=base_url, auth_token="sk-tg-team-a", max_retries=0)
    say("bearer", bearer.messages.create(**ask()).content[0].text)
    say("models", dialect in [model.id for model in client.models.list()], client.models.retrieve(dialect).id)


def streams():
    text, kinds = "", []
    for event in client.messages.create(**ask(), stream=True):
        if event.type == "content_block_delta":
            text += event.delta.text
        if not kinds or kinds[-1] != event.type:
            kinds.append(event.type)
    say("streamed", text, kinds)
    with client.messages.stream(**ask()) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    say("stream helper", text, message.content[0].text, message.stop_reason, message.model, figures(message.usage))
    with client.messages.stream(**ask("one two three four", model=f"{dialect}-cached")) as stream:
        say("stream cached", figures(stream.get_final_message().usage))


def tools():
    for name, text in [("tool", "in Rome"), ("parallel tools", "parallel in Rome")]:
        request = ask(text, tools=[WEATHER], tool_choice={"type": "auto"})
        message = client.messages.create(**request)
        say(name, message.stop_reason, calls(message))
        pieces = ""
        with client.messages.stream(**request) as stream:
            for event in stream:
                if event.type == "input_json":
                    pieces += event.partial_json
            message = stream.get_final_message()
        whole = "".join(json.dumps(arguments) for _, arguments in calls(message))
        say(f"{name} streamed", message.stop_reason, calls(message), pieces.replace(" ", "") == whole.replace(" ", ""))
    asked = client.messages.create(**ask("in Rome", tools=[WEATHER]))
    # A plan may stand before the call, and goes back with it.
    result = [{"type": "tool_result", "tool_use_id": asked.content[-1].id, "content": "sunny and warm"}]
    turns = [{"role": "user", "content": "in Rome"}, {"role": "assistant", "content": asked.content}, {"role": "user", "content": result}]
    message = client.messages.create(model=dialect, max_tokens=200, messages=turns, tools=[WEATHER])
    say("tool result", message.content[0].text, message.stop_reason)
    forced = client.messages.create(**ask("in Rome", tools=[WEATHER], tool_choice={"type": "tool", "name": "weather"}))
    say("tool by name", calls(forced))


def thoughts():
    request = {**ask("in Rome", tools=[WEATHER]), "max_tokens": 2048, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    message = client.messages.create(**request)
    with client.messages.stream(**request) as stream:
        kinds = {event.type for event in stream} & {"thinking", "signature", "input_json"}
        streamed = stream.get_final_message()
    # Both ways the same: which blocks there are, and whether the thoughts are sealed.
    shape = [[[block.type, bool(getattr(block, "signature", None))] for block in one.content] for one in [message, streamed]]
    say("thoughts", shape[0] == shape[1], shape[0], sorted(kinds))
    result = [{"type": "tool_result", "tool_use_id": streamed.content[-1].id, "content": "sunny"}]
    turns = [*request["messages"], {"role": "assistant", "content": streamed.content}, {"role": "user", "content": result}]
    message = client.messages.create(**{**request, "messages": turns})
    say("thoughts and result", message.content[-1].text)


def errors():
    def create(model=dialect, options=good, **more):
        return lambda: Anthropic(**options).messages.create(**{**ask(), "model": model, **more})

    fails("unknown key", create(options={**good, "api_key": "sk-tg-nobody"}))
    fails("unknown model", create("nothing"))
    fails("model of others", create(options={**good, "api_key": "sk-tg-stranger"}))
    fails("bad request", create(extra_body={"stream": "yes"}))
    fails("refused by the provider", create(f"{dialect}-refused"))
    fails("limited", create(f"{dialect}-limited"))
    fails("provider down", create(f"{dialect}-down"))
    fails("provider unreachable", create(f"{dialect}-gone"))
    fails("stream refused", create(f"{dialect}-limited", stream=True))
    try:
        create(f"{dialect}-limited")()
    except anthropic.RateLimitError as error:
        say("retry after", error.response.headers.get("retry-after"))
    for way in ["ends", "errs", "resets"]:
        text = ""

        def read():
            nonlocal text
            with client.messages.stream(**ask(model=f"{dialect}-{way}")) as stream:
                for piece in stream.text_stream:
                    text += piece

        fails(f"stream {way}", read)
        say(f"stream {way} after", text)


async def asynchronous():
    async with AsyncAnthropic(**good) as client:
        say("async", (await client.messages.create(**ask())).content[0].text)
        async with client.messages.stream(**ask()) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            message = await stream.get_final_message()
        say("async streamed", text, figures(message.usage))
        async with client.messages.stream(**ask("in Rome", tools=[WEATHER])) as stream:
            say("async tool streamed", calls(await stream.get_final_message()))
        many = [client.messages.create(**ask(f"number {number}")) for number in range(3)]
        say("async together", [message.content[0].text for message in await asyncio.gather(*many)])
        count = await client.messages.count_tokens(model=dialect, messages=[{"role": "user", "content": "hi there"}])
        say("async count", count.input_tokens > 1)
        for name, model in [("async error", "nothing"), ("async limited", f"{dialect}-limited")]:
            try:
                await client.messages.create(**ask(model=model))
            except anthropic.APIStatusError as error:
                say(name, type(error).__name__, error.type)
        try:
            async with client.messages.stream(**ask(model=f"{dialect}-ends")) as stream:
                await stream.get_final_message()
            say("async stream ends", "no error")
        except anthropic.APIStatusError as error:
            say("async stream ends", type(error).__name__, error.type)


answers()
wishes()
streams()
tools()
thoughts()
errors()
asyncio.run(asynchronous())
