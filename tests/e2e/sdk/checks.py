"""Asks as an application does, with the official SDK. Prints one line for each check: a list of its name and what it saw."""

import asyncio
import json
import sys

import openai
from openai import AsyncOpenAI, OpenAI

base_url = sys.argv[1]
good = {"base_url": base_url, "api_key": "sk-tg-team-a", "max_retries": 0, "timeout": 20}
client = OpenAI(**good)

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}


def say(name, *seen):
    print(json.dumps([name, *seen]), flush=True)


def ask(text="hi there", **more):
    return {"model": "small", "messages": [{"role": "user", "content": text}], **more}


def fails(name, call):
    try:
        call()
        say(name, "no error")
    except openai.APIStatusError as error:
        say(name, type(error).__name__, error.status_code, error.code, error.param)
    except openai.APIError as error:
        say(name, type(error).__name__, error.code)


def joined(stream):
    """The text of a stream, whether each chunk but the last has choices, and the usage that came with it."""
    text, usage = "", []
    for chunk in stream:
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
        if chunk.usage:
            usage.append([len(chunk.choices), chunk.usage.prompt_tokens, chunk.usage.completion_tokens])
    return [text, usage]


def answers():
    answer = client.chat.completions.create(**ask())
    choice = answer.choices[0]
    say("plain", choice.message.content, choice.finish_reason, answer.usage.prompt_tokens, answer.usage.completion_tokens)
    say("streamed", *joined(client.chat.completions.create(**ask(), stream=True)))
    with_usage = {"include_usage": True}
    say("streamed with usage", *joined(client.chat.completions.create(**ask(), stream=True, stream_options=with_usage)))
    with client.chat.completions.stream(**ask()) as stream:
        say("stream helper", stream.get_final_completion().choices[0].message.content)
    answer = client.chat.completions.create(**ask(), response_format={"type": "json_object"})
    say("json mode", json.loads(answer.choices[0].message.content))
    raw = client.chat.completions.with_raw_response.create(**ask())
    provider, attempts = raw.headers["x-tollgate-provider"], raw.headers["x-tollgate-attempts"]
    say("raw response", provider, attempts, raw.parse().choices[0].message.content)
    say("models", [model.id for model in client.models.list()], client.models.retrieve("small").id)
    vectors = client.embeddings.create(model="small", input=["one two", "three"], dimensions=4)
    say("embeddings", [[sum(map(abs, entry.embedding)), len(entry.embedding)] for entry in vectors.data], vectors.usage.total_tokens)
    text = client.completions.create(model="small", prompt="once upon")
    parts = client.completions.create(model="small", prompt="once upon", stream=True)
    say("completions", text.choices[0].text, "".join(part.choices[0].text for part in parts))


def tools():
    for name, text in [("tool", "in Rome"), ("parallel tools", "parallel in Rome")]:
        request = ask(text, tools=[WEATHER], tool_choice="auto")
        answer = client.chat.completions.create(**request)
        calls = [[call.function.name, json.loads(call.function.arguments)] for call in answer.choices[0].message.tool_calls]
        say(name, answer.choices[0].finish_reason, calls)
        calls, pieces = {}, 0
        for chunk in client.chat.completions.create(**request, stream=True):
            for part in chunk.choices[0].delta.tool_calls or []:
                call = calls.setdefault(part.index, ["", ""])
                call[0] += part.function.name or ""
                call[1] += part.function.arguments
                pieces += bool(part.function.arguments)
        # In pieces: more of them than there are calls.
        say(f"{name} streamed", [[name, json.loads(text)] for name, text in calls.values()], pieces > 2 * len(calls))
    first = client.chat.completions.create(**ask("in Rome", tools=[WEATHER])).choices[0].message
    result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "sunny"}
    messages = [{"role": "user", "content": "in Rome"}, first, result]
    answer = client.chat.completions.create(model="small", messages=messages, tools=[WEATHER])
    say("tool result", answer.choices[0].message.content)


def errors():
    def create(model="small", options=good, **more):
        return lambda: OpenAI(**options).chat.completions.create(**{**ask(), "model": model, **more})

    fails("unknown key", create(options={**good, "api_key": "sk-tg-nobody"}))
    fails("unknown model", create("nothing"))
    fails("model of others", create(options={**good, "api_key": "sk-tg-beta-only"}))
    fails("bad request", create(extra_body={"stream": "yes"}))
    fails("refused by the provider", create("refused"))
    fails("all limited", create("limited"))
    fails("provider down", create("down"))
    fails("provider unreachable", create("gone"))
    fails("model retrieve", lambda: client.models.retrieve("nothing"))
    fails("stream refused", create("limited", stream=True))
    for name in ["ends", "errs", "resets"]:
        text = ""

        def read():
            nonlocal text
            for chunk in create(name, stream=True)():
                text += chunk.choices[0].delta.content or ""

        fails(f"stream {name}", read)
        say(f"stream {name} after", text)


async def asynchronous():
    async with AsyncOpenAI(**good) as client:
        say("async", (await client.chat.completions.create(**ask())).choices[0].message.content)
        text = ""
        async for chunk in await client.chat.completions.create(**ask(), stream=True):
            text += chunk.choices[0].delta.content or ""
        say("async streamed", text)
        many = [client.chat.completions.create(**ask(f"number {number}")) for number in range(4)]
        say("async together", [answer.choices[0].message.content for answer in await asyncio.gather(*many)])
        try:
            await client.chat.completions.create(**{**ask(), "model": "nothing"})
        except openai.NotFoundError as error:
            say("async error", error.code)


answers()
tools()
errors()
asyncio.run(asynchronous())
