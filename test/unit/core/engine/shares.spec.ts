import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

const KIB = 1024;
const OFF = { ratePerSecond: 1e9, burst: 1e9, userRatePerSecond: 0, bytesPerSecond: 1e12, maxChannels: 2 };
const open = { subscribe: 'public', publish: 'public', history: 'public', presence: 'public' } as const;
const rooms = channel('rooms.:room', {
  policy: { presence: {} },
  behaviour: {
    authorize: { ...open, signal: 'public', request: 'public' },
    requests: new Map([['ask', () => 'x'.repeat(64 * KIB)]]),
  },
});

/** The code of the answer to a command. */
async function ask(client: FakeConnection, command: Readonly<Record<string, unknown>>): Promise<string> {
  client.take();
  client.send({ id: 'q', payload: {}, ...command });
  await quiet();
  const answer = client.take().find(({ ref }) => ref === 'q');
  return answer?.type === 'error' ? (answer.payload as { code: string }).code : String(answer?.type);
}

const history = (name: string | number) => ({ type: 'history', channel: `rooms.${name}` });

describe('the names of channels that anonymous clients of one address use', () => {
  beforeEachStart({ ...OFF, maxDistinctChannels: 4, distinctChannelsWindowMs: 5_000 });

  it('leave each connection eight of its own, which may be used again, and no more', async () => {
    const stranger = await harness.greet();
    for (let name = 0; name < 12; name++) expect(await ask(stranger, history(`s${name}`))).toBe('reply');
    expect(await ask(stranger, history('s12'))).toBe('rate_limited');
    const client = await harness.greet();
    for (let time = 1; time <= 2; time++)
      for (let name = 0; name < 8; name++) expect(await ask(client, history(name))).toBe('reply');
    expect(await ask(client, history(8))).toBe('rate_limited');
    // What the others used first is known of the address.
    expect(await ask(client, history('s0'))).toBe('reply');
    harness.clock.advance(5_000);
    expect(await ask(client, history(8))).toBe('reply');
  });

  it('leave its own eight to a connection whatever the application refused it', async () => {
    await harness.stop();
    const authorize = {
      ...open,
      history: ({ channel: name }: { readonly channel: string }) => !name.endsWith('no'),
    };
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour: { authorize } })], {
      settings: { limits: { ...OFF, maxDistinctChannels: 4 } },
    });
    const stranger = await harness.greet();
    for (let name = 0; name < 4; name++) expect(await ask(stranger, history(`s${name}`))).toBe('reply');
    const client = await harness.greet();
    for (let name = 0; name < 20; name++) expect(await ask(client, history(`${name}no`))).toBe('forbidden');
    for (let name = 0; name < 8; name++) expect(await ask(client, history(name))).toBe('reply');
    expect(await ask(client, history(8))).toBe('rate_limited');
  });

  it('are exact for a user, whose connections know each other', async () => {
    const [one, two] = [await harness.greet('user:ada'), await harness.greet('user:ada')];
    for (let name = 0; name < 4; name++) expect(await ask(one, history(name))).toBe('reply');
    expect([await ask(one, history(4)), await ask(two, history(5))]).toEqual([
      'rate_limited',
      'rate_limited',
    ]);
  });
});

describe('a name of a channel that the application refuses', () => {
  it.each([
    ['at once', 'subscribe', {}],
    ['later', 'subscribe', {}],
    ['at once', 'publish', { event: 'said' }],
    ['later', 'publish', { event: 'said' }],
    ['at once', 'signal', { event: 'typing' }],
    ['later', 'history', {}],
    ['at once', 'presence', {}],
    ['later', 'request', { event: 'ask' }],
  ])('costs nothing (%s, %s)', async (form, type, fields) => {
    const decide = ({ channel: name }: { readonly channel: string }) => {
      const verdict = name.endsWith('yes');
      return form === 'later' ? Promise.resolve(verdict) : verdict;
    };
    const authorize = Object.fromEntries(
      ['subscribe', 'publish', 'signal', 'history', 'presence', 'request'].map((action) => [action, decide]),
    );
    harness = await EngineHarness.start(
      [channel('rooms.:room', { policy: { presence: {} }, behaviour: { ...rooms.behaviour, authorize } })],
      { settings: { limits: { ...OFF, maxDistinctChannels: 4 } } },
    );
    const client = await harness.greet('user:ada');
    const command = (name: string) => ({ type, channel: `rooms.${name}`, ...fields });
    for (let name = 0; name < 20; name++) expect(await ask(client, command(`${name}no`))).toBe('forbidden');
    for (let name = 0; name < 4; name++) {
      expect(await ask(client, command(`${name}yes`))).toBe('reply');
      if (type === 'subscribe') await ask(client, { type: 'unsubscribe', channel: `rooms.${name}yes` });
    }
    expect(await ask(client, command('4yes'))).toBe('rate_limited');
    expect(await ask(client, command('0yes'))).toBe('reply');
  });

  it('of several that are authorized at once, no more are granted than there is room for', async () => {
    const waiting: ((verdict: boolean) => void)[] = [];
    const authorize = { ...open, history: () => new Promise<boolean>((resolve) => waiting.push(resolve)) };
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour: { authorize } })], {
      settings: { limits: { ...OFF, maxDistinctChannels: 4 } },
    });
    const client = await harness.greet('user:ada');
    for (let name = 0; name < 6; name++) client.send({ ...history(name), id: `h${name}`, payload: {} });
    await quiet();
    expect(waiting).toHaveLength(6);
    for (const resolve of waiting) resolve(true);
    await quiet();
    expect([client.take('error').length]).toEqual([2]);
  });
});

describe('what is kept for anonymous clients of one address', () => {
  beforeEachStart({ ...OFF, maxChannels: 1_000, maxRetainedBytesPerUser: 4 * KIB });
  const subscribe = (name: number) => ({ type: 'subscribe', channel: `rooms.${name}` });

  it('leaves each connection 16 KiB of its own, again and again', async () => {
    for (let time = 1; time <= 3; time++) {
      const client = await harness.greet();
      let kept = 0;
      while ((await ask(client, subscribe(kept))) === 'reply') kept++;
      expect(kept).toBe(Math.floor((16 * KIB) / (512 + 'rooms.10'.length)));
      expect(await ask(client, { type: 'unsubscribe', channel: 'rooms.0' })).toBe('reply');
      expect(await ask(client, subscribe(0))).toBe('reply');
    }
  });
});

describe('the answers to anonymous clients of one address', () => {
  beforeEachStart({ ...OFF, answerBytesPerSecond: 1e9, userAnswerBytesPerSecond: 16 * KIB });
  const request = { type: 'request', channel: 'rooms.1', event: 'ask' };

  it('leave each connection a share, which comes back with time', async () => {
    const stranger = await harness.greet();
    // 128 KiB at once for the address.
    while ((await ask(stranger, request)) === 'reply');
    expect(await ask(stranger, request)).toBe('rate_limited');
    const client = await harness.greet();
    // One answer is a little more than 64 KiB.
    expect(await ask(client, request)).toBe('reply');
    expect(await ask(client, request)).toBe('rate_limited');
    // The address owes more than twenty times that; the connection has paid after a moment.
    harness.clock.advance(1_000);
    client.send({ type: 'pong' });
    expect(await ask(client, request)).toBe('reply');
    expect(await ask(client, request)).toBe('rate_limited');
  });

  it('are bounded for a user over all connections', async () => {
    const [one, two] = [await harness.greet('user:ada'), await harness.greet('user:ada')];
    while ((await ask(one, request)) === 'reply');
    expect(await ask(two, request)).toBe('rate_limited');
  });
});

function beforeEachStart(limits: object): void {
  beforeEach(async () => {
    harness = await EngineHarness.start([rooms], { settings: { limits } });
  });
}
