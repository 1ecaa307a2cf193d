import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { WelcomePayload } from '../../../../lib/protocol/messages.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import type { Authentication } from '../../../../lib/core/ports/identity.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

const hello = (payload: object = {}) => ({ type: 'hello', id: 'h1', payload: { versions: [1], ...payload } });

/** A channel whose request takes a whole turn of the event loop. */
function busy(onRun: (id: string) => void = () => undefined) {
  const work = ({ id }: { readonly id: string }): null => {
    onRun(id);
    harness.clock.advance(8);
    return null;
  };
  return {
    authorize: { subscribe: 'public', request: 'public' },
    requests: new Map([['work', work]]),
  } as const;
}

describe('session', () => {
  it('closes with 4805 when the first envelope is not hello (P3)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = harness.connect();
    connection.send({ type: 'ping', id: 'p1' });
    expect(connection.closed).toEqual({ code: 4805, reason: 'protocol_error|0' });
  });

  it('closes with 4805 when no hello comes within helloTimeout, and not earlier (P3)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = harness.connect();
    harness.clock.advance(9_900);
    expect(connection.closed).toBeUndefined();
    harness.clock.advance(400);
    expect(connection.closed?.code).toBe(4805);
  });

  it('closes with 4006 where the node had no time to read what came before helloTimeout ended (P3, G16)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour: busy() })]);
    const silent = harness.connect();
    const putBack = harness.connect();
    const unparsed = harness.connect();
    const read = harness.connect();
    const worker = await harness.subscriber('rooms.1', 'user:eve');
    const work = (id: string) =>
      worker.send({ type: 'request', id, channel: 'rooms.1', event: 'work', payload: {} });
    work('r1');
    expect(read.handler.onMuch(2 * 1024, () => undefined)).toBe(true);
    await quiet();
    work('r2');
    expect(putBack.handler.onMuch(2 * 1024, () => undefined)).toBe(true);
    unparsed.send(hello({ token: 't'.repeat(5 * 1024) }));
    harness.clock.advance(9_900);
    expect([silent, putBack, unparsed, read].map(({ closed }) => closed)).toEqual(
      Array.from({ length: 4 }, () => undefined),
    );
    harness.clock.advance(400);
    expect([silent, putBack, unparsed, read].map(({ closed }) => closed?.reason)).toEqual([
      'protocol_error|0',
      'overloaded|1000',
      'overloaded|1000',
      'protocol_error|0',
    ]);
  });

  it('closes with 4804 when no version is in common (P3)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = harness.connect();
    connection.send(hello({ versions: [2, 3] }));
    await quiet();
    expect(connection.closed?.code).toBe(4804);
  });

  it('runs commands after hello in order once welcome is sent (P3)', async () => {
    let verify = (): void => undefined;
    const verified = new Promise<Authentication>(
      (resolve) => (verify = () => resolve({ user: { id: 'ada' } })),
    );
    harness = await EngineHarness.start([channel('rooms.:room')], {
      authenticator: { authenticate: () => verified },
    });
    const connection = harness.connect();
    connection.send(hello({ token: 't' }), { type: 'ping', id: 'p1' }, { type: 'ping', id: 'p2' });
    await quiet();
    expect(connection.received).toEqual([]);
    verify();
    await quiet();
    expect(connection.take().map(({ type, ref }) => [type, ref])).toEqual([
      ['welcome', 'h1'],
      ['pong', 'p1'],
      ['pong', 'p2'],
    ]);
  });

  it('the rest of a large message is read in a turn of its client, where this one took long (G16)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour: busy() })]);
    const [first, second, third] = [
      await harness.greet('user:ada'),
      await harness.greet('user:bob'),
      harness.connect(),
    ];
    const worker = await harness.subscriber('rooms.1', 'user:eve');
    const readers = [first, second, third];
    const paused = (): boolean[] => readers.map((connection) => connection.paused);
    const part = (): void => readers.forEach(({ handler }) => handler.onPart());
    part();
    expect(paused()).toEqual([false, false, false]);
    worker.send({ type: 'request', id: 'r', channel: 'rooms.1', event: 'work' });
    part();
    part();
    expect(paused()).toEqual([true, true, true]);
    await quiet();
    expect(paused()).toEqual([false, false, false]);
    part();
    expect(paused()).toEqual([false, false, false]);
    worker.send({ type: 'request', id: 'r2', channel: 'rooms.1', event: 'work' });
    first.drop();
    part();
    expect(paused()).toEqual([false, true, true]);
  });

  it('much that came at once waits for the turn of its client, where this one took long, and more of it waits behind the work of others (G16)', async () => {
    const ran: string[] = [];
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour: busy((id) => ran.push(id)) })]);
    const first = await harness.greet('user:ada');
    const second = await harness.greet('user:bob');
    const third = await harness.greet('user:cyd');
    const worker = await harness.subscriber('rooms.1', 'user:eve');
    const work = (id: string) =>
      worker.send({ type: 'request', id, channel: 'rooms.1', event: 'work', payload: {} });
    const much = (connection: FakeConnection, bytes: number, name: string): boolean =>
      connection.handler.onMuch(bytes, () => ran.push(name));
    expect(much(first, 64 * 1024, 'early')).toBe(false);
    work('r1');
    expect(much(first, 16 * 1024 + 1, 'large')).toBe(true);
    expect(much(second, 16 * 1024, 'small')).toBe(true);
    work('r2');
    expect(much(third, 2 * 1024, 'dropped')).toBe(true);
    third.drop();
    expect(much(third, 2 * 1024, 'of a closed one')).toBe(false);
    expect(ran).toEqual(['r1']);
    await quiet();
    expect(ran).toHaveLength(5);
    // One turn in four begins with what waits behind: here the first one.
    expect(ran.slice(0, 2)).toEqual(['r1', 'large']);
    expect(ran.indexOf('small')).toBeLessThan(ran.indexOf('r2'));
    expect(much(first, 64 * 1024, 'late')).toBe(false);
  });

  it('more than 16 KiB that came at once waits until the turns of those who sent less are over (G16)', async () => {
    const ran: string[] = [];
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour: busy() })]);
    const [first, second, third] = [
      await harness.greet('user:ada'),
      await harness.greet('user:bob'),
      await harness.greet('user:cyd'),
    ];
    const worker = await harness.subscriber('rooms.1', 'user:eve');
    const keepBusy = (id: string) =>
      worker.send({ type: 'request', id, channel: 'rooms.1', event: 'work', payload: {} });
    const much = (connection: FakeConnection, bytes: number, name: string): boolean =>
      connection.handler.onMuch(bytes, () => ran.push(name));
    // One turn in four begins with reads. This one is it.
    keepBusy('r1');
    expect(much(third, 2 * 1024, 'before')).toBe(true);
    await quiet();
    expect(ran.splice(0)).toEqual(['before']);
    keepBusy('r2');
    expect(much(first, 16 * 1024 + 1, 'large')).toBe(true);
    expect(much(second, 16 * 1024, 'small')).toBe(true);
    expect(much(third, 2 * 1024, 'smaller')).toBe(true);
    await quiet();
    expect(ran).toEqual(['small', 'smaller', 'large']);
  });

  it('a client of which much waits for its turn is not read, and is not silent (P8, G16)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour: busy() })]);
    const ada = await harness.greet('user:ada');
    const silent = await harness.greet('user:bob');
    const worker = await harness.subscriber('rooms.1', 'user:eve');
    worker.send({ type: 'request', id: 'r', channel: 'rooms.1', event: 'work', payload: {} });
    let wasPausedAtTurn: boolean | undefined;
    const onTurn = (): void => void (wasPausedAtTurn = ada.paused);
    expect(ada.handler.onMuch(2 * 1024, onTurn)).toBe(true);
    expect([ada.paused, silent.paused]).toEqual([true, false]);
    harness.clock.advance(120_000);
    expect([ada.closed, silent.closed?.code]).toEqual([undefined, 4004]);
    await quiet();
    expect([wasPausedAtTurn, ada.paused]).toEqual([true, false]);
  });

  it('a client that finds no room to wait with what came at once is ended, and may come back (G16)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour: busy() })]);
    const ada = await harness.greet('user:ada');
    const worker = await harness.subscriber('rooms.1', 'user:eve');
    worker.send({ type: 'request', id: 'r', channel: 'rooms.1', event: 'work', payload: {} });
    let reads = 0;
    const much = (): boolean => ada.handler.onMuch(2 * 1024, () => reads++);
    expect(Array.from({ length: 8_192 }, much)).not.toContain(false);
    expect(ada.closed).toBeUndefined();
    expect(much()).toBe(false);
    expect(ada.closed).toEqual({ code: 4006, reason: 'overloaded|1000' });
    await quiet();
    expect(reads).toBe(8_192);
  });

  it.each([
    ['a small answer leaves in the order of the commands', 1_000, ['ada', 'bob']],
    ['a large answer leaves behind what is small', 70 * 1_024, ['bob', 'ada']],
  ])('%s', async (_, bytes, expected) => {
    const behaviour = {
      authorize: { subscribe: 'public', request: 'public' },
      requests: new Map([['read', () => 'x'.repeat(bytes)]]),
    } as const;
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour })]);
    const left: string[] = [];
    const join = async (name: string): Promise<FakeConnection> => {
      const connection = await harness.subscriber('rooms.1', `user:${name}`);
      const write = connection.write.bind(connection);
      connection.write = (frame) => {
        left.push(name);
        return write(frame);
      };
      return connection;
    };
    const [ada, bob] = [await join('ada'), await join('bob')];
    ada.send({ type: 'request', id: 'r', channel: 'rooms.1', event: 'read' });
    bob.send({ type: 'ping', id: 'p' });
    await quiet();
    expect(left).toEqual(expected);
  });

  it('bounds what waits for welcome (P3)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      authenticator: { authenticate: () => new Promise(() => undefined) },
    });
    const connection = harness.connect();
    connection.send(hello({ token: 't' }));
    for (let index = 0; index < 300 && connection.closed === undefined; index++)
      connection.send({ type: 'pong' });
    expect(connection.closed?.code).toBe(4805);
  });

  it('sends welcome with limits, heartbeat, retry policy and the common features (P5, P22)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = harness.connect();
    connection.send(hello({ features: ['delta', 'ack'] }));
    await quiet();
    const [welcome] = connection.take();
    expect(welcome).toMatchObject({ type: 'welcome', ref: 'h1' });
    const payload = welcome?.payload as WelcomePayload;
    expect(payload.features).toEqual([]);
    expect(payload.version).toBe(1);
    expect(payload.heartbeat).toEqual({ intervalMs: 25_000, timeoutMs: 10_000 });
    expect(payload.limits.maxEnvelopesPerFrame).toBe(256);
    expect(payload.retry.firstSpreadMs).toBeGreaterThan(0);
    expect(payload.user).toBeUndefined();
  });

  it.each([
    ['a missing token', undefined, 4801, 'unauthorized'],
    ['a refused token', 'nonsense', 4801, 'unauthorized'],
  ])('answers hello with %s by error and 4801 (P7)', async (_, token, code, error) => {
    harness = await EngineHarness.start([channel('rooms.:room')], { settings: { anonymous: false } });
    const connection = harness.connect();
    connection.send(hello({ token }));
    await quiet();
    expect(connection.take()).toEqual([
      expect.objectContaining({
        type: 'error',
        ref: 'h1',
        payload: expect.objectContaining({ code: error }),
      }),
    ]);
    expect(connection.closed?.code).toBe(code);
  });

  it('answers malformed envelopes with bad_request and their ref, and continues (P6)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = await harness.greet();
    connection.take();
    connection.send(
      { type: 'fly', id: 'x1' },
      { type: 'subscribe', id: 'x2', channel: 7 },
      { type: 'ping' },
      { type: 'ping', id: 'p1', extra: {} },
    );
    await quiet();
    const [pong, ...errors] = connection.take();
    expect(pong).toMatchObject({ type: 'pong', ref: 'p1' });
    expect(errors.map(({ type, ref, payload }) => [type, ref, (payload as RealtimeError).code])).toEqual([
      ['error', 'x1', 'bad_request'],
      ['error', 'x2', 'bad_request'],
      ['error', undefined, 'bad_request'],
    ]);
    expect(errors[1]?.payload).toMatchObject({ details: [{ path: 'channel' }] });
  });

  it('closes with 4805 on a frame that cannot be parsed (P6)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = await harness.greet();
    connection.sendRaw('{"type":');
    expect(connection.closed?.code).toBe(4805);
  });

  it('counts envelopes before they are parsed, without empty lines (P4)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const patient = await harness.greet();
    patient.sendRaw('\n\n{"type":"ping","id":"p1"}\n\n');
    await quiet();
    expect(patient.take('pong')).toHaveLength(1);
    const eager = await harness.greet();
    eager.sendRaw(Array.from({ length: 257 }, () => '{').join('\n'));
    expect(eager.closed).toEqual({ code: 4805, reason: 'protocol_error|0' });
  });

  it('closes with 4806 on a message above maxMessageBytes (G24)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: { limits: { maxMessageBytes: 1_000 } },
    });
    const connection = await harness.greet();
    connection.sendRaw(`{"type":"ping","id":"p1","meta":{"x":"${'é'.repeat(600)}"}}`);
    expect(connection.closed?.code).toBe(4806);
  });

  it('pings a client that receives events but sends nothing, and closes with 4004 without a sign of life (P8)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = await harness.subscriber('rooms.1');
    let pings = 0;
    for (let second = 0; second < 60 && connection.closed === undefined; second++) {
      harness.clock.advance(1_000);
      if (second < 25) await harness.publish('rooms.1');
      else await quiet();
      pings += connection.take('ping').length;
    }
    expect(pings).toBe(1);
    expect(connection.closed).toEqual({ code: 4004, reason: 'heartbeat_timeout|0' });
  });

  it('takes any frame as a sign of life (P8)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = await harness.greet();
    for (let second = 0; second < 120; second++) {
      harness.clock.advance(1_000);
      if (second % 9 === 0) connection.send({ type: 'pong' });
    }
    await quiet();
    expect(connection.closed).toBeUndefined();
    expect(connection.take('ping').length).toBeGreaterThan(2);
  });

  it('closes no connection when the wall clock jumps by an hour (P8, P30, G28)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = await harness.greet();
    harness.clock.jump(3_600_000);
    harness.clock.advance(1_000);
    harness.clock.jump(-7_200_000);
    harness.clock.advance(1_000);
    await quiet();
    expect(connection.closed).toBeUndefined();
  });

  it('closes with 1000 on bye (P7)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = await harness.greet();
    connection.send({ type: 'bye', id: 'b1' });
    expect(connection.closed).toEqual({ code: 1000, reason: 'normal|0' });
  });

  it('requests a token before it expires, accepts a fresh one in place, and refuses another user (G12)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: { heartbeat: { intervalMs: 3_600_000 } },
    });
    const at = (seconds: number) => harness.clock.now() + seconds * 1_000;
    const connection = await harness.greet(`user:ada:${at(60)}`);
    expect(connection.take('welcome')[0]?.payload).toMatchObject({ tokenExpiresInMs: 60_000 });
    harness.clock.advance(31_000);
    await quiet();
    const [asked] = connection.take('auth_required');
    expect((asked?.payload as { withinMs: number }).withinMs).toBeLessThanOrEqual(30_000);
    connection.send({ type: 'auth', id: 'a1', payload: { token: `user:eve:${at(600)}` } });
    await quiet();
    expect(connection.take()).toEqual([
      expect.objectContaining({
        type: 'error',
        ref: 'a1',
        payload: expect.objectContaining({ code: 'forbidden' }),
      }),
    ]);
    connection.send({ type: 'auth', id: 'a2', payload: { token: `user:ada:${at(120)}` } });
    await quiet();
    expect(connection.take('reply')[0]).toMatchObject({ ref: 'a2', payload: { expiresInMs: 120_000 } });
    harness.clock.advance(80_000);
    expect(connection.closed).toBeUndefined();
    harness.clock.advance(41_000);
    expect(connection.closed).toEqual({ code: 4008, reason: 'token_expired|0' });
  });

  it('refuses commands above the rate, then stops reading, then closes with 4807 and bans for a time (G16)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: {
        limits: { ratePerSecond: 10, burst: 10 },
        abuse: { throttleAfter: 5, closeAfter: 30, banMs: 10_000 },
      },
    });
    const connection = await harness.greet('user:ada');
    connection.take();
    for (let index = 0; index < 12; index++) connection.send({ type: 'ping', id: `p${index}` });
    await quiet();
    const answers = connection.take();
    expect(answers.filter(({ type }) => type === 'pong')).toHaveLength(10);
    expect(answers.filter(({ type }) => type === 'error').map(({ payload }) => payload)).toEqual([
      expect.objectContaining({ code: 'rate_limited', retryable: true, retryAfterMs: expect.any(Number) }),
      expect.objectContaining({ code: 'rate_limited' }),
    ]);
    expect(connection.paused).toBe(false);
    for (let index = 0; index < 4; index++) connection.send({ type: 'ping', id: `q${index}` });
    expect(connection.paused).toBe(true);
    harness.clock.advance(1_000);
    expect(connection.paused).toBe(false);
    for (let index = 0; index < 60 && connection.closed === undefined; index++)
      connection.send({ type: 'ping', id: `r${index}` });
    expect(connection.closed).toEqual({ code: 4807, reason: 'rate_abuse|10000' });

    const again = await harness.greet('user:ada');
    expect(again.closed?.code).toBe(4803);
    harness.clock.advance(11_000);
    expect((await harness.greet('user:ada')).closed).toBeUndefined();
  });

  it('does not count resubscribing every channel at once as abuse (G16)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: { limits: { ratePerSecond: 5, burst: 5, maxChannels: 100 } },
    });
    const connection = await harness.greet();
    connection.take();
    connection.send(
      ...Array.from({ length: 100 }, (_, index) => ({
        type: 'subscribe',
        id: `s${index}`,
        channel: `rooms.${index}`,
      })),
    );
    await quiet();
    expect(connection.take('reply')).toHaveLength(100);
    connection.send({ type: 'subscribe', id: 'over', channel: 'rooms.over' });
    await quiet();
    expect(connection.take()[0]).toMatchObject({ type: 'error', payload: { code: 'too_many_channels' } });
  });

  it('bounds the bytes per second (G16)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: { limits: { bytesPerSecond: 1_000 } },
    });
    const connection = await harness.greet();
    connection.take();
    for (let index = 0; index < 3; index++)
      connection.send({ type: 'ping', id: `p${index}`, meta: { filler: 'x'.repeat(900) } });
    await quiet();
    const types = connection.take().map(({ type }) => type);
    expect(types).toEqual(['pong', 'pong', 'error']);
  });

  it('stops reading while too many commands run, and resumes when they are done (G16)', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    harness = await EngineHarness.start(
      [
        channel('rooms.:room', {
          behaviour: {
            authorize: { subscribe: 'public', request: 'public' },
            requests: new Map([['wait', () => gate]]),
          },
        }),
      ],
      { settings: { limits: { maxInFlight: 8 } } },
    );
    const connection = await harness.greet();
    for (let index = 0; index < 8; index++)
      connection.send({ type: 'request', id: `r${index}`, channel: 'rooms.1', event: 'wait' });
    expect(connection.paused).toBe(true);
    release();
    await quiet();
    expect(connection.paused).toBe(false);
    expect(connection.take('reply')).toHaveLength(8);
  });

  it('answers in time when a handler does not end', async () => {
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          authorize: { subscribe: 'public', request: 'public' },
          requests: new Map([['hang', () => new Promise(() => undefined)]]),
        },
      }),
    ]);
    const connection = await harness.greet();
    connection.take();
    connection.send({ type: 'request', id: 'r1', channel: 'rooms.1', event: 'hang' });
    await quiet();
    harness.clock.advance(10_001);
    await quiet();
    expect(connection.take('error')[0]).toMatchObject({
      ref: 'r1',
      payload: { code: 'outcome_unknown', retryable: false },
    });
  });

  it('answers timeout to a command that waited too long, also after others before it have had their turn (G16)', async () => {
    const ends: (() => void)[] = [];
    harness = await EngineHarness.start(
      [
        channel('rooms.:room', {
          behaviour: {
            authorize: { subscribe: 'public', request: 'public' },
            requests: new Map([['wait', () => new Promise<void>((resolve) => ends.push(resolve))]]),
          },
        }),
      ],
      { settings: { limits: { maxInFlight: 1 } } },
    );
    const connection = await harness.greet();
    connection.take();
    const ask = (id: string): void => {
      connection.send({ type: 'request', id, channel: 'rooms.1', event: 'wait' });
    };
    ask('r1');
    ask('r2');
    ends.shift()?.();
    await quiet();
    ends.shift()?.();
    await quiet();
    expect(connection.take('reply').map(({ ref }) => ref)).toEqual(['r1', 'r2']);
    harness.clock.advance(6_000);
    ask('r3');
    ask('r4');
    harness.clock.advance(9_900);
    await quiet();
    expect(connection.take('error')).toEqual([]);
    harness.clock.advance(1_100);
    await quiet();
    const errors = new Map(connection.take('error').map(({ ref, payload }) => [ref, payload]));
    expect([...errors.keys()].sort()).toEqual(['r3', 'r4']);
    expect(errors.get('r4')).toMatchObject({
      code: 'timeout',
      message: expect.stringMatching(/commands before/),
    });
    // The next ones have their time from when they come.
    ask('r5');
    harness.clock.advance(9_900);
    await quiet();
    expect(connection.take('error')).toEqual([]);
    harness.clock.advance(1_100);
    await quiet();
    expect(connection.take('error').map(({ ref }) => ref)).toEqual(['r5']);
  });

  it('counts what a command holds while it runs, and nothing of one that ends at once (G16)', async () => {
    const ends: (() => void)[] = [];
    const later = () => new Promise<void>((resolve) => ends.push(resolve));
    const held: number[] = [];
    const waiting = (): number =>
      harness.engine['parts'].sessions.list()[0]?.flow['deps'].waiting.bytes ?? -1;
    const atOnce = (): number => held.push(waiting());
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          authorize: { subscribe: 'public', request: 'public' },
          requests: new Map<string, () => unknown>([
            ['later', later],
            ['at once', atOnce],
          ]),
        },
      }),
    ]);
    const connection = await harness.greet();
    const ask = (event: string): void => {
      connection.send({ type: 'request', id: `${event} ${ends.length}`, channel: 'rooms.1', event });
    };
    ask('at once');
    expect([held, waiting()]).toEqual([[0], 0]);
    ask('later');
    const one = waiting();
    expect(one).toBeGreaterThan(3 * 1_024);
    ask('later');
    ask('at once');
    expect(waiting()).toBe(2 * one);
    expect(held).toEqual([0, 2 * one]);
    for (const end of ends) end();
    await quiet();
    expect(waiting()).toBe(0);
  });

  it('answers unavailable to commands that waited for a turn of a busy node, and charges nothing for it (G16)', async () => {
    const ran: string[] = [];
    const behaviour = busy((id) => ran.push(id));
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour })], {
      settings: {
        limits: { answerBytesPerSecond: 50, ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 1e6 },
      },
    });
    const connection = await harness.greet();
    connection.take();
    const ask = (id: string): void => {
      connection.send({ type: 'request', id, channel: 'rooms.1', event: 'work' });
    };
    for (let round = 0; round < 2; round++) {
      ask('first');
      for (let index = 0; index < 20; index++) ask(`late ${index}`);
      harness.clock.advance(11_000);
      await quiet();
      const refused = connection.take('error');
      expect(refused).toHaveLength(20);
      expect(refused[0]).toMatchObject({
        ref: 'late 0',
        payload: {
          code: 'unavailable',
          retryAfterMs: 1_000,
          message: expect.stringMatching(/no turn in time/),
        },
      });
      expect(ran).toEqual(['first']);
      ask('again');
      await quiet();
      expect(connection.take('reply').map(({ ref }) => ref)).toEqual(['again']);
      ran.length = 0;
    }
  });

  it.each(['run', 'are refused'])(
    'commands that waited and %s leave nothing behind of what they held (G16)',
    async (how) => {
      const behaviour = busy();
      const rate = how === 'run' ? 1e6 : 1;
      harness = await EngineHarness.start([channel('rooms.:room', { behaviour })], {
        settings: {
          heartbeat: { intervalMs: 1e9, timeoutMs: 1e9 },
          limits: {
            ratePerSecond: rate,
            burst: rate,
            userRatePerSecond: 1e6,
            bytesPerSecond: 1e9,
            maxWaitingCommandBytes: 8 * 24 * 1_024,
          },
        },
      });
      const connection = await harness.greet();
      for (let round = 0; round < 30; round++) {
        harness.clock.advance(11_000);
        connection.take();
        for (let index = 0; index < 3; index++)
          connection.send({
            type: 'request',
            id: `r${index}`,
            channel: 'rooms.1',
            event: 'work',
            payload: 'x'.repeat(3_000),
          });
        await quiet();
        await quiet();
        expect(connection.take('reply')).toHaveLength(how === 'run' ? 3 : 1);
        const refusals = connection
          .take('error')
          .map(({ payload }) => (payload as { message: string }).message);
        expect(refusals.filter((message) => message.includes('there is room for'))).toEqual([]);
      }
    },
  );

  it('parses a frame above 1 KiB only in its turn where this turn was long enough, and a smaller one as it comes (G16)', async () => {
    const behaviour = busy();
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour })]);
    const connection = await harness.greet();
    const parsed: string[] = [];
    const { parse } = JSON;
    jest.spyOn(JSON, 'parse').mockImplementation((text, ...rest) => {
      const value = parse(text, ...rest) as { id?: string };
      parsed.push(value.id ?? '');
      return value;
    });
    const ask = (id: string, bytes: number): void => {
      connection.send({ type: 'request', id, channel: 'rooms.1', event: 'work', payload: 'x'.repeat(bytes) });
    };
    const others = [await harness.greet('user:bob'), await harness.greet('user:eve')];
    for (let round = 0; round < 2; round++) {
      parsed.length = 0;
      ask('first', 2_000);
      others[0]?.send({
        type: 'request',
        id: 'small',
        channel: 'rooms.1',
        event: 'work',
        payload: 'x'.repeat(900),
      });
      others[1]?.send({
        type: 'request',
        id: 'late',
        channel: 'rooms.1',
        event: 'work',
        payload: 'x'.repeat(1_100),
      });
      expect(parsed).toEqual(['first', 'small']);
      await quiet();
      await quiet();
      expect(parsed).toContain('late');
    }
    jest.restoreAllMocks();
  });

  it('is not closed for silence where reading has paused since the ping, and is the time after that (P8c)', async () => {
    let end = (): void => undefined;
    const wait = (): Promise<void> => new Promise((resolve) => (end = resolve));
    const behaviour = {
      authorize: { subscribe: 'public', request: 'public' },
      requests: new Map([['wait', wait]]),
    } as const;
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour })], {
      settings: {
        heartbeat: { intervalMs: 25_000, timeoutMs: 10_000 },
        handlerTimeoutMs: 1e6,
        limits: { maxInFlight: 1 },
      },
    });
    const connection = await harness.greet();
    connection.take();
    connection.send({ type: 'request', id: 'r1', channel: 'rooms.1', event: 'wait' });
    expect(connection.paused).toBe(true);
    harness.clock.advance(25_500);
    await quiet();
    expect(connection.take('ping')).toHaveLength(1);
    end();
    await quiet();
    expect(connection.paused).toBe(false);
    harness.clock.advance(10_500);
    expect(connection.closed).toBeUndefined();
    harness.clock.advance(25_500 + 10_500);
    expect(connection.closed).toMatchObject({ code: 4004 });
  });

  it('counts for its address until it is known whose it is, then for its user, and publishes in its name (P15, G16)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const names = ({ handler }: { handler: object }): unknown[] => {
      const { client, producer } = handler as { client: string; producer: string };
      return [client, producer];
    };
    const connection = harness.connect({ ip: '192.0.2.7' });
    expect(names(connection)).toEqual(['\n192.0.2.7', 's:']);
    connection.send(hello({ token: 'user:ada' }));
    await quiet();
    expect(names(connection)).toEqual(['ada', 'u:ada']);
    const anonymous = harness.connect({ ip: '192.0.2.7' });
    expect(names(anonymous)).toEqual(['\n192.0.2.7', 's:']);
    anonymous.send(hello());
    await quiet();
    const { lineage } = anonymous.handler as unknown as { lineage: string };
    expect(lineage).not.toBe('');
    expect(names(anonymous)).toEqual(['\n192.0.2.7', `s:${lineage}`]);
  });

  it.each(['after welcome', 'with hello'])(
    'lets the rest of a frame wait when its first commands took long: %s (G16)',
    async (when) => {
      const ran: string[] = [];
      harness = await EngineHarness.start(
        [
          channel('rooms.:room', {
            behaviour: {
              authorize: { subscribe: 'public', request: 'public' },
              requests: new Map([
                [
                  'work',
                  ({ id = '' }) => {
                    ran.push(id);
                    harness.clock.advance(2);
                  },
                ],
              ]),
            },
          }),
        ],
        { authenticator: { authenticate: () => Promise.resolve({ user: { id: 'ada' } }) } },
      );
      const connection = harness.connect();
      const work = ['r1', 'r2', 'r3'].map((id) => ({
        type: 'request',
        id,
        channel: 'rooms.1',
        event: 'work',
      }));
      if (when === 'with hello') {
        connection.send(hello({ token: 'user:ada' }), ...work);
        // No turn of the event loop passes meanwhile.
        for (let step = 0; step < 100; step++) await Promise.resolve();
      } else {
        connection.send(hello());
        await quiet();
        connection.send(...work);
      }
      expect(ran).toEqual(['r1', 'r2']);
      await quiet();
      expect(ran).toEqual(['r1', 'r2', 'r3']);
    },
  );

  it('reports an error of a handler as internal with an id to the client, and in full to the log (G25)', async () => {
    const secret = new Error('password is hunter2');
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          authorize: { subscribe: 'public', request: 'public' },
          requests: new Map([
            ['break', () => Promise.reject(secret)],
            ['refuse', () => Promise.reject(new RealtimeError('muted'))],
          ]),
        },
      }),
    ]);
    const connection = await harness.greet();
    connection.take();
    connection.send(
      { type: 'request', id: 'r1', channel: 'rooms.1', event: 'break' },
      { type: 'request', id: 'r2', channel: 'rooms.1', event: 'refuse' },
    );
    await quiet();
    const [broken, refused] = connection.take('error');
    expect(broken).toMatchObject({ ref: 'r1', payload: { code: 'internal' } });
    expect(JSON.stringify(broken)).not.toContain('hunter2');
    expect(refused).toMatchObject({ ref: 'r2', payload: { code: 'muted' } });
    expect(harness.errors).toEqual([secret]);
  });
});
