"""Reads requests to Gemini, one a line, into the types of Google's SDK. Prints a line for each that they do not know."""

import json
import sys

import pydantic
from google.genai import types

INSIDE = {
    "systemInstruction": types.Content,
    "generationConfig": types.GenerationConfig,
    "toolConfig": types.ToolConfig,
}
LISTS = {"contents": types.Content, "tools": types.Tool}

for line in sys.stdin:
    request = json.loads(line)
    try:
        for name, value in request["body"].items():
            if name in LISTS:
                for one in value:
                    LISTS[name].model_validate(one)
            else:
                INSIDE[name].model_validate(value)
    except (KeyError, pydantic.ValidationError) as error:
        print(f"{request['case']}: {error!r} in {json.dumps(request['body'])}")
