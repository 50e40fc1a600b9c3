// Asks as an application does, with the official SDK. Prints one line for each check: a list of its name and what it saw.
// Called with the gateway's URL and the folder in which the SDK is installed.
import { createRequire } from "node:module";
import { join } from "node:path";

const [baseURL, folder] = process.argv.slice(2);
const OpenAI = createRequire(join(folder, "package.json"))("openai");

const connect = (key) => new OpenAI({ baseURL, apiKey: key, maxRetries: 0, timeout: 20_000 });
const client = connect("sk-tg-team-a");
const say = (...seen) => console.log(JSON.stringify(seen));
const ask = (content, more) => ({ model: "small", messages: [{ role: "user", content }], ...more });

const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "weather", parameters: city } }];

async function text(stream) {
  let text = "";
  for await (const chunk of await stream) text += chunk.choices[0].delta.content ?? "";
  return text;
}

async function fails(name, call) {
  try {
    await call();
    say(name, "no error");
  } catch (error) {
    say(name, error.constructor.name, error.status ?? null, error.code ?? null);
  }
}

const answer = await client.chat.completions.create(ask("hi there"));
say("plain", answer.choices[0].message.content, answer.usage.total_tokens);
say("streamed", await text(client.chat.completions.create(ask("hi there", { stream: true }))));
const { response } = await client.chat.completions.create(ask("hi there")).withResponse();
say("raw response", response.headers.get("x-tollgate-provider"));
const models = [];
for await (const model of client.models.list()) models.push(model.id);
say("models", models);
const vectors = await client.embeddings.create({ model: "small", input: "one two", dimensions: 4 });
say("embeddings", vectors.data[0].embedding.length, vectors.usage.total_tokens);

const called = await client.chat.completions.create(ask("parallel in Rome", { tools }));
say("tools", called.choices[0].message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]));
const calls = [];
for await (const chunk of await client.chat.completions.create(ask("parallel in Rome", { tools, stream: true }))) {
  for (const part of chunk.choices[0].delta.tool_calls ?? []) {
    calls[part.index] = (calls[part.index] ?? "") + part.function.arguments;
  }
}
say("tools streamed", calls.map((call) => JSON.parse(call)));

await fails("unknown key", () => connect("sk-tg-nobody").chat.completions.create(ask("hi")));
await fails("unknown model", () => client.chat.completions.create(ask("hi", { model: "nothing" })));
await fails("model of others", () => connect("sk-tg-beta-only").chat.completions.create(ask("hi")));
await fails("bad request", () => client.chat.completions.create(ask("hi", { stream: "yes" })));
await fails("all limited", () => client.chat.completions.create(ask("hi", { model: "limited" })));
await fails("provider down", () => client.chat.completions.create(ask("hi", { model: "down" })));
await fails("stream ends", () => text(client.chat.completions.create(ask("hi", { model: "ends", stream: true }))));
