// The simulator as the official TypeScript SDK sees it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import * as z from 'zod/v4';

const model = 'claude-haiku-5-5';
const question = { role: 'user', content: 'What is the weather in Oldport?' };
const complaint = { role: 'user', content: 'Urgent: please refund 42 euros.' };
const weather = {
  name: 'get_weather',
  description: 'The weather at a place',
  input_schema: {
    type: 'object',
    properties: { location: { type: 'string' } },
    required: ['location'],
  },
};

const client = new Anthropic({
  baseURL: process.env.SIMULATOR_URL,
  apiKey: 'test',
  maxRetries: 0,
});

const asked = (more) => ({ model, max_tokens: 500, messages: [question], ...more });
const meets = (behaviour, options) =>
  behaviour ? { headers: { 'x-simulator': behaviour }, ...options } : options;
const create = (more, behaviour, options) =>
  client.messages.create(asked(more), meets(behaviour, options));
const stream = (more, behaviour) => client.messages.stream(asked(more), meets(behaviour));

test('create', async () => {
  const message = await create();
  assert.equal(message.type, 'message');
  assert.equal(message.stop_reason, 'end_turn');
  assert.match(message.content[0].text, /^\[simulated\] /);
  assert.ok(message.usage.input_tokens > 0 && message.usage.output_tokens > 0);
  assert.match(message._request_id, /^req_sim_/);
});

test('a stream gives what create gives', async () => {
  const whole = await create();
  const kinds = [];
  const events = stream().on('streamEvent', (event) => kinds.push(event.type));
  const final = await events.finalMessage();
  assert.equal(kinds[0], 'message_start');
  assert.equal(kinds.at(-1), 'message_stop');
  assert.deepEqual(final.content[0].text, whole.content[0].text);
  assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
});

test('tools, there and back', async () => {
  const use = await create({ tools: [weather] });
  assert.equal(use.stop_reason, 'tool_use');
  assert.deepEqual(use.content[0].input, { location: 'Oldport' });
  const streamed = await stream({ tools: [weather] }).finalMessage();
  assert.deepEqual(streamed.content[0].input, { location: 'Oldport' });
  const result = { type: 'tool_result', tool_use_id: use.content[0].id, content: 'Rain' };
  const told = await create({
    tools: [weather],
    messages: [
      question,
      { role: 'assistant', content: use.content },
      { role: 'user', content: [result] },
    ],
  });
  assert.match(told.content[0].text, /Rain/);
});

test('structured output parses', async () => {
  const ticket = z.object({ subject: z.string(), urgent: z.boolean(), amount: z.number() });
  const output_config = { format: zodOutputFormat(ticket) };
  const message = await client.messages.parse(asked({ messages: [complaint], output_config }));
  assert.equal(message.parsed_output.amount, 42);
  assert.equal(message.parsed_output.urgent, true);
});

test('thinking', async () => {
  const message = await create({ thinking: { type: 'adaptive' } });
  assert.deepEqual(message.content.map((block) => block.type), ['thinking', 'text']);
  const streamed = await stream({ thinking: { type: 'adaptive' } }).finalMessage();
  assert.equal(streamed.content[0].thinking, message.content[0].thinking);
  assert.equal(streamed.content[0].signature, message.content[0].signature);
});

test('tokens are counted as they are used', async () => {
  const count = await client.messages.countTokens({ model, messages: [question] });
  assert.equal(count.input_tokens, (await create()).usage.input_tokens);
});

test('models and their pages', async () => {
  const ids = [];
  for await (const info of client.models.list({ limit: 2 })) ids.push(info.id);
  assert.ok(ids.length > 2);
  assert.equal(new Set(ids).size, ids.length);
  const found = await client.models.retrieve(model);
  assert.equal(found.capabilities.structured_outputs.supported, true);
});

for (const [status, error, type] of [
  [400, Anthropic.BadRequestError, 'invalid_request_error'],
  [401, Anthropic.AuthenticationError, 'authentication_error'],
  [402, Anthropic.APIError, 'billing_error'],
  [403, Anthropic.PermissionDeniedError, 'permission_error'],
  [404, Anthropic.NotFoundError, 'not_found_error'],
  [408, Anthropic.APIError, 'timeout_error'],
  [409, Anthropic.ConflictError, 'conflict_error'],
  [413, Anthropic.APIError, 'request_too_large'],
  [422, Anthropic.UnprocessableEntityError, 'invalid_request_error'],
  [429, Anthropic.RateLimitError, 'rate_limit_error'],
  [500, Anthropic.InternalServerError, 'api_error'],
  [504, Anthropic.APIError, 'timeout_error'],
  [529, Anthropic.APIError, 'overloaded_error'],
]) {
  test(`status ${status} is its class`, async () => {
    await assert.rejects(create({}, `${status}`), (raised) => {
      assert.ok(raised instanceof error);
      assert.equal(raised.status, status);
      assert.equal(raised.type, type);
      assert.match(raised.requestID, /^req_sim_/);
      return true;
    });
  });
}

test('retries', async () => {
  const patient = { maxRetries: 2 };
  assert.ok((await create({}, '529;times=2', patient)).content);
  assert.ok((await create({}, 'drop;times=1', patient)).content);
  assert.ok((await create({}, 'rate_limited=1ms;times=1', patient)).content);
  await assert.rejects(create({}, '529;times=2', { maxRetries: 1 }), { status: 529 });
  await assert.rejects(create({}, 'should_retry=false,529;times=1', patient), { status: 529 });
});

test('connections that fail', async () => {
  await assert.rejects(create({}, 'drop'), Anthropic.APIConnectionError);
  await assert.rejects(create({}, 'hang', { timeout: 200 }), Anthropic.APIConnectionTimeoutError);
});

test('streams that fail', async () => {
  await assert.rejects(stream({}, 'cut=5').finalMessage());
  await assert.rejects(stream({}, 'garbage').finalMessage());
  await assert.rejects(stream({}, 'error_event=5').finalMessage(), (raised) => {
    assert.equal(raised.type, 'overloaded_error');
    return true;
  });
});

test('what nobody knows does no harm', async () => {
  assert.equal((await create({}, 'unknown_stop_reason')).stop_reason, 'simulated_unknown');
  assert.equal((await create({}, 'unknown_block')).content[0].type, 'simulated_unknown');
  const streamed = await stream({}, 'unknown_block').finalMessage();
  assert.match(streamed.content[1].text, /^\[simulated\] /);
  assert.equal((await create({}, 'refusal')).stop_details.type, 'refusal');
});

test('unknown fields are refused', async () => {
  await assert.rejects(create({ temperature: 1 }), /Extra inputs are not permitted/);
});

test('the tool runner runs the tool and uses its result', async () => {
  const places = [];
  const tool = betaZodTool({
    name: weather.name,
    description: weather.description,
    inputSchema: z.object({ location: z.string() }),
    run: ({ location }) => {
      places.push(location);
      return `Rain in ${location}`;
    },
  });
  const reasons = [];
  const runner = client.beta.messages.toolRunner(asked({ tools: [tool] }));
  for await (const message of runner) reasons.push(message.stop_reason);
  assert.deepEqual(reasons, ['tool_use', 'end_turn']);
  assert.deepEqual(places, ['Oldport']);
  const final = await runner.done();
  assert.equal(final.content[0].text, '[simulated] The tool answered: Rain in Oldport');
});
