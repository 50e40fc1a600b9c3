// Asks through the Vercel AI SDK, over each of the dialects it speaks, the same of each provider. Prints one line for each
// check. Called with the gateway's URL, the folder in which the SDK is installed, and the provider's dialect.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [url, folder, dialect] = process.argv.slice(2);
const { resolve } = createRequire(join(folder, "package.json"));
const load = (name) => import(pathToFileURL(resolve(name)));
const { generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } = await load("ai");
const { createOpenAI } = await load("@ai-sdk/openai");
const { createAnthropic } = await load("@ai-sdk/anthropic");

globalThis.AI_SDK_LOG_WARNINGS = false;
const key = { baseURL: `${url}/v1`, apiKey: "sk-tg-team-a" };
const [openai, anthropic] = [createOpenAI(key), createAnthropic(key)];
const models = (name) => [
  ["chat", openai.chat(name)],
  ["responses", openai.responses(name)],
  ["messages", anthropic(name)],
];
const say = (...seen) => console.log(JSON.stringify(seen));
const figures = (usage) => [usage.inputTokens, usage.outputTokens, usage.totalTokens];
const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const weather = tool({ description: "Tells the weather in a city.", inputSchema: jsonSchema(city), execute: async () => "sunny" });
const calls = (steps) => steps.flatMap((step) => step.toolCalls).map((call) => [call.toolName, call.input]);

for (const [name, model] of models(dialect)) {
  const ask = { model, maxRetries: 0, maxOutputTokens: 200 };
  const plain = await generateText({ ...ask, system: "Be brief", prompt: "hi there" });
  say(name, "plain", plain.text, plain.finishReason, figures(plain.usage));
  const streamed = streamText({ ...ask, prompt: "hi there" });
  let text = "";
  for await (const piece of streamed.textStream) text += piece;
  say(name, "streamed", text, await streamed.finishReason, figures(await streamed.usage));
  // The SDK calls the tools itself and goes on until there is an answer.
  const loop = { ...ask, prompt: "parallel in Rome", tools: { weather }, stopWhen: stepCountIs(3) };
  const whole = await generateText(loop);
  say(name, "tools", calls(whole.steps), whole.text, whole.steps.length);
  const stream = streamText(loop);
  const kinds = new Set();
  for await (const part of stream.fullStream) kinds.add(part.type);
  const steps = await stream.steps;
  say(name, "tools streamed", calls(steps), await stream.text, steps.length, kinds.has("tool-input-delta"), kinds.has("error"));
  const { object } = await generateObject({ ...ask, prompt: "in Rome", schema: jsonSchema(city) });
  say(name, "object", Object.keys(object));
}
for (const [name, model] of models(`${dialect}-limited`)) {
  try {
    await generateText({ model, maxRetries: 0, prompt: "hi there" });
    say(name, "limited", "no error");
  } catch (error) {
    say(name, "limited", error.name, error.statusCode);
  }
}
for (const [name, model] of models(`${dialect}-ends`)) {
  const errors = [];
  const stream = streamText({ model, maxRetries: 0, prompt: "hi there", onError: ({ error }) => errors.push(error) });
  let text = "";
  for await (const part of stream.fullStream) text += part.type === "text-delta" ? part.text : "";
  say(name, "ends", text, errors.length > 0);
}
