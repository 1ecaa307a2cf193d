import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { HandlerCall } from '../../../lib/core/ports/channel-definition.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { TurnCounter } from '../../support/turn-counter.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireSettings } from '../../support/wire/server.js';

/** As long as the work of clients may take in one turn of the event loop. */
const TURN_MS = 8;
const WIDE = { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 1e6 };
let server: WireServer;
let clock: ManualClock;
/** What handlers ran, by user and id of the command, and in which turn of the event loop. */
let ran: { readonly what: string; readonly turn: number }[];
let counter: TurnCounter;
afterEach(async () => {
  counter.stop();
  await server.close();
});

beforeEach(() => {
  ran = [];
  counter = new TurnCounter();
});

/** Work that takes a whole turn. */
function work({ user, id }: Pick<HandlerCall, 'user'> & { readonly id?: string }): null {
  ran.push({ what: `${user?.id ?? 'nobody'} ${id ?? ''}`, turn: counter.turn });
  clock.advance(TURN_MS);
  return null;
}

async function start(settings: WireSettings = {}): Promise<void> {
  clock = new ManualClock();
  server = await startWireServer({
    clock,
    settings: { ...settings, limits: { ...WIDE, ...settings.limits } },
    requests: new Map([['work', { authorize: 'public', handle: work }]]),
    channels: [
      wireChannel('rooms.:room', { publish: ['said'] }),
      wireChannel('dear.:room', {
        behaviour: {
          authorize: {
            subscribe: (call) => {
              work(call);
              return true;
            },
          },
        },
      }),
    ],
  });
}

const requests = (count: number, name = 'r') =>
  Array.from({ length: count }, (_, index) => ({ type: 'request', id: `${name}${index}`, event: 'work' }));

/** Sends of both sides what was written before, so that all of it is read in one turn. */
function together(...frames: (() => void)[]): void {
  for (const frame of frames) frame();
}

const order = (): readonly string[] => ran.map(({ what }) => what);
const turnsOf = (): number => new Set(ran.map(({ turn: at }) => at)).size;

/** What a client waits for is dropped when its connection ends: from then on only the other one's work runs. */
async function expectDroppedAtEnd(client: WireClient, other: WireClient): Promise<void> {
  await until('the first', () => ran.length >= 1);
  client.terminate();
  await until('the end', () => server.engine.status.sessions === 1);
  const before = ran.length;
  other.sendAll(requests(3));
  await other.nextAll(3, 'reply');
  expect(ran).toHaveLength(before + 3);
}

describe('work of many clients in turns of the event loop (G16)', () => {
  it('commands of one frame that take long are run one in each turn, in their order', async () => {
    await start();
    const client = await server.connect('ada');
    client.sendAll(requests(20));
    await client.nextAll(20, 'reply');
    expect(order()).toEqual(requests(20).map(({ id }) => `ada ${id}`));
    expect(turnsOf()).toBe(20);
  });

  it('a ping overtakes what waits, and who floods delays only itself', async () => {
    await start();
    const flood = [await server.connect('mallory'), await server.connect('mallory')];
    const ada = await server.connect('ada');
    for (const client of flood) client.sendAll(requests(60));
    await until('the flood', () => ran.length >= 1);
    ada.sendAll([...requests(2), { type: 'ping', id: 'p' }]);
    expect((await ada.next()).ref).toBe('p');
    await ada.nextAll(2, 'reply');
    const own = order().flatMap((what, at) => (what.startsWith('ada') ? [at] : []));
    expect((own[1] ?? 0) - (own[0] ?? 0)).toBeLessThanOrEqual(2);
    expect(ran.length).toBeLessThan(120);
    for (const client of flood) await client.nextAll(60, 'reply');
    expect(ran).toHaveLength(122);
  });

  const large = (id: string, bytes = 20_000) => ({ ...requests(1)[0], id, payload: 'x'.repeat(bytes) });

  it.each([1, 2, 3, 4])(
    'a large frame waits for its turn, and what its client sends behind it waits behind it (after %i turns)',
    async (before) => {
      await start();
      const client = await server.connect('ada');
      client.sendAll(requests(before + 1));
      client.send(large('large'));
      for (const { id } of requests(3, 's')) client.send({ type: 'request', id, event: 'work' });
      await client.nextAll(before + 5, 'reply');
      expect(order().slice(-4)).toEqual(['ada large', 'ada s0', 'ada s1', 'ada s2']);
      expect(turnsOf()).toBe(before + 5);
    },
  );

  it('large frames wait behind the small commands of others', async () => {
    await start();
    const flood = [];
    for (const user of ['mallory', 'eve', 'oscar']) flood.push(await server.connect(user));
    const ada = await server.connect('ada');
    for (const client of flood) for (let index = 0; index < 10; index++) client.send(large(`l${index}`));
    await until('the flood', () => ran.length >= 1);
    for (const { id } of requests(3)) ada.send({ type: 'request', id, event: 'work' });
    await ada.nextAll(3, 'reply');
    const own = order().flatMap((what, at) => (what.startsWith('ada') ? [at] : []));
    // Of four turns one is for what is large.
    expect((own[2] ?? 0) - (own[0] ?? 0)).toBeLessThanOrEqual(3);
    for (const client of flood) await client.nextAll(10, 'reply');
    expect(ran).toHaveLength(33);
  });

  it('a large hello waits for its turn too, and what came in its frame runs before what came behind it', async () => {
    await start();
    const ada = await server.connect('ada');
    const clients: WireClient[] = [];
    for (let index = 0; index < 3; index++) clients.push(await server.open());
    ada.sendAll(requests(1));
    for (const [index, client] of clients.entries()) {
      const pad = { meta: { pad: 'x'.repeat(20_000) } };
      const hello = { type: 'hello', id: 'h', payload: { versions: [1], token: `user-${index}` }, ...pad };
      client.sendAll([hello, ...requests(2)]);
      client.sendAll(requests(2, 's'));
    }
    await ada.next('reply');
    for (const client of clients) {
      await client.next('welcome');
      const replies = await client.nextAll(4, 'reply');
      expect(replies.map(({ ref }) => ref)).toEqual(['r0', 'r1', 's0', 's1']);
    }
  });

  it('what is sent after welcome is not counted with what came before it (P3c)', async () => {
    await start({ limits: { maxEnvelopesPerFrame: 16 } });
    const client = await server.open();
    client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'ada' } });
    for (const { id } of requests(12)) client.send({ type: 'request', id, event: 'work' });
    await client.next('welcome');
    client.send(large('large'));
    for (let index = 0; index < 4; index++) client.sendAll(requests(14, `s${index}-`));
    await client.nextAll(12 + 1 + 4 * 14, 'reply');
    expect(client.ended).toBeUndefined();
  });

  it('reading pauses behind large frames that wait, and resumes after their turns', async () => {
    await start({ limits: { bytesPerSecond: 1e9 } });
    const client = await server.connect('ada');
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 12; index++) client.send(large(`l${index}`, 20_000));
      const replies = await client.nextAll(12, 'reply');
      expect(replies.map(({ ref }) => ref)).toEqual(Array.from({ length: 12 }, (_, index) => `l${index}`));
    }
  });

  it('large frames of a connection that ends are dropped', async () => {
    await start({ limits: { bytesPerSecond: 1e9 } });
    const client = await server.connect('mallory');
    const ada = await server.connect('ada');
    for (let index = 0; index < 12; index++) client.send(large(`l${index}`, 20_000));
    await expectDroppedAtEnd(client, ada);
  });

  it('what a closed client waits for does not run', async () => {
    await start();
    const client = await server.connect('mallory');
    const ada = await server.connect('ada');
    client.sendAll(requests(60));
    await expectDroppedAtEnd(client, ada);
  });

  it('a subscribe whose authorization takes long waits too, and an unsubscribe behind it still cancels it', async () => {
    await start();
    const client = await server.connect('ada');
    client.sendAll([
      ...requests(1),
      { type: 'subscribe', id: 's1', channel: 'dear.1', payload: {} },
      { type: 'unsubscribe', id: 'u1', channel: 'dear.1' },
    ]);
    const answers = await client.nextAll(3);
    expect(answers.map(({ type, ref }) => `${type} ${ref ?? ''}`).sort()).toEqual([
      'error s1',
      'reply r0',
      'reply u1',
    ]);
    expect(turnsOf()).toBe(2);
  });

  it('hellos that are read together are welcomed in turns, and what came with them follows', async () => {
    await start();
    const clients: WireClient[] = [];
    for (let index = 0; index < 4; index++) clients.push(await server.open());
    together(
      ...clients.map(
        (client, index) => () =>
          client.sendAll([
            { type: 'hello', id: 'h', payload: { versions: [1], token: `user-${index}` } },
            ...requests(2),
          ]),
      ),
    );
    for (const client of clients) {
      expect((await client.next()).type).toBe('welcome');
      const replies = await client.nextAll(2, 'reply');
      expect(replies.map(({ ref }) => ref)).toEqual(['r0', 'r1']);
    }
    expect(turnsOf()).toBe(8);
  });

  it('a command that waited is refused when the answers before it cost too much', async () => {
    await start({ limits: { answerBytesPerSecond: 1_024, userAnswerBytesPerSecond: 1e9 } });
    const client = await server.connect('ada');
    const publisher = await server.connect('bob');
    await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
    publisher.send({
      type: 'publish',
      id: 'm',
      channel: 'rooms.1',
      event: 'said',
      payload: 'x'.repeat(6_000),
    });
    await client.take({ type: 'event' });
    const pages = Array.from({ length: 6 }, (_, n) => ({
      type: 'history',
      id: `p${n}`,
      channel: 'rooms.1',
      payload: {},
    }));
    // All are admitted while nothing is owed.
    client.sendAll([...requests(1), ...pages]);
    await client.nextAll(3, 'reply');
    const refused = await client.nextAll(4, 'error');
    expect(refused.map(({ ref }) => ref)).toEqual(['p2', 'p3', 'p4', 'p5']);
    expect(refused[0]?.payload).toMatchObject({
      code: 'rate_limited',
      message: 'The answers so far were too many bytes',
    });
  });

  it('what waits on all connections of a user is bounded in bytes, and another one still finds room', async () => {
    await start({ limits: { maxWaitingCommandBytes: 8 * 20 * 1_024, bytesPerSecond: 1e9 } });
    const [first, second] = [await server.connect('mallory'), await server.connect('mallory')];
    const ada = await server.connect('ada');
    const large = (id: string) => ({ type: 'request', id, event: 'work', payload: 'x'.repeat(9_000) });
    together(
      () => first?.sendAll([...requests(1, 'a'), large('a1'), large('a2')]),
      () => second?.sendAll([large('b1'), large('b2')]),
      () => ada.sendAll([large('c1'), large('c2')]),
    );
    const errors = await second?.next('error');
    expect(errors?.payload).toMatchObject({ code: 'rate_limited', retryAfterMs: 1_000 });
    await ada.nextAll(2, 'reply');
    await first?.nextAll(3, 'reply');
    second?.sendAll([large('b3')]);
    expect((await second?.take({ ref: 'b3' }))?.type).toBe('reply');
  });
});
