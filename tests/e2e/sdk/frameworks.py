"""Asks through LangChain, over each of the dialects it speaks, the same of each provider. Prints one line for each check."""

import json
import sys

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

base_url, dialect = sys.argv[1:]
good = {"api_key": "sk-tg-team-a", "max_retries": 0, "timeout": 20}


def models(name):
    chat = {"model": name, "base_url": f"{base_url}/v1", **good}
    yield "chat", ChatOpenAI(**chat, stream_usage=True)
    yield "responses", ChatOpenAI(**chat, use_responses_api=True)
    yield "messages", ChatAnthropic(model=name, base_url=base_url, max_tokens=200, **good)


@tool
def weather(city: str) -> str:
    """Tells the weather in a city."""
    return "sunny"


def say(*seen):
    print(json.dumps(seen), flush=True)


def figures(message):
    usage = message.usage_metadata
    return [usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]]


def calls(message):
    return [[call["name"], call["args"]] for call in message.tool_calls]


def together(chunks):
    whole = None
    for chunk in chunks:
        whole = chunk if whole is None else whole + chunk
    return whole


for name, model in models(dialect):
    say(name, "plain", (answer := model.invoke("hi there")).text, figures(answer))
    turns = [SystemMessage("Be brief"), HumanMessage("hi"), answer, HumanMessage("hi there")]
    say(name, "turns", model.invoke(turns).text)
    say(name, "streamed", (answer := together(model.stream("hi there"))).text, figures(answer))
    bound = model.bind_tools([weather])
    for way, ask in [("tools", bound.invoke), ("tools streamed", lambda asked: together(bound.stream(asked)))]:
        called = ask("parallel in Rome")
        say(name, way, calls(called))
        results = [ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]) for call in called.tool_calls]
        say(name, way, "result", ask([HumanMessage("parallel in Rome"), called, *results]).text)
    say(name, "tool by name", calls(model.bind_tools([weather], tool_choice="weather").invoke("in Rome")))
for name, model in models(f"{dialect}-limited"):
    for way, ask in [("limited", model.invoke), ("limited streamed", lambda asked: together(model.stream(asked)))]:
        try:
            say(name, way, ask("hi there").text)
        except (openai.RateLimitError, anthropic.RateLimitError) as error:
            say(name, way, type(error).__name__, error.status_code)
