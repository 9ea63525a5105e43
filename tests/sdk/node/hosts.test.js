// The simulator in the dialect of each host, as the official TypeScript classes see it.
// What they sign is verified on the way (tests/hosts/verifier.py).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import readline from 'node:readline';
import { after, before, describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import AnthropicAws from '@anthropic-ai/aws-sdk';
import AnthropicBedrock, { AnthropicBedrockMantle } from '@anthropic-ai/bedrock-sdk';
import AnthropicFoundry from '@anthropic-ai/foundry-sdk';
import AnthropicGoogleCloud from '@anthropic-ai/google-cloud-sdk';
import AnthropicVertex from '@anthropic-ai/vertex-sdk';
import { OAuth2Client } from 'google-auth-library';

const { PYTHON, SERVICE_BINARY, VERIFIER } = process.env;
const messages = [{ role: 'user', content: 'Is it raining in Oldport?' }];

const authClient = new OAuth2Client();
authClient.setCredentials({ access_token: 'token' });

const hosts = [
  {
    name: 'claude_platform_aws',
    model: 'claude-haiku-5-5',
    signs: true,
    client: (address, options) =>
      new AnthropicAws({
        baseURL: address,
        awsRegion: 'eu-west-1',
        awsAccessKey: 'AKIDEXAMPLE',
        awsSecretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
        workspaceId: 'wrkspc_1',
        ...options,
      }),
  },
  {
    name: 'bedrock_mantle',
    model: 'anthropic.claude-haiku-5-5',
    signs: true,
    client: (address, options) =>
      new AnthropicBedrockMantle({
        baseURL: `${address}/anthropic`,
        awsRegion: 'eu-west-1',
        awsAccessKey: 'AKIDEXAMPLE',
        awsSecretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
        ...options,
      }),
  },
  {
    name: 'bedrock_runtime',
    model: 'eu.anthropic.claude-haiku-4-5-20251001-v1:0',
    signs: true,
    unknownModel: 400,
    countsTokens: false,
    client: (address, options) =>
      new AnthropicBedrock({
        baseURL: address,
        awsRegion: 'eu-west-1',
        awsAccessKey: 'AKIDEXAMPLE',
        awsSecretKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
        ...options,
      }),
  },
  {
    name: 'vertex',
    model: 'claude-haiku-4-5@20251001',
    client: (address, options) =>
      new AnthropicVertex({
        baseURL: `${address}/v1`,
        region: 'global',
        projectId: 'project',
        authClient,
        ...options,
      }),
  },
  {
    name: 'google_cloud',
    model: 'claude-haiku-5-5',
    client: (address, options) =>
      new AnthropicGoogleCloud({
        baseURL: `${address}/v1/projects/project/locations/global/workspaces/wrkspc_1/invoke`,
        bearerTokenProvider: async () => 'token',
        ...options,
      }),
  },
  {
    name: 'foundry',
    model: 'claude-haiku-5-5',
    client: (address, options) =>
      new AnthropicFoundry({ baseURL: `${address}/anthropic/`, apiKey: 'key', ...options }),
  },
];

/** A process, and the address that its first line ends with. */
async function listening(command, ...flags) {
  const child = spawn(command, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(readline.createInterface(child.stdout), 'line');
  return { child, address: line.split(' ').at(-1) };
}

for (const { name, model, signs, unknownModel = 404, countsTokens = true, client } of hosts) {
  describe(name, () => {
    const running = [];
    let address;
    before(async () => {
      const flags = ['simulate', '--listen', '127.0.0.1:0', '--host', name];
      running.push(await listening(SERVICE_BINARY, ...flags));
      ({ address } = running.at(-1));
      if (signs) {
        running.push(await listening(PYTHON, VERIFIER, '--host', name, '--upstream', address));
        ({ address } = running.at(-1));
      }
    });
    after(async () => {
      for (const { child } of running) {
        child.kill();
        await once(child, 'exit');
      }
    });

    const made = (options) => client(address, { maxRetries: 0, ...options });
    const asked = { model, max_tokens: 300, messages };
    const meets = (behaviour) => ({ headers: { 'x-simulator': behaviour } });

    test('a stream has the message', async () => {
      const whole = await made().messages.create(asked);
      assert.match(whole.content[0].text, /^\[simulated\] /);
      let streamed = '';
      let last;
      for await (const event of await made().messages.create({ ...asked, stream: true })) {
        streamed += event.delta?.text ?? '';
        last = event.type;
      }
      assert.equal(streamed, whole.content[0].text);
      assert.equal(last, 'message_stop');
    });

    test('tokens are counted', { skip: !countsTokens }, async () => {
      const count = await made().messages.countTokens({ model, messages });
      assert.ok(count.input_tokens > 0);
    });

    test('an error in the middle of a stream', async () => {
      const stream = await made().messages.create(
        { ...asked, stream: true },
        meets('stream_error=5,429'),
      );
      await assert.rejects(async () => {
        for await (const _ of stream);
      });
    });

    test('a rate limit', async () => {
      const call = made().messages.create(asked, meets('rate_limited=2s'));
      await assert.rejects(call, Anthropic.RateLimitError);
      assert.ok(await made({ maxRetries: 1 }).messages.create(asked, meets('429;times=1')));
    });

    test('an unknown model', async () => {
      const call = made().messages.create({ ...asked, model: 'claude-unknown' });
      await assert.rejects(call, { status: unknownModel });
    });

    test('a wrong secret', { skip: !signs }, async () => {
      const wrong = { awsSecretKey: 'other', awsSecretAccessKey: 'other' };
      await assert.rejects(made(wrong).messages.create(asked), { status: 403 });
    });
  });
}
