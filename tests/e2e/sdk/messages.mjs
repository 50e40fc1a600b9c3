// Asks with Anthropic's SDK, the same of each provider. Prints one line for each check: a list of its name and what it saw.
// Called with the gateway's URL, the folder in which the SDK is installed, and the provider's dialect.
import { createRequire } from "node:module";
import { join } from "node:path";

const [baseURL, folder, dialect] = process.argv.slice(2);
const Anthropic = createRequire(join(folder, "package.json"))("@anthropic-ai/sdk");

const connect = (key) => new Anthropic({ baseURL, apiKey: key, maxRetries: 0, timeout: 20_000 });
const client = connect("sk-tg-team-a");
const say = (...seen) => console.log(JSON.stringify(seen));
const ask = (content, more) => ({ model: dialect, max_tokens: 200, messages: [{ role: "user", content }], ...more });
const broken = (way) => ask("hi", { model: `${dialect}-${way}` });
const figures = (usage) => [usage.input_tokens, usage.cache_read_input_tokens ?? 0, usage.output_tokens];
const calls = (message) => message.content.filter((block) => block.type === "tool_use").map((block) => [block.name, block.input]);

const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ name: "weather", input_schema: city }];

async function fails(name, call) {
  try {
    await call();
    say(name, "no error");
  } catch (error) {
    const detail = error.error?.error;
    say(name, error.constructor.name, error.status ?? null, detail?.type ?? null, detail?.code ?? null);
  }
}

const answer = await client.messages.create(ask("hi there"));
say("plain", answer.role, answer.model, answer.content[0].text, answer.stop_reason, figures(answer.usage));
const instructed = await client.messages.create(ask("hi there", { system: [{ type: "text", text: "Be brief, please" }] }));
say("system", instructed.content[0].text, figures(instructed.usage));
say("cached", figures((await client.messages.create(ask("one two three four", { model: `${dialect}-cached` }))).usage));
const { input_tokens } = await client.messages.countTokens({ model: dialect, messages: ask("hi there").messages });
say("count", input_tokens > 1);

let text = "";
for await (const event of await client.messages.create(ask("hi there", { stream: true }))) {
  if (event.type === "content_block_delta") text += event.delta.text;
}
say("streamed", text);
text = "";
const final = await client.messages.stream(ask("hi there")).on("text", (piece) => (text += piece)).finalMessage();
say("stream helper", text, final.content[0].text, final.stop_reason, figures(final.usage));

const called = await client.messages.create(ask("parallel in Rome", { tools }));
say("tools", called.stop_reason, calls(called));
let pieces = "";
const parallel = client.messages.stream(ask("parallel in Rome", { tools })).on("inputJson", (piece) => (pieces += piece));
const streamed = await parallel.finalMessage();
say("tools streamed", streamed.stop_reason, calls(streamed), pieces);
// A plan may stand before the calls, and goes back with them.
const asked = called.content.filter((block) => block.type === "tool_use");
const results = asked.map((block) => ({ type: "tool_result", tool_use_id: block.id, content: "sunny" }));
const turns = [{ role: "user", content: "in Rome" }, { role: "assistant", content: called.content }, { role: "user", content: results }];
say("tool results", (await client.messages.create(ask("", { messages: turns, tools }))).content[0].text);

await fails("unknown key", () => connect("sk-tg-nobody").messages.create(ask("hi")));
await fails("unknown model", () => client.messages.create(ask("hi", { model: "nothing" })));
await fails("model of others", () => connect("sk-tg-stranger").messages.create(ask("hi")));
await fails("bad request", () => client.messages.create(ask("hi", { stream: "yes" })));
await fails("refused by the provider", () => client.messages.create(broken("refused")));
await fails("limited", () => client.messages.create(broken("limited")));
await fails("provider down", () => client.messages.create(broken("down")));
await fails("stream ends", () => client.messages.stream(broken("ends")).finalMessage());
await fails("stream errs", () => client.messages.stream(broken("errs")).finalMessage());
