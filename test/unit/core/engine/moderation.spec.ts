import { afterEach, describe, expect, it } from '@jest/globals';
import { MemoryStore, memoryBroker } from '../../../../lib/brokers/memory/index.js';
import { draftOfAct } from '../../../../lib/core/engine/audit/act-draft.js';
import type { AuditDraft } from '../../../../lib/core/ports/audit.js';
import type { ControlMessage } from '../../../../lib/core/ports/control.js';
import type { AdministrativeAct } from '../../../../lib/core/ports/observer.js';
import type { Restriction } from '../../../../lib/core/ports/moderation.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

const ADA = { of: 'user', id: 'ada' } as const;
const MUTE: Restriction = { act: 'mute', whom: ADA, channel: 'rooms.1', forMs: 9_000 };
const BAN: Restriction = { act: 'ban', whom: ADA, channel: 'rooms.1', forMs: 9_000 };

function gate<T = void>(): { readonly opened: Promise<T>; open(value: T): void } {
  let open!: (value: T) => void;
  const opened = new Promise<T>((resolve) => (open = resolve));
  return { opened, open };
}

let ids = 0;
async function answerTo(
  client: FakeConnection,
  command: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const id = typeof command['id'] === 'string' ? command['id'] : `q${++ids}`;
  client.send({ ...command, id });
  await quiet();
  return outcomeOf(client, id);
}

function outcomeOf(client: FakeConnection, id: string): unknown {
  const answer = client.take().find(({ ref }) => ref === id);
  if (answer === undefined) return 'none';
  const { code, reason, retryAfterMs } = answer.payload as RealtimeError;
  if (answer.type === 'reply') return 'reply';
  return [
    code,
    ...(reason === undefined ? [] : [reason]),
    ...(retryAfterMs === undefined ? [] : [retryAfterMs]),
  ].join(' ');
}

const say = { type: 'publish', channel: 'rooms.1', event: 'said', payload: 1 };
const lastSeq = async (): Promise<number> =>
  (await harness.engine.application.history('rooms.1')).position.seq;

describe('a restriction while a command is under way (G30)', () => {
  it.each([
    ['mute', MUTE, 'muted 9000'],
    ['ban from the channel', BAN, 'banned 9000'],
    ['mute everywhere', { act: 'mute', whom: ADA }, 'muted'],
    ['mute of the address', { ...MUTE, whom: { of: 'address', id: '127.0.0.1' } }, 'muted 9000'],
  ] as [string, Restriction, string][])(
    'a %s wins over a publish whose handler runs: nothing is appended',
    async (_, restriction, outcome) => {
      const handling = gate();
      let runs = 0;
      harness = await EngineHarness.start([
        channel('rooms.:room', {
          behaviour: { publish: new Map([['said', () => (runs++, handling.opened)]]) },
        }),
      ]);
      const ada = await harness.greet('user:ada');
      ada.take();
      ada.send({ ...say, id: 'p' });
      await quiet();
      expect(runs).toBe(1);
      await harness.engine.restrict(restriction);
      handling.open();
      await quiet();
      expect(outcomeOf(ada, 'p')).toBe(outcome);
      expect(await lastSeq()).toBe(0);
    },
  );

  it('one that is put first keeps the application from being asked at all', async () => {
    const called: string[] = [];
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          authorize: {
            subscribe: () => called.push('subscribe') > 0,
            publish: () => called.push('publish') > 0,
            signal: () => called.push('signal') > 0,
            history: () => called.push('history') > 0,
          },
          publish: new Map([['said', () => void called.push('handler')]]),
        },
      }),
    ]);
    const ada = await harness.greet('user:ada');
    await harness.engine.restrict(MUTE);
    expect(await answerTo(ada, say)).toBe('muted 9000');
    expect(await answerTo(ada, { type: 'signal', channel: 'rooms.1', event: 'typing' })).toBe('muted 9000');
    const update = { type: 'presence_update', channel: 'rooms.1', payload: { data: 1 } };
    expect(await answerTo(ada, update)).toBe('muted 9000');
    expect(called).toEqual([]);
    expect(await answerTo(ada, { type: 'subscribe', channel: 'rooms.1' })).toBe('reply');
    called.length = 0;
    await harness.engine.restrict(BAN);
    for (const type of ['subscribe', 'history', 'presence', 'snapshot'])
      expect([type, await answerTo(ada, { type, channel: 'rooms.1' })]).toEqual([type, 'banned 9000']);
    for (const type of ['publish', 'signal', 'request'])
      expect(await answerTo(ada, { ...say, type })).toBe('banned 9000');
    expect(await answerTo(ada, { type: 'presence_update', channel: 'rooms.1', payload: { data: 1 } })).toBe(
      'banned 9000',
    );
    expect(called).toEqual([]);
  });

  it.each([
    ['subscribe', BAN, 'banned 9000'],
    ['history', BAN, 'banned 9000'],
    ['presence', BAN, 'banned 9000'],
    ['signal', BAN, 'banned 9000'],
    ['signal', MUTE, 'muted 9000'],
    ['publish', BAN, 'banned 9000'],
    ['publish', MUTE, 'muted 9000'],
    ['presence_update', BAN, 'banned 9000'],
    ['presence_update', MUTE, 'muted 9000'],
    ['request', BAN, 'banned 9000'],
    ['request', MUTE, 'reply'],
    ['history', MUTE, 'reply'],
  ] as [string, Restriction, string][])(
    'a pending authorization of a %s meets a %j',
    async (type, restriction, outcome) => {
      const decision = gate<boolean>();
      harness = await EngineHarness.start([
        channel('rooms.:room', {
          policy: { presence: {} },
          behaviour: {
            authorize: {
              subscribe: 'public',
              // A change of presence waits for the subscribe before it.
              [type === 'presence_update' ? 'subscribe' : type]: () => decision.opened,
            },
            requests: new Map([['said', () => 1]]),
            signals: new Set(['said']),
          },
        }),
      ]);
      const ada = await harness.greet('user:ada');
      ada.take();
      const event = ['subscribe', 'history', 'presence'].includes(type) ? {} : { event: 'said' };
      if (type === 'presence_update')
        ada.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload: { presence: {} } });
      const payload = type === 'presence_update' ? { payload: { data: 1 } } : {};
      ada.send({ type, id: 'q', channel: 'rooms.1', ...event, ...payload });
      await quiet();
      await harness.engine.restrict(restriction);
      decision.open(true);
      await quiet();
      expect(outcomeOf(ada, 'q')).toBe(outcome);
    },
  );

  it('a mute while the authorization of a publish is asked keeps its handler from running', async () => {
    const decision = gate<boolean>();
    let runs = 0;
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          authorize: { subscribe: 'public', publish: () => decision.opened },
          publish: new Map([['said', () => void runs++]]),
        },
      }),
    ]);
    const ada = await harness.greet('user:ada');
    ada.take();
    ada.send({ ...say, id: 'p' });
    await quiet();
    await harness.engine.restrict(MUTE);
    decision.open(true);
    await quiet();
    expect(outcomeOf(ada, 'p')).toBe('muted 9000');
    expect(runs).toBe(0);
  });

  it('answers about the channel that wait for a slow client are taken back by a ban from it, and by no mute', async () => {
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          authorize: { subscribe: 'public', request: 'public' },
          requests: new Map([['ask', () => 'secret']]),
        },
      }),
    ]);
    const ada = await harness.greet('user:ada');
    ada.take();
    ada.stall();
    for (const id of ['first', 'second']) {
      ada.send({ type: 'request', id, channel: 'rooms.1', event: 'ask' });
      await quiet();
    }
    await harness.engine.restrict(MUTE);
    await harness.engine.restrict(BAN);
    ada.drain();
    await quiet();
    const answers = ada.take().map(({ ref, payload }) => [ref, (payload as RealtimeError).code ?? payload]);
    // The first had left already.
    expect(answers).toEqual([
      ['first', 'secret'],
      ['second', 'banned'],
    ]);
  });

  it('a ban from the channel wins over a request and a snapshot whose handlers run', async () => {
    const handling = gate<number>();
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          requests: new Map([['ask', () => handling.opened]]),
          snapshot: { shareable: false, run: async () => ({ state: await handling.opened }) },
        },
      }),
    ]);
    const ada = await harness.greet('user:ada');
    ada.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload: { snapshot: false } });
    await quiet();
    ada.take();
    ada.send({ type: 'request', id: 'r', channel: 'rooms.1', event: 'ask' });
    ada.send({ type: 'snapshot', id: 'n', channel: 'rooms.1' });
    await quiet();
    await harness.engine.restrict(BAN);
    handling.open(1);
    await quiet();
    const answers = ada.take().map(({ type, ref, payload }) => [type, ref, (payload as RealtimeError).code]);
    expect(answers).toEqual([
      ['unsubscribed', undefined, 'banned'],
      ['error', 'r', 'banned'],
      ['error', 'n', 'banned'],
    ]);
  });

  it.each([
    ['user', 'ada'],
    ['session', ''],
    ['address', '127.0.0.1'],
  ] as const)('a ban of a %s wins over a connect hook that has not decided yet', async (of, id) => {
    let hook = Promise.resolve();
    harness = await EngineHarness.start([channel('rooms.:room')], { onConnect: () => hook });
    const first = await harness.greet('user:ada');
    const ticket = (first.take('welcome')[0]?.payload as { session: string }).session;
    const { sessions } = await harness.engine.sessions.list({ user: 'ada' }, { limit: 1 });
    const lineage = sessions[0]?.lineage ?? '';
    const held = gate();
    hook = held.opened;
    const ada = harness.connect();
    ada.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'user:ada', session: ticket } });
    await quiet();
    await harness.engine.restrict({ act: 'ban', whom: { of, id: of === 'session' ? lineage : id } });
    held.open();
    await quiet();
    expect([first.closed?.code, ada.closed?.code]).toEqual([4803, 4803]);
    expect(ada.take('welcome')).toEqual([]);
  });
});

describe('a ban from a channel that begins and ends while a command is under way (G30)', () => {
  it.each([
    ['publish', say],
    ['subscribe', { type: 'subscribe', channel: 'rooms.1' }],
  ])(
    'lets a %s pass that commits after it, as one that is sent then; one that commits before its end is refused',
    async (type, command) => {
      let asked = gate();
      const authorize = {
        subscribe: async () => asked.opened.then(() => true),
        publish: async () => asked.opened.then(() => true),
      };
      harness = await EngineHarness.start([channel('rooms.:room', { behaviour: { authorize } })]);
      const client = await harness.greet('user:ada');
      client.take();
      client.send({ ...command, id: 'a' });
      await quiet();
      await harness.engine.restrict(BAN);
      asked.open();
      await quiet();
      expect(outcomeOf(client, 'a')).toBe('banned 9000');
      await harness.engine.lift(BAN);
      asked = gate();
      client.send({ ...command, id: 'b' });
      await quiet();
      await harness.engine.restrict(BAN);
      await harness.engine.lift(BAN);
      asked.open();
      await quiet();
      expect(outcomeOf(client, 'b')).toBe('reply');
      if (type === 'publish') expect(await lastSeq()).toBe(1);
    },
  );
});

describe('restrictions of live sessions (G30)', () => {
  it('a ban from a pattern ends what it matches, says for how long, and leaves the rest alone', async () => {
    harness = await EngineHarness.start([channel('rooms.:room'), channel('halls.:hall')]);
    const ada = await harness.subscriber('rooms.1', 'user:ada');
    for (const name of ['rooms.2', 'halls.1']) await answerTo(ada, { type: 'subscribe', channel: name });
    const eve = await harness.subscriber('rooms.1', 'user:eve');
    await harness.engine.restrict({
      act: 'ban',
      whom: ADA,
      channel: 'rooms.:any',
      forMs: 1_000.5,
      reason: 'secret',
    });
    await quiet();
    const taken = ada.take();
    expect(taken).toMatchObject(
      ['rooms.1', 'rooms.2'].map((name) => ({
        type: 'unsubscribed',
        channel: name,
        payload: { code: 'banned', retryable: false, retryAfterMs: 1_001 },
      })),
    );
    expect(JSON.stringify(taken)).not.toContain('secret');
    expect(eve.take()).toEqual([]);
    await harness.publish('halls.1');
    expect(ada.take()).toMatchObject([{ type: 'event', channel: 'halls.1' }]);
    harness.clock.advance(1_000);
    expect(await answerTo(ada, { type: 'subscribe', channel: 'rooms.1' })).toBe('banned 1');
    harness.clock.advance(1);
    expect(await answerTo(ada, { type: 'subscribe', channel: 'rooms.1' })).toBe('reply');
  });

  it('a restriction ends by the monotonic clock, wherever the wall clock was when it was put', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const ada = await harness.subscriber('rooms.1', 'user:ada');
    // The wall clock of the tests jumps by an hour with each move of time.
    for (const _ of [1, 2, 3]) {
      harness.clock.advance(1);
      await harness.engine.restrict(MUTE);
      harness.clock.advance(8_999);
      expect(await answerTo(ada, say)).toBe('muted 1');
      harness.clock.advance(1);
      expect(await answerTo(ada, say)).toBe('reply');
    }
  });

  it('a ban of an address concerns who is signed in, and one for abuse does not; the longer of two counts', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const ada = await harness.greet('user:ada');
    const nobody = await harness.greet();
    const whom = { of: 'address', id: '127.0.0.1' } as const;
    const abuse: ControlMessage = { kind: 'abuse', of: 'address', id: whom.id, forMs: 9_000 };
    await harness.broker.bus.control(abuse);
    expect([ada.closed?.code, nobody.closed?.code]).toEqual([undefined, 4803]);
    await harness.engine.restrict({ act: 'ban', whom, forMs: 5_000 });
    expect(ada.closed).toMatchObject({ code: 4803, reason: 'banned|5000' });
    // An administrator has the last word about what the node did by itself.
    expect((await harness.greet()).closed?.reason).toBe('banned|5000');
    await harness.broker.bus.control(abuse);
    expect((await harness.greet()).closed?.reason).toBe('banned|9000');
    expect((await harness.greet('user:ada')).closed?.reason).toBe('banned|5000');
    await harness.engine.lift({ act: 'ban', whom });
    expect((await harness.greet()).closed).toBeUndefined();
    expect((await harness.greet('user:ada')).closed).toBeUndefined();
  });

  it('a ban of a session is of its ticket: the same user without it is admitted, another user gains nothing by it', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const ada = await harness.greet('user:ada');
    const ticket = (ada.take('welcome')[0]?.payload as { session: string }).session;
    const { sessions } = await harness.engine.sessions.list({ user: 'ada' }, { limit: 1 });
    expect(harness.engine.lineageOf(sessions[0]?.id ?? '')).toBe(sessions[0]?.lineage);
    await harness.engine.restrict({ act: 'ban', whom: { of: 'session', id: sessions[0]?.lineage ?? '' } });
    expect(ada.closed?.code).toBe(4803);
    expect((await harness.greet('user:ada', ticket)).closed?.code).toBe(4803);
    expect((await harness.greet('user:ada')).closed).toBeUndefined();
    expect((await harness.greet('user:eve', ticket)).closed).toBeUndefined();
  });

  it('a banned session reaches no connect hook, and does not end the connection that it would take over', async () => {
    let hooks = 0;
    harness = await EngineHarness.start([channel('rooms.:room')], { onConnect: () => void hooks++ });
    const ada = await harness.greet('user:ada');
    const ticket = (ada.take('welcome')[0]?.payload as { session: string }).session;
    const { sessions } = await harness.engine.sessions.list({ user: 'ada' }, { limit: 1 });
    await harness.engine.restrict({ act: 'ban', whom: { of: 'session', id: sessions[0]?.lineage ?? '' } });
    expect((await harness.greet('user:ada', ticket)).closed?.code).toBe(4803);
    expect(hooks).toBe(1);
  });

  it('who is muted reads, and is a member without data; what is in the log already is acknowledged', async () => {
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { presence: {} } })]);
    const eve = await harness.subscriber('rooms.1', 'user:eve');
    const ada = await harness.greet('user:ada');
    expect(await answerTo(ada, { ...say, id: 'p1' })).toBe('reply');
    await harness.engine.restrict(MUTE);
    const data = { presence: { data: 'shown' } };
    expect(await answerTo(ada, { type: 'subscribe', channel: 'rooms.1', payload: data })).toBe('reply');
    const { members } = await harness.engine.application.members('rooms.1');
    expect(members.find(({ id }) => id === 'ada')?.data).toBeUndefined();
    expect(await answerTo(ada, { type: 'presence_update', channel: 'rooms.1', payload: { data: 'x' } })).toBe(
      'muted 9000',
    );
    expect(await answerTo(ada, { ...say, id: 'p1' })).toBe('reply');
    expect(await answerTo(ada, { ...say, id: 'p2' })).toBe('muted 9000');
    expect(await answerTo(eve, say)).toBe('reply');
    expect(ada.take('event')).toHaveLength(1);
    harness.clock.advance(9_000);
    expect(await answerTo(ada, { ...say, id: 'p2' })).toBe('reply');
  });

  it('a node does not apply what it does not know, and its sender learns that', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    for (const strange of [
      { act: 'hide', whom: ADA },
      { act: 'ban', whom: { of: 'everybody', id: '' } },
      { act: 'mute', whom: { of: 'device', id: 'd' } },
      { act: 'mute', whom: ADA, channel: 'a..b' },
    ]) {
      const record = { kind: 'restrict', ...strange } as unknown as ControlMessage;
      expect((await harness.broker.bus.control(record)).missing).toHaveLength(1);
    }
    const unknown = { kind: 'pardon', user: 'ada' } as unknown as ControlMessage;
    expect((await harness.broker.bus.control(unknown)).missing).toHaveLength(1);
  });

  it('channels that nobody has are refused, and lists are of all acts', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const nowhere = { ...MUTE, channel: 'halls.1' };
    await expect(harness.engine.restrict(nowhere)).rejects.toMatchObject({ code: 'unknown_channel' });
    await expect(harness.engine.lift(nowhere)).rejects.toMatchObject({ code: 'unknown_channel' });
    await harness.engine.ban('ada', { forMs: 1_000, by: 'mod' });
    await harness.engine.restrict(MUTE);
    await harness.engine.restrict({ act: 'ban', whom: { of: 'user', id: 'eve' } });
    // Of what is left of a millisecond, a whole one is: the answer has whole ones.
    harness.clock.advance(9.5);
    const { restrictions } = harness.engine.restrictions({}, 0, 10);
    expect(restrictions.map(({ forMs }) => forMs)).toEqual([991, 8_991, undefined]);
    harness.clock.advance(0.5);
    expect(harness.engine.restrictions({}, 0, 10).restrictions).toMatchObject([
      { act: 'ban', whom: ADA, forMs: 990, by: 'mod' },
      { ...MUTE, forMs: 8_990 },
      { act: 'ban', whom: { of: 'user', id: 'eve' } },
    ]);
    await harness.engine.unban('ada');
    await harness.engine.lift({ act: 'ban', whom: { of: 'user', id: 'eve' } });
    await harness.engine.lift(MUTE);
    expect(harness.engine.restrictions({}, 0, 10).restrictions).toEqual([]);
  });

  it('the words and names of a moderator are one line of the log, in characters that print', async () => {
    const warnings: string[] = [];
    harness = await EngineHarness.start([channel('rooms.:room')], { warnings });
    const forged = 'x)\n[Nest] 1 LOG owner logged in\u001b[2K\u202e\u2028\u0085';
    const why = { reason: forged, by: forged };
    await harness.engine.ban('ada', { forMs: 9_000, ...why });
    await harness.greet('user:ada');
    await harness.engine.disconnectSessions('session', forged, why);
    await harness.engine.restrict({ act: 'mute', whom: { of: 'session', id: forged }, ...why });
    await harness.engine.disconnect(forged, why);
    const lines = [...harness.logs, ...warnings];
    expect(lines.filter((line) => line.includes('owner logged in'))).toHaveLength(5);
    expect(lines.join('')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    expect(lines.at(-1)).toContain(
      'User "ada" came back while banned ("x)\\n[Nest] 1 LOG owner logged in\\u001b[2K\\u202e\\u2028\\u0085")',
    );
  });

  it('an unknown channel is refused in the name of the act, with "leave it out" only where that means all', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const { engine } = harness;
    const everybody = { of: 'everybody', id: '' } as const;
    const slow = { act: 'slow', whom: everybody, channel: 'nowhere' } as const;
    const ban = { act: 'ban', whom: { of: 'user', id: 'ada' }, channel: 'nowhere' } as const;
    const calls: [() => Promise<unknown>, string][] = [
      [() => Promise.resolve().then(() => engine.requireChannel('kick', 'nowhere')), 'kick'],
      [() => engine.restrict({ ...slow, everyMs: 1 }), 'slow'],
      [() => engine.lift(slow), 'endSlow'],
    ];
    const optional: [() => Promise<unknown>, string][] = [
      [() => engine.restrict(ban), 'ban'],
      [() => engine.restrict({ ...ban, act: 'mute' }), 'mute'],
      [() => engine.lift(ban), 'lift'],
      [() => engine.revoke('ada', 'nowhere'), 'revoke'],
      [() => engine.reauthorize('ada', 'nowhere'), 'reauthorize'],
    ];
    const messageOf = (act: string) => `${act}: no channel is called "nowhere". Check the name`;
    for (const [call, act] of calls)
      await expect(call()).rejects.toMatchObject({ code: 'unknown_channel', message: messageOf(act) });
    for (const [call, act] of optional)
      await expect(call()).rejects.toMatchObject({
        code: 'unknown_channel',
        message: `${messageOf(act)}, or leave it out for all`,
      });
  });

  it('acts reach observers and the log with who and why, and names cannot forge a line', async () => {
    const acts: unknown[] = [];
    harness = await EngineHarness.start([channel('rooms.:room')], {
      observers: [{ onAct: (act, receipt) => void acts.push([act, receipt?.confirmed]) }],
    });
    const why = { reason: 'flood', by: 'mod' };
    await harness.engine.disconnect('ada', why);
    await harness.engine.revoke('ada', undefined, why);
    await harness.engine.revoke('ada', 'rooms.:room', why);
    await harness.engine.reauthorize('ada', undefined, why);
    await harness.engine.disconnectSessions('address', '127.0.0.1', why);
    await harness.engine.unban('ada', why);
    await harness.engine.restrict({ ...MUTE, ...why });
    await harness.engine.lift(MUTE, why);
    // Of a user everywhere, in the form that nodes of the last version know.
    await harness.engine.restrict({ act: 'ban', whom: ADA, forMs: 9_000, ...why });
    await harness.engine.lift({ act: 'ban', whom: ADA }, why);
    await quiet();
    const kinds = [
      'disconnect',
      'revoke',
      'revoke_pattern',
      'reauthorize',
      'disconnect_sessions',
      'unban',
      'restrict',
      'lift',
      'ban',
      'unban',
    ];
    expect(acts).toMatchObject(kinds.map((kind) => [{ kind, ...why }, ['node-1']]));
    expect(acts.every((given) => (given as { as?: string }[])[0]?.as === undefined)).toBe(true);
  });

  it('have the name that the moderator chose, which no other node learns of (G26)', async () => {
    const [acts, entries, records]: [unknown[], AuditDraft[], unknown[]] = [[], [], []];
    harness = await EngineHarness.start([channel('rooms.:room')], {
      observers: [
        {
          onAct: (act, receipt, error) => {
            acts.push(act);
            entries.push(draftOfAct(act as AdministrativeAct, receipt, error));
          },
        },
      ],
    });
    const { control } = harness.broker.bus;
    harness.broker.bus.control = (record) => {
      records.push(record);
      return control.call(harness?.broker.bus, record);
    };
    const why = { reason: 'enough', by: 'mod' };
    const { engine } = harness;
    await engine.revoke('ada', 'rooms.1', why, 'kick');
    await engine.revoke('ada', 'rooms.:room', why, 'kick');
    await engine.restrict({ act: 'ban', whom: ADA, channel: 'rooms.1', forMs: 9_000, ...why }, 'kick');
    await quiet();
    expect(acts).toMatchObject([{ kind: 'revoke' }, { kind: 'revoke_pattern' }, { kind: 'restrict' }]);
    expect(acts).toMatchObject([{ as: 'kick' }, { as: 'kick' }, { as: 'kick' }]);
    const entry = { act: 'kick', whom: ADA, ...why, result: 'applied' };
    expect(entries).toMatchObject([
      { ...entry, channel: 'rooms.1' },
      { ...entry, channel: 'rooms.:room' },
      { ...entry, channel: 'rooms.1', data: { forMs: 9_000 } },
    ]);
    expect(records.every((record) => !('as' in (record as object)))).toBe(true);
    expect(harness.logs.slice(-3).every((line) => line.startsWith('kick: '))).toBe(true);
  });
});

describe('patterns of restrictions (G30)', () => {
  it('are a thousand also where all are asked for at once, and one that was refused by the broker leaves its place', async () => {
    harness = await EngineHarness.start([channel('orgs.:org.rooms.:room')]);
    const { engine, broker } = harness;
    const whom = { of: 'everybody', id: '' } as const;
    const slow = (org: number): Promise<string> =>
      engine.restrict({ act: 'slow', whom, channel: `orgs.o${org}.rooms.:room`, everyMs: 1_000 }).then(
        () => 'put',
        ({ code }: { code: string }) => code,
      );
    const { control } = broker.bus;
    broker.bus.control = () => Promise.reject(new RealtimeError('unavailable'));
    expect(await Promise.all([slow(2_000), slow(2_000), slow(2_001)])).toEqual(Array(3).fill('unavailable'));
    broker.bus.control = (record) => control.call(broker.bus, record);
    const first = await Promise.all(Array.from({ length: 1_200 }, (_, org) => slow(org)));
    expect(first.filter((how) => how === 'put')).toHaveLength(1_000);
    expect(first.filter((how) => how === 'bad_request')).toHaveLength(200);
    // The same one twice at once takes one place.
    await engine.lift({ act: 'slow', whom, channel: 'orgs.o7.rooms.:room' });
    expect(await Promise.all([slow(7), slow(7), slow(1_500)])).toEqual(['put', 'put', 'bad_request']);
    expect(engine.restrictions({ act: 'slow' }, 0, 1_000).restrictions).toHaveLength(1_000);
  });

  it('are a thousand of an act and subject, and a further one is refused before it is sent', async () => {
    harness = await EngineHarness.start([channel('orgs.:org.rooms.:room')]);
    const acts = harness.logs.length;
    const whom = { of: 'everybody', id: '' } as const;
    const slow = (org: number) =>
      harness.engine.restrict({ act: 'slow', whom, channel: `orgs.o${org}.rooms.:room`, everyMs: 1_000 });
    for (let org = 0; org < 1_000; org++) await slow(org);
    await expect(slow(1_000)).rejects.toMatchObject({ code: 'bad_request' });
    await slow(7);
    expect(harness.logs).toHaveLength(acts + 1_001);
    await harness.engine.lift({ act: 'slow', whom, channel: 'orgs.o7.rooms.:room' });
    await slow(1_000);
    expect(harness.engine.restrictions({ channel: 'orgs.o1000.rooms.1' }, 0, 10).restrictions).toHaveLength(
      1,
    );
  });
});

describe('the end of a restriction (G30)', () => {
  const ban = (channelName?: string, forMs?: number): Restriction => ({
    act: 'ban',
    whom: ADA,
    ...(channelName === undefined ? {} : { channel: channelName }),
    ...(forMs === undefined ? {} : { forMs }),
  });

  it('says what else of the same act and person is still in force there', async () => {
    harness = await EngineHarness.start([channel('rooms.:room'), channel('halls.:hall')]);
    const { engine, clock } = harness;
    await engine.restrict(ban('rooms.:room', 9_000));
    await engine.restrict(ban('rooms.1'));
    await engine.restrict({ ...ban('rooms.:room'), whom: { of: 'user', id: 'eve' } });
    await engine.restrict({ ...ban('rooms.:room'), act: 'mute' });
    await engine.restrict(ban('halls.1'));
    clock.sleep(1_000);
    const receipt = { confirmed: ['node-1'], missing: [] };
    const pattern = { ...ban('rooms.:room', 8_000) };
    expect(await engine.lift(ban('rooms.1'))).toEqual({ ...receipt, remains: [pattern] });
    const ada = await harness.greet('user:ada');
    expect(await answerTo(ada, { type: 'subscribe', channel: 'rooms.1' })).toBe('banned 8000');
    expect(await engine.lift(ban('rooms.2'))).toEqual({ ...receipt, remains: [pattern] });
    await engine.restrict(ban('rooms.3'));
    expect(await engine.lift(ban('rooms.:any'))).toEqual({ ...receipt, remains: [ban('rooms.3')] });
    expect(await engine.lift(ban('rooms.4'))).toEqual({ ...receipt, remains: [] });
    await engine.restrict(ban(undefined, 500));
    expect(await engine.lift(ban('rooms.3'))).toEqual({ ...receipt, remains: [ban(undefined, 500)] });
    clock.sleep(500);
    expect(await engine.lift(ban('rooms.3'))).toEqual({ ...receipt, remains: [] });
    // Everywhere: also those of a channel.
    expect(await engine.lift(ban())).toEqual({ ...receipt, remains: [ban('halls.1')] });
    expect(await engine.lift(ban('halls.1'))).toEqual({ ...receipt, remains: [] });
  });

  it('names patterns that have channels in common, and at most a hundred', async () => {
    harness = await EngineHarness.start([channel('orgs.:org.rooms.:room'), channel('orgs.:org')]);
    const { engine } = harness;
    const whom = { of: 'everybody', id: '' } as const;
    const slow = (channelName: string) => ({ act: 'slow', whom, channel: channelName, everyMs: 1 }) as const;
    await engine.restrict(slow('orgs.a.rooms.:room'));
    await engine.restrict(slow('orgs.b.rooms.:room'));
    await engine.restrict(slow('orgs.:org.rooms.7'));
    await engine.restrict(slow('orgs.:org'));
    const remains = async (name: string) =>
      (await engine.lift(slow(name))).remains.map(({ channel: found }) => found);
    expect(await remains('orgs.a.rooms.7')).toEqual(['orgs.a.rooms.:room', 'orgs.:org.rooms.7']);
    expect(await remains('orgs.a.rooms.:room')).toEqual(['orgs.:org.rooms.7']);
    expect(await remains('orgs.:org.rooms.8')).toEqual(['orgs.b.rooms.:room']);
    for (let room = 0; room < 102; room++) await engine.restrict(slow(`orgs.c.rooms.r${room}`));
    expect(await remains('orgs.c.rooms.:room')).toHaveLength(100);
  });
});

describe('slow mode of a channel (G30)', () => {
  const SLOW: Restriction = {
    act: 'slow',
    whom: { of: 'everybody', id: '' },
    channel: 'rooms.1',
    everyMs: 10_000,
  };

  it('lets each user publish once in its time, and says when the next may come', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    await harness.engine.restrict(SLOW);
    const ada = await harness.greet('user:ada');
    const eve = await harness.greet('user:eve');
    expect(await answerTo(ada, { ...say, id: 'a' })).toBe('reply');
    harness.clock.advance(2_500);
    expect(await answerTo(ada, { ...say, id: 'b' })).toBe('muted slow_mode 7500');
    // Sent again, it is no second publish; another session of the user is the same user.
    expect(await answerTo(ada, { ...say, id: 'a' })).toBe('reply');
    const phone = await harness.greet('user:ada');
    expect(await answerTo(phone, { ...say, id: 'c' })).toBe('muted slow_mode 7500');
    expect(await answerTo(ada, { ...say, id: 'd', channel: 'rooms.2' })).toBe('reply');
    expect(await answerTo(eve, say)).toBe('reply');
    harness.clock.advance(7_500);
    expect(await answerTo(ada, { ...say, id: 'b' })).toBe('reply');
    await harness.engine.lift(SLOW);
    expect(await answerTo(ada, say)).toBe('reply');
  });

  it.each([
    ['where the log remembers no ids', 0, ['user:ada', 'user:ada', 'user:ada'], 0],
    ['after the log has forgotten it', 1_000, ['user:ada', 'user:ada', 'user:ada'], 1_001],
    ['of several anonymous sessions of an address', 300_000, [undefined, undefined, undefined], 0],
  ])('takes one id for several publishes %s', async (_, dedupeMs, tokens, pauseMs) => {
    const log = { retain: true, size: 100, maxBytes: 1e6, ttlMs: 3_600_000, dedupeMs };
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { log } })]);
    await harness.engine.restrict(SLOW);
    const outcomes: unknown[] = [];
    for (const token of tokens) {
      const client = await harness.greet(token);
      outcomes.push(await answerTo(client, { ...say, payload: outcomes.length, id: 'same' }));
      harness.clock.advance(pauseMs);
    }
    const waitMs = (publishes: number): string => `muted slow_mode ${10_000 - publishes * pauseMs}`;
    expect(outcomes).toEqual(['reply', waitMs(1), waitMs(2)]);
    expect(await lastSeq()).toBe(1);
  });

  it('refuses the second of two that run at once, and a failed one gives its place back', async () => {
    const handlings = [gate<boolean>(), gate<boolean>()];
    let runs = 0;
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          publish: new Map([
            [
              'said',
              async () => {
                if (await handlings[runs++]?.opened) throw new RealtimeError('refused');
              },
            ],
          ]),
        },
      }),
    ]);
    await harness.engine.restrict(SLOW);
    const ada = await harness.greet('user:ada');
    const phone = await harness.greet('user:ada');
    ada.take();
    ada.send({ ...say, id: 'a' });
    await quiet();
    expect(await answerTo(phone, { ...say, id: 'b' })).toBe('muted slow_mode 10000');
    // The same publish, from the other connection, shares the run and its place.
    phone.send({ ...say, id: 'a' });
    await quiet();
    handlings[0]?.open(true);
    await quiet();
    expect([outcomeOf(ada, 'a'), outcomeOf(phone, 'a')]).toEqual(['refused', 'refused']);
    handlings[1]?.open(false);
    expect(await answerTo(phone, { ...say, id: 'b' })).toBe('reply');
    expect(await answerTo(ada, { ...say, id: 'e' })).toBe('muted slow_mode 10000');
    expect(runs).toBe(2);
  });

  it('gives the place back where the broker did not take the event', async () => {
    const memory = memoryBroker();
    let isAway = true;
    const broker = alteredBroker(memory, {
      log: {
        appendMany: (...given) =>
          isAway ? Promise.reject(new RealtimeError('unavailable')) : memory.log.appendMany(...given),
      },
    });
    harness = await EngineHarness.start([channel('rooms.:room')], { broker });
    await harness.engine.restrict(SLOW);
    const ada = await harness.greet('user:ada');
    expect(await answerTo(ada, { ...say, id: 'a' })).toBe('unavailable');
    isAway = false;
    expect(await answerTo(ada, { ...say, id: 'b' })).toBe('reply');
    expect(await answerTo(ada, { ...say, id: 'c' })).toMatch('muted slow_mode');
  });

  it('leaves exempt users alone, and one whose exemption fails counts like any other', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      isExempt: (user, name) => {
        if (user.id === 'bad') throw new Error('no');
        return user.id === 'mod' && name === 'rooms.1';
      },
    });
    await harness.engine.restrict({ ...SLOW, channel: 'rooms.:room' });
    const twice = async (token: string | undefined, name: string): Promise<unknown> => {
      const client = await harness.greet(token);
      await answerTo(client, { ...say, channel: name });
      return answerTo(client, { ...say, channel: name });
    };
    expect(await twice('user:mod', 'rooms.1')).toBe('reply');
    expect(await twice('user:mod', 'rooms.2')).toBe('muted slow_mode 10000');
    expect(await twice('user:bad', 'rooms.1')).toBe('muted slow_mode 10000');
    expect(harness.errors).toHaveLength(1);
    expect(await twice(undefined, 'rooms.1')).toBe('muted slow_mode 10000');
  });

  it('another node learns of a publish when its event arrives there', async () => {
    const clock = new ManualClock();
    const store = new MemoryStore({ clock, entropy: new SeededEntropy(7) });
    harness = await EngineHarness.start([channel('rooms.:room')], { broker: memoryBroker({ store }), clock });
    const other = await EngineHarness.start([channel('rooms.:room')], {
      broker: memoryBroker({ store }),
      clock,
      seed: 2,
      settings: { nodeId: 'node-2' },
    });
    try {
      await harness.engine.restrict(SLOW);
      const here = await harness.greet('user:ada');
      const there = await other.subscriber('rooms.1', 'user:ada');
      expect(await answerTo(here, { ...say, id: 'x' })).toBe('reply');
      expect(await answerTo(there, { ...say, id: 'y' })).toBe('muted slow_mode 10000');
      expect(await answerTo(there, { ...say, id: 'x' })).toBe('reply');
    } finally {
      await other.stop();
    }
  });
});
