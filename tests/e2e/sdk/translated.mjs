// Asks with OpenAI's SDK, the same of each provider. Prints one line for each check: a list of its name and what it saw.
// Called with the gateway's URL, the folder in which the SDK is installed, and the provider's dialect.
import { createRequire } from "node:module";
import { join } from "node:path";

const [baseURL, folder, dialect] = process.argv.slice(2);
const OpenAI = createRequire(join(folder, "package.json"))("openai");

const client = new OpenAI({ baseURL, apiKey: "sk-tg-team-a", maxRetries: 0, timeout: 20_000 });
const say = (...seen) => console.log(JSON.stringify(seen));
const figures = (usage) => [usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens, usage.total_tokens];
const calls = (response) =>
  response.output.filter((item) => item.type === "function_call").map((item) => [item.name, JSON.parse(item.arguments)]);

const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const tool = { name: "weather", parameters: city };
const tools = [{ type: "function", ...tool, strict: true }];

async function fails(name, call) {
  try {
    await call();
    say(name, "no error");
  } catch (error) {
    say(name, error.constructor.name, error.status ?? null, error.code ?? null);
  }
}

const answer = await client.responses.create({ model: dialect, input: "hi there" });
say("plain", answer.output_text, answer.status, figures(answer.usage));
let text = "";
for await (const event of await client.responses.create({ model: dialect, input: "hi there", stream: true })) {
  if (event.type === "response.output_text.delta") text += event.delta;
}
say("streamed", text);
const helper = client.responses.stream({ model: dialect, input: "parallel in Rome", tools });
say("tools streamed", calls(await helper.finalResponse()));
const messages = [{ role: "user", content: "parallel in Rome" }];
const chat = client.chat.completions.stream({ model: dialect, messages, tools: [{ type: "function", function: tool }] });
const called = (await chat.finalChatCompletion()).choices[0];
say("chat tools streamed", called.finish_reason, called.message.tool_calls.map((call) => JSON.parse(call.function.arguments)));

await fails("limited", () => client.responses.create({ model: `${dialect}-limited`, input: "hi" }));
await fails("provider down", () => client.responses.create({ model: `${dialect}-down`, input: "hi" }));
// An answer that failed is an event of this dialect, not an exception.
let last;
for await (const event of await client.responses.create({ model: `${dialect}-ends`, input: "hi", stream: true })) last = event;
say("stream ends", last.type, last.response.status, last.response.error.code);
