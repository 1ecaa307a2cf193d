import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { encode } from '@msgpack/msgpack';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { TurnCounter } from '../../support/turn-counter.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { StreamSession } from '../http-session/raw.js';
import { startWireServer, type WireServer, type WireSettings } from '../../support/wire/server.js';

const MSGPACK = { protocols: ['realtime.v1.msgpack'] };
const WIDE = { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 1e6, bytesPerSecond: 1e9 };
const WAIT_MS = 10_000;

let server: WireServer;
let clock: ManualClock;
/** Ids of the commands that ran, in their order. */
let ran: string[];
/** What was parsed, and in which turn of the event loop. */
let parsed: { readonly id: string; readonly turn: number }[];
let counter: TurnCounter;

beforeEach(() => {
  ran = [];
  parsed = [];
  counter = new TurnCounter();
  const { parse } = JSON;
  jest.spyOn(JSON, 'parse').mockImplementation((text, ...rest) => {
    // A command may say how long it takes to parse it.
    const ms = /"takes":(\d+)/.exec(text)?.[1];
    if (ms !== undefined) {
      clock.advance(Number(ms));
      parsed.push({ id: /"id":"([^"]+)"/.exec(text)?.[1] ?? '', turn: counter.turn });
    }
    return parse(text, ...rest) as unknown;
  });
});
afterEach(async () => {
  counter.stop();
  jest.restoreAllMocks();
  await server.close();
});

async function start(settings: WireSettings = {}): Promise<void> {
  clock = new ManualClock();
  const heartbeat = { intervalMs: 3_600_000, timeoutMs: 3_600_000 };
  server = await startWireServer({
    clock,
    settings: {
      anonymous: true,
      handlerTimeoutMs: WAIT_MS,
      heartbeat,
      ...settings,
      limits: { ...WIDE, ...settings.limits },
    },
    requests: new Map([['run', { authorize: 'public', handle: ({ id }) => void ran.push(id) }]]),
    channels: [wireChannel('rooms.:room')],
  });
}

/** A command of so many bytes that takes so long to parse. */
function command(id: string, bytes: number, takes = 0): Readonly<Record<string, unknown>> {
  return { takes, id, type: 'request', event: 'run', payload: 'x'.repeat(bytes) };
}

const binary = (...envelopes: readonly unknown[]): Uint8Array =>
  Buffer.concat(envelopes.map((envelope) => encode(envelope)));

const expectNothing = async (client: WireClient): Promise<void> => {
  await server.rest(await server.connect('witness'));
  expect(client.pending).toEqual([]);
};

describe('a frame of several large commands (P4, G16)', () => {
  it('is parsed in pieces, each in a turn of its own where they take long, and runs when all of it is parsed', async () => {
    await start();
    const client = await server.connect('ada');
    for (const round of ['a', 'b']) {
      const ids = [1, 2, 3, 4].map((n) => `${round}${n}`);
      client.sendAll(ids.map((id) => command(id, 20_000, 10)));
      const replies = await client.nextAll(4, 'reply');
      expect(replies.map(({ ref }) => ref)).toEqual(ids);
      expect(parsed.map(({ id }) => id)).toEqual(ids);
      expect(new Set(parsed.map(({ turn: at }) => at)).size).toBe(4);
      parsed = [];
    }
  });

  it('so is the body of a POST, however many envelopes are in it, and others are served in between (P21b)', async () => {
    await start();
    const session = await StreamSession.open(server.httpUrl);
    const witness = await server.connect('eve');
    const ids = Array.from({ length: 100 }, (_, n) => `b${n}`);
    const sent = session.send(
      1,
      ids.map((id) => command(id, 800, 1)),
    );
    await until('the first piece', () => parsed.length > 0);
    const seen = parsed.length;
    expect((await witness.call({ id: 'w', type: 'ping' })).type).toBe('pong');
    expect(seen).toBeLessThan(ids.length);
    expect(parsed.length).toBeLessThan(ids.length);
    expect(ran).toEqual([]);
    await until('all of them to run', () => ran.length === ids.length);
    expect(ran).toEqual(ids);
    expect((await sent).status).toBe(202);
    const perTurn = new Map<number, number>();
    for (const { turn: at } of parsed) perTurn.set(at, (perTurn.get(at) ?? 0) + 1);
    expect(perTurn.size).toBeGreaterThan(3);
    session.reader.close();
  });

  it('in MessagePack it is the same', async () => {
    await start();
    const client = await server.connect('ada', MSGPACK);
    const commands = ['m1', 'm2', 'm3'].map((id) => command(id, 40_000));
    client.send(binary(...commands, command('m4', 10)));
    const replies = await client.nextAll(4, 'reply');
    expect(replies.map(({ ref }) => ref)).toEqual(['m1', 'm2', 'm3', 'm4']);
  });

  it.each(['json', 'msgpack'])('where the last one is none, nothing of it runs (%s)', async (codec) => {
    await start();
    const isBinary = codec === 'msgpack';
    const client = await server.connect('ada', isBinary ? MSGPACK : {});
    const commands = [command('m1', 20_000), command('m2', 20_000)];
    if (isBinary) client.send(Buffer.concat([binary(...commands), Uint8Array.of(0xc1)]));
    else client.send([...commands.map((envelope) => JSON.stringify(envelope)), 'none'].join('\n'));
    await client.expectClose(4805);
    expect(ran).toEqual([]);
  });

  it.each(['json', 'msgpack'])('the bound of commands is one of all its pieces (%s)', async (codec) => {
    await start({ limits: { maxEnvelopesPerFrame: 16 } });
    const isBinary = codec === 'msgpack';
    for (const count of [16, 17]) {
      const client = await server.connect('ada', isBinary ? MSGPACK : {});
      const commands = Array.from({ length: count }, (_, index) => command(`m${index}`, 9_000));
      if (isBinary) client.send(binary(...commands));
      else client.sendAll(commands);
      if (count === 16) await client.nextAll(16, 'reply');
      else await client.expectClose(4805);
    }
    expect(ran).toHaveLength(16);
  });

  it('a command of more than maxMessageBytes in it closes the connection', async () => {
    await start({ limits: { maxMessageBytes: 30_000 } });
    const client = await server.connect('ada');
    client.sendAll([command('m1', 20_000), command('m2', 31_000)]);
    await client.expectClose(4806);
    expect(ran).toEqual([]);
  });
});

describe('large frames of many clients (G16)', () => {
  it('the frame of somebody who sends little does not wait behind those of others that take long', async () => {
    await start();
    const flood: WireClient[] = [];
    for (let index = 0; index < 20; index++) flood.push(await server.connect(`mallory-${index}`));
    const ada = await server.connect('ada');
    for (const [index, client] of flood.entries()) client.send(command(`f${index}`, 60_000, 50));
    ada.send(command('ada', 17_000, 1));
    await ada.next('reply');
    expect(parsed.findIndex(({ id }) => id === 'ada')).toBeLessThanOrEqual(3);
    for (const client of flood) await client.next('reply');
  });

  it('one above the rate of its client is not parsed until there is room for it, and runs then', async () => {
    await start({ limits: { bytesPerSecond: 10_000 } });
    const client = await server.connect('ada');
    client.send(command('m1', 18_000, 1));
    await client.next('reply');
    for (const id of ['m2', 'm3']) {
      client.send(command(id, 18_000, 1));
      await expectNothing(client);
      expect(parsed.map((each) => each.id)).not.toContain(id);
      clock.advance(1_900);
      expect((await client.next()).ref).toBe(id);
    }
    expect(server.records.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  it('one of more than may come at once waits until that much may come, and is paid afterwards', async () => {
    await start({ limits: { bytesPerSecond: 5_000 } });
    const client = await server.connect('ada');
    // What hello took comes back.
    clock.advance(1_000);
    client.send(command('m1', 18_000));
    expect((await client.next()).ref).toBe('m1');
    client.send(command('m2', 5_000));
    await expectNothing(client);
    clock.advance(2_500);
    await expectNothing(client);
    clock.advance(200);
    expect((await client.next()).ref).toBe('m2');
  });

  it('anonymous clients of one address have a quarter of the time of a node, and others the rest', async () => {
    await start();
    const anonymous: WireClient[] = [];
    for (let index = 0; index < 2; index++) anonymous.push(await server.connect());
    // As much as may come at once, and a quarter of a second more.
    for (const [index, client] of anonymous.entries()) {
      client.send(command(`a${index}`, 5_000, 250));
      await client.next('reply');
    }
    const [first] = anonymous as [WireClient];
    first.send(command('late', 5_000, 1));
    first.send({ type: 'request', id: 'behind', event: 'run' });
    const ada = await server.connect('ada');
    expect((await ada.call(command('ada', 5_000, 1))).type).toBe('reply');
    await expectNothing(first);
    expect(parsed.map(({ id }) => id)).not.toContain('late');
    // Less what was regained while the second one was parsed.
    clock.advance(740);
    await expectNothing(first);
    clock.advance(10);
    await first.nextAll(2, 'reply');
    expect(ran.slice(-2)).toEqual(['late', 'behind']);
  });

  it('one that waited too long for others ends its connection for now, which the log says, and costs its client nothing', async () => {
    await start({ handlerTimeoutMs: 300 });
    const [busy, client] = [await server.connect(), await server.connect()];
    busy.send(command('busy', 5_000, 700));
    await busy.next('reply');
    client.send(command('late', 5_000));
    await expectNothing(client);
    clock.advance(400);
    await until('the end', () => client.ended !== undefined);
    expect(client.ended).toMatchObject({ code: 4006, reason: 'overloaded|1000' });
    expect(ran).toEqual(['busy']);
    const lines = server.records.filter(({ level }) => level === 'warn').map(({ message }) => message);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('has waited 300 ms (handlerTimeout) to be parsed');
    clock.advance(5_000);
    const again = await server.connect();
    expect((await again.call(command('again', 5_000))).type).toBe('reply');
  });

  it('what a client has to wait for itself is no reason to end it', async () => {
    await start({ handlerTimeoutMs: 300, limits: { bytesPerSecond: 10_000 } });
    const client = await server.connect('ada');
    client.send(command('m1', 18_000));
    await client.next('reply');
    client.send(command('m2', 18_000));
    await expectNothing(client);
    clock.advance(1_000);
    await expectNothing(client);
    clock.advance(900);
    expect((await client.next()).ref).toBe('m2');
    expect(client.ended).toBeUndefined();
  });

  it.each(['json', 'msgpack'])(
    'ping passes what waits to be parsed, and nothing else does (%s)',
    async (codec) => {
      await start({ limits: { bytesPerSecond: 10_000 } });
      const isBinary = codec === 'msgpack';
      const client = await server.connect('ada', isBinary ? MSGPACK : {});
      client.send(command('m1', 18_000));
      await client.next('reply');
      const frames = [
        command('m2', 5_000),
        { type: 'request', id: 'behind', event: 'run' },
        { type: 'ping', id: 'p' },
      ];
      for (const frame of frames) client.send(isBinary ? binary(frame) : frame);
      expect((await client.next()).ref).toBe('p');
      await expectNothing(client);
      clock.advance(1_000);
      const replies = await client.nextAll(2, 'reply');
      expect(replies.map(({ ref }) => ref)).toEqual(['m2', 'behind']);
    },
  );
});
