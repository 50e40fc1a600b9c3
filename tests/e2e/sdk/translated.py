"""Asks with OpenAI's SDK, the same of each provider. Prints one line for each check: a list of its name and what it saw."""

import asyncio
import json
import sys

import openai
from openai import AsyncOpenAI, OpenAI

base_url, dialect = sys.argv[1:]
good = {"base_url": base_url, "api_key": "sk-tg-team-a", "max_retries": 0, "timeout": 20}
client = OpenAI(**good)

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
FUNCTION = {"name": "weather", "parameters": CITY}
CHAT_TOOLS = [{"type": "function", "function": FUNCTION}]
TOOLS = [{"type": "function", **FUNCTION}]


def say(name, *seen):
    print(json.dumps([name, *seen]), flush=True)


def chat(text, model=dialect, **more):
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def chat_figures(usage):
    """The prompt with what the cache gave, that alone, what was said."""
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
    return [usage.prompt_tokens, cached or 0, usage.completion_tokens, usage.total_tokens]


def figures(usage):
    return [usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens, usage.total_tokens]


def calls(response):
    return [[item.name, json.loads(item.arguments)] for item in response.output if item.type == "function_call"]


def fails(name, call):
    try:
        call()
        say(name, "no error")
    except openai.APIStatusError as error:
        say(name, type(error).__name__, error.status_code, error.code)
    except openai.APIError as error:
        say(name, type(error).__name__, error.code)
    except RuntimeError as error:
        say(name, str(error))


def chats():
    answer = client.chat.completions.create(**chat("one two three four", model=f"{dialect}-cached"))
    say("chat", answer.choices[0].message.content, answer.choices[0].finish_reason, chat_figures(answer.usage))
    for name, text in [("chat tool", "in Rome"), ("chat parallel tools", "parallel in Rome")]:
        request = chat(text, tools=CHAT_TOOLS)
        choice = client.chat.completions.create(**request).choices[0]
        say(name, choice.finish_reason, [[call.function.name, json.loads(call.function.arguments)] for call in choice.message.tool_calls])
        seen, reasons = {}, []
        for chunk in client.chat.completions.create(**request, stream=True):
            for part in chunk.choices[0].delta.tool_calls or []:
                call = seen.setdefault(part.index, ["", ""])
                call[0] += part.function.name or ""
                call[1] += part.function.arguments or ""
            reasons += [chunk.choices[0].finish_reason] if chunk.choices[0].finish_reason else []
        say(f"{name} streamed", reasons, [[name, json.loads(arguments)] for name, arguments in seen.values()])
        with client.chat.completions.stream(**request, stream_options={"include_usage": True}) as stream:
            final = stream.get_final_completion()
        say(f"{name} helper", [call.function.name for call in final.choices[0].message.tool_calls], final.usage.prompt_tokens)
    first = client.chat.completions.create(**chat("in Rome", tools=CHAT_TOOLS)).choices[0].message
    result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "sunny"}
    messages = [{"role": "user", "content": "in Rome"}, first, result]
    say("chat tool result", client.chat.completions.create(model=dialect, messages=messages, tools=CHAT_TOOLS).choices[0].message.content)
    schema = {"name": "answer", "strict": True, "schema": CITY}
    answer = client.chat.completions.create(**chat("in Rome"), response_format={"type": "json_schema", "json_schema": schema})
    say("chat schema", json.loads(answer.choices[0].message.content)["days"])


def responses():
    response = client.responses.create(model=dialect, input="hi there")
    say("plain", response.output_text, response.status, response.model, figures(response.usage))
    response = client.responses.create(model=dialect, instructions="Be brief, please", input=[{"role": "user", "content": "hi there"}])
    say("instructions", response.output_text, figures(response.usage))
    say("cached", figures(client.responses.create(model=f"{dialect}-cached", input="one two three four").usage))
    text, kinds, final = "", [], None
    for event in client.responses.create(model=dialect, input="hi there", stream=True):
        if not kinds or kinds[-1] != event.type:
            kinds.append(event.type)
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            final = event.response
    say("streamed", text, kinds)
    say("streamed response", final.output_text, final.status, figures(final.usage))
    with client.responses.stream(model=dialect, input="hi there") as stream:
        say("stream helper", stream.get_final_response().output_text)
    for name, text in [("tool", "in Rome"), ("parallel tools", "parallel in Rome")]:
        request = {"model": dialect, "input": text, "tools": TOOLS}
        say(name, calls(client.responses.create(**request)))
        with client.responses.stream(**request) as stream:
            pieces = "".join(event.delta for event in stream if event.type == "response.function_call_arguments.delta")
            final = stream.get_final_response()
        whole = "".join(item.arguments for item in final.output if item.type == "function_call")
        say(f"{name} streamed", calls(final), pieces == whole)
    first = client.responses.create(model=dialect, input="in Rome", tools=TOOLS)
    call = next(item for item in first.output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    turns = [{"role": "user", "content": "in Rome"}, *first.output, result]
    say("tool result", client.responses.create(model=dialect, input=turns, tools=TOOLS).output_text)
    response = client.responses.create(model=dialect, input="hi there", max_output_tokens=2)
    say("too long", response.output_text, response.status, response.incomplete_details and response.incomplete_details.reason)


def errors():
    def create(model, **more):
        return lambda: client.responses.create(model=model, input="hi there", **more)

    fails("unknown model", create("nothing"))
    fails("limited", create(f"{dialect}-limited"))
    fails("provider down", create(f"{dialect}-down"))
    fails("stream refused", create(f"{dialect}-limited", stream=True))

    def helped(model):
        with client.responses.stream(model=model, input="hi there") as stream:
            stream.get_final_response()

    # An answer that failed is an event of this dialect, not an exception; only the helper has none to give.
    for way in ["ends", "errs"]:
        last = None

        def read():
            nonlocal last
            for event in create(f"{dialect}-{way}", stream=True)():
                last = event

        fails(f"stream {way}", read)
        say(f"stream {way} after", last.type, last.response.error.code)
        fails(f"stream {way} helper", lambda: helped(f"{dialect}-{way}"))
        fails(f"chat stream {way}", lambda: list(client.chat.completions.create(**chat("hi", model=f"{dialect}-{way}"), stream=True)))


async def asynchronous():
    async with AsyncOpenAI(**good) as client:
        say("async", (await client.responses.create(model=dialect, input="hi there")).output_text)
        stream = await client.responses.create(model=dialect, input="hi there", stream=True)
        say("async streamed", "".join([event.delta async for event in stream if event.type == "response.output_text.delta"]))


chats()
responses()
errors()
asyncio.run(asynchronous())
