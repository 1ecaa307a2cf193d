import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { AuthorizationResult, ChannelBehaviour } from '../../../../lib/core/ports/channel-definition.js';
import type { MaybePromise } from '../../../../lib/core/ports/maybe-promise.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { lossyBroker } from '../../../support/fault/lossy-broker.js';

// Wherever the types allow `MaybePromise`, the application may answer at once or later, and may throw or reject. Each case
// here runs in both forms, so that neither path is left to chance.
const FORMS = ['at once', 'later'] as const;
type Form = (typeof FORMS)[number];

/** Gives a value, or throws, in one of the two forms. */
function give<T>(form: Form, make: () => T): MaybePromise<T> {
  return form === 'at once' ? make() : Promise.resolve().then(make);
}

function thrower(error: unknown): () => never {
  return () => {
    throw error;
  };
}

/** Every pair of a form and a row. */
function inBothForms<Row extends readonly unknown[]>(rows: readonly Row[]): [Form, ...Row][] {
  return FORMS.flatMap((form) => rows.map((row): [Form, ...Row] => [form, ...row]));
}

let harness: EngineHarness;
afterEach(() => harness.stop());

interface ErrorPayload {
  readonly code: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
}

/** The one answer to a command: `reply`, or the code of its error. */
function answerTo(connection: FakeConnection, id: string): string {
  const answers = connection.received.filter(({ ref }) => ref === id);
  expect(answers).toHaveLength(1);
  const [answer] = answers;
  return answer?.type === 'error' ? (answer.payload as ErrorPayload).code : String(answer?.type);
}

async function ask(connection: FakeConnection, command: object): Promise<string> {
  connection.send({ id: 'asked', ...command });
  await quiet();
  return answerTo(connection, 'asked');
}

const SECRET = 'postgres://admin:hunter2@10.0.0.1';
const REFUSALS = [
  ['unauthorized', new RealtimeError('unauthorized'), 4801],
  ['token_expired', new RealtimeError('token_expired'), 4008],
  ['forbidden', new RealtimeError('forbidden'), 4802],
  ['banned', new RealtimeError('banned', undefined, { retryAfterMs: 1_000 }), 4803],
  ['unavailable', new RealtimeError('unavailable'), 4007],
  ['bad_request', new RealtimeError('bad_request'), 4805],
  ['internal', new Error(SECRET), 4005],
  ['internal', SECRET, 4005],
] as const;

describe('an authenticator of the engine', () => {
  const hello = { type: 'hello', id: 'h', payload: { versions: [1], token: 't' } };

  it.each(FORMS)('an authenticator that answers %s admits the user that it names', async (form) => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      authenticator: { authenticate: () => give(form, () => ({ user: { id: 'ada' } })) },
    });
    const connection = harness.connect();
    connection.send(hello);
    await quiet();
    expect(connection.received[0]).toMatchObject({ type: 'welcome', payload: { user: 'ada' } });
    expect(harness.engine.sessionsOf('ada')).toHaveLength(1);
  });

  it.each(inBothForms(REFUSALS))(
    'an authenticator that refuses %s with %s closes the connection with the code of the error, and sends no welcome',
    async (form, code, error, close) => {
      harness = await EngineHarness.start([channel('rooms.:room')], {
        authenticator: { authenticate: () => give(form, thrower(error)) },
      });
      const connection = harness.connect();
      connection.send(hello, { type: 'ping', id: 'p' });
      await quiet();
      expect(connection.received.map(({ type }) => type)).toEqual(['error']);
      expect(answerTo(connection, 'h')).toBe(code);
      expect(JSON.stringify(connection.received)).not.toContain('hunter2');
      expect(connection.closed?.code).toBe(close);
      expect(harness.engine.status.sessions).toBe(0);
    },
  );

  it.each(inBothForms(REFUSALS))(
    'an authenticator that refuses `auth` %s with %s leaves the connection and its user unchanged (G12)',
    async (form, code, error, _close) => {
      let answer: () => MaybePromise<object> = () => ({ user: { id: 'ada' } });
      harness = await EngineHarness.start([channel('rooms.:room')], {
        authenticator: { authenticate: () => answer() },
      });
      const connection = await harness.greet('t');
      answer = () => give(form, thrower(error));
      expect(await ask(connection, { type: 'auth', payload: { token: 'other' } })).toBe(code);
      expect(connection.closed).toBeUndefined();
      expect(harness.engine.sessionsOf('ada')).toHaveLength(1);
    },
  );

  it.each(FORMS)(
    'an authenticator that answers `auth` %s replaces the claims, but not the user (G12)',
    async (form) => {
      let user: { id: string; role?: string } = { id: 'ada', role: 'member' };
      let roleSeen: unknown;
      harness = await EngineHarness.start(
        [
          channel('rooms.:room', {
            behaviour: {
              authorize: { subscribe: ({ user: asked }) => ((roleSeen = asked?.['role']), true) },
            },
          }),
        ],
        { authenticator: { authenticate: () => give(form, () => ({ user })) } },
      );
      const connection = await harness.greet('t');
      user = { id: 'ada', role: 'admin' };
      connection.send({ type: 'auth', id: 'a1', payload: { token: 'fresh' } });
      await quiet();
      expect(answerTo(connection, 'a1')).toBe('reply');
      user = { id: 'eve', role: 'root' };
      connection.send({ type: 'auth', id: 'a2', payload: { token: 'stolen' } });
      await quiet();
      expect(answerTo(connection, 'a2')).toBe('forbidden');
      connection.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
      await quiet();
      expect(roleSeen).toBe('admin');
    },
  );

  it.each(FORMS)(
    'an authenticator that answers hello %s must return the user of the upgrade',
    async (form) => {
      let id = 'ada';
      harness = await EngineHarness.start([channel('rooms.:room')], {
        authenticator: { authenticate: () => give(form, () => ({ user: { id } })) },
      });
      const open = (): FakeConnection => {
        const connection = harness.connect();
        connection.handler = harness.engine.host.open(connection, {
          authentication: { user: { id: 'ada' }, endsAt: Infinity },
          token: 'u',
        });
        connection.send(hello);
        return connection;
      };
      const same = open();
      await quiet();
      expect(same.received[0]?.type).toBe('welcome');
      id = 'eve';
      const other = open();
      await quiet();
      expect(other.closed?.code).toBe(4802);
    },
  );
});

describe('a connect guard of the engine', () => {
  it.each(
    inBothForms([
      ['nothing', undefined],
      ['true', true],
    ] as const),
  )('a connect guard that answers %s with %s admits the client', async (form, _what, verdict) => {
    harness = await EngineHarness.start([channel('rooms.:room')], {
      onConnect: () => give(form, () => verdict),
    });
    const connection = await harness.greet();
    expect(connection.take('welcome')).toHaveLength(1);
  });

  it.each(inBothForms([['forbidden', false, 4802] as const, ...REFUSALS]))(
    'a connect guard that refuses %s with %s closes the connection with the code of the error (G9)',
    async (form, code, error, close) => {
      harness = await EngineHarness.start([channel('rooms.:room')], {
        onConnect: () => give(form, error === false ? () => false : thrower(error)),
      });
      const connection = await harness.greet();
      expect(connection.received.map(({ type }) => type)).toEqual(['error']);
      expect((connection.received[0]?.payload as ErrorPayload).code).toBe(code);
      expect(connection.closed?.code).toBe(close);
    },
  );
});

/** What an authorization may say, and what becomes of the command. */
const VERDICTS: readonly (readonly [string, () => AuthorizationResult, string])[] = [
  ['true', () => true, 'admitted'],
  ['a lease', () => ({ forMs: 1_000 }), 'admitted'],
  ['false', () => false, 'forbidden'],
  ['nothing', () => undefined as never, 'forbidden'],
  ['null', () => null as never, 'forbidden'],
  ['a number', () => 1 as never, 'forbidden'],
  ['a string', () => 'yes' as never, 'forbidden'],
  ['a lease of 0 ms', () => ({ forMs: 0 }), 'forbidden'],
  ['a negative lease', () => ({ forMs: -1 }), 'forbidden'],
  ['a lease of NaN', () => ({ forMs: NaN }), 'forbidden'],
  ['an object without a lease', () => ({}) as never, 'forbidden'],
  ['an error of the protocol', thrower(new RealtimeError('muted')), 'muted'],
  ['a retryable error', thrower(new RealtimeError('unavailable')), 'unavailable'],
  ['any other error', thrower(new Error(SECRET)), 'internal'],
];

/** Commands that only ask: a failure of the application does not end what their client wants (P6d). */
const ASKS: readonly string[] = ['subscribe', 'history', 'presence'];
const codeFor = (action: string, outcome: string): string =>
  outcome === 'internal' && ASKS.includes(action) ? 'unavailable' : outcome;

const COMMANDS = {
  subscribe: { type: 'subscribe', channel: 'rooms.1' },
  publish: { type: 'publish', channel: 'rooms.1', event: 'said', payload: 1 },
  signal: { type: 'signal', channel: 'rooms.1', event: 'typing' },
  request: { type: 'request', channel: 'rooms.1', event: 'ask' },
  history: { type: 'history', channel: 'rooms.1' },
  presence: { type: 'presence', channel: 'rooms.1' },
} as const;

describe.each(Object.keys(COMMANDS) as (keyof typeof COMMANDS)[])(
  'an authorization of %s in the engine',
  (action) => {
    it.each(inBothForms(VERDICTS))(
      'an authorization that answers %s with %s decides whether the command runs (G10)',
      async (form, _what, make, outcome) => {
        const ran: string[] = [];
        harness = await EngineHarness.start([
          channel('rooms.:room', {
            policy: { presence: {} },
            behaviour: {
              authorize: { subscribe: 'public', publish: 'public', [action]: () => give(form, make) },
              publish: new Map([['said', () => void ran.push('publish')]]),
              requests: new Map([['ask', () => void ran.push('request')]]),
              onSubscribe: () => void ran.push('subscribed'),
            },
          }),
        ]);
        const connection = await harness.greet('user:ada');
        const expected = outcome === 'admitted' ? 'reply' : codeFor(action, outcome);
        expect(await ask(connection, COMMANDS[action])).toBe(expected);
        if (outcome !== 'admitted') expect(ran).toEqual([]);
        expect(connection.closed).toBeUndefined();
      },
    );
  },
);

describe('an authorization of a request without a channel', () => {
  it.each(inBothForms(VERDICTS))(
    'an authorization that answers %s with %s decides whether the request runs (G10)',
    async (form, _what, make, outcome) => {
      let ran = 0;
      harness = await EngineHarness.start([], {
        requests: new Map([['ask', { authorize: () => give(form, make), handle: () => ++ran }]]),
      });
      const connection = await harness.greet('user:ada');
      expect(await ask(connection, { type: 'request', event: 'ask' })).toBe(
        outcome === 'admitted' ? 'reply' : outcome,
      );
      expect(ran).toBe(outcome === 'admitted' ? 1 : 0);
    },
  );
});

/** What a handler may do, and the answer to its command. */
const OUTCOMES: readonly (readonly [string, () => unknown, string])[] = [
  ['a value', () => ({ n: 1 }), 'reply'],
  ['nothing', () => undefined, 'reply'],
  ['null', () => null, 'reply'],
  ['an error of the protocol', thrower(new RealtimeError('muted')), 'muted'],
  ['any other error', thrower(new Error(SECRET)), 'internal'],
  ['an unserializable value', () => ({ n: 10n }), 'internal'],
];

const handlers: Readonly<Record<string, (run: () => MaybePromise<unknown>) => Partial<ChannelBehaviour>>> = {
  subscribe: (run) => ({
    snapshot: {
      shareable: false,
      run: () => {
        const state = run();
        return state instanceof Promise ? state.then((value) => ({ state: value })) : { state };
      },
    },
  }),
  publish: (run) => ({ publish: new Map([['said', run]]) }),
  request: (run) => ({ requests: new Map([['ask', run]]) }),
};

describe.each(Object.keys(handlers) as ('subscribe' | 'publish' | 'request')[])(
  'a handler of %s in the engine',
  (kind) => {
    it.each(inBothForms(OUTCOMES))(
      'a handler whose outcome comes %s (%s) is answered once (P7, G25)',
      async (form, _what, make, outcome) => {
        const given = (): MaybePromise<unknown> => give(form, make);
        harness = await EngineHarness.start([
          channel('rooms.:room', {
            behaviour: {
              authorize: { subscribe: 'public', publish: 'public', request: 'public' },
              ...handlers[kind]?.(given),
            },
          }),
        ]);
        const connection = await harness.greet('user:ada');
        expect(await ask(connection, COMMANDS[kind])).toBe(codeFor(kind, outcome));
        expect(JSON.stringify(connection.received)).not.toContain('hunter2');
        expect(connection.closed).toBeUndefined();
        expect(await harness.engine.application.history('rooms.1')).toMatchObject({
          position: { seq: kind === 'publish' && outcome === 'reply' ? 1 : 0 },
        });
      },
    );

    it('a handler that never ends is answered in time, once; a request as one that cannot be repeated (G18, P17c)', async () => {
      harness = await EngineHarness.start([
        channel('rooms.:room', {
          behaviour: {
            authorize: { subscribe: 'public', publish: 'public', request: 'public' },
            ...handlers[kind]?.(() => new Promise(() => undefined)),
          },
        }),
      ]);
      const connection = await harness.greet('user:ada');
      connection.send({ id: 'asked', ...COMMANDS[kind] });
      await quiet();
      harness.clock.advance(10_000);
      await quiet();
      expect(answerTo(connection, 'asked')).toBe(kind === 'request' ? 'outcome_unknown' : 'timeout');
    });
  },
);

describe('a publish handler of the engine', () => {
  it.each(
    inBothForms([
      ['a value', { n: 1 }, { n: 1 }],
      ['false', false, false],
      ['nothing, for the unchanged payload', undefined, 'as it came'],
      ['null, for the unchanged payload', null, 'as it came'],
    ] as const),
  )(
    'a publish handler that answers %s with %s decides what is appended (P15)',
    async (form, _what, given, appended) => {
      harness = await EngineHarness.start([
        channel('rooms.:room', {
          behaviour: { publish: new Map([['said', () => give(form, () => given)]]) },
        }),
      ]);
      const connection = await harness.subscriber('rooms.1');
      expect(await ask(connection, { ...COMMANDS.publish, payload: 'as it came' })).toBe('reply');
      expect(connection.take('event').map(({ payload }) => payload)).toEqual([appended]);
    },
  );
});

describe('a handler of a request without a channel', () => {
  it.each(inBothForms(OUTCOMES))(
    'a handler whose outcome comes %s (%s) is answered once (P7, G25)',
    async (form, _what, make, outcome) => {
      harness = await EngineHarness.start([], {
        requests: new Map([['ask', { authorize: 'public', handle: () => give(form, make) }]]),
      });
      const connection = await harness.greet('user:ada');
      expect(await ask(connection, { type: 'request', event: 'ask' })).toBe(outcome);
    },
  );
});

describe('a snapshot of the engine', () => {
  it.each(inBothForms([[true], [false]] as const))(
    'a snapshot that is made %s and may be shared (%s) is sent as the handler returned it (P26)',
    async (form, shareable) => {
      harness = await EngineHarness.start([
        channel('rooms.:room', {
          behaviour: { snapshot: { shareable, run: () => give(form, () => ({ state: { n: 1 } })) } },
        }),
      ]);
      const connection = await harness.greet();
      connection.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
      await quiet();
      expect(connection.take('reply')[0]?.payload).toMatchObject({ recovery: 'new', snapshot: { n: 1 } });
    },
  );

  it.each(inBothForms([['a position of the log'], ['a position that the log does not have']] as const))(
    'a snapshot that is made %s with %s starts the replay there or refuses the subscribe (P26)',
    async (form, what) => {
      let state = { epoch: '', seq: 0 };
      harness = await EngineHarness.start([
        channel('rooms.:room', {
          behaviour: {
            snapshot: { shareable: false, run: () => give(form, () => ({ state: 1, position: state })) },
          },
        }),
      ]);
      await harness.publish('rooms.1', 3);
      const { position } = await harness.engine.application.history('rooms.1');
      state = what === 'a position of the log' ? { ...position, seq: 1 } : { ...position, seq: 9 };
      const connection = await harness.greet();
      connection.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
      await quiet();
      if (what === 'a position of the log') {
        expect(answerTo(connection, 's')).toBe('reply');
        expect(connection.take('event').map(({ seq }) => seq)).toEqual([2, 3]);
      } else {
        expect(answerTo(connection, 's')).toBe('unavailable');
        expect(connection.take('event')).toEqual([]);
      }
    },
  );
});

describe('a lifecycle hook of the engine', () => {
  it.each(
    inBothForms([
      ['onSubscribe', 'works'],
      ['onSubscribe', 'fails'],
      ['onUnsubscribe', 'works'],
      ['onUnsubscribe', 'fails'],
    ] as const),
  )(
    'a hook that works %s: %s that %s changes no answer, and its failure is logged once (G25)',
    async (form, hook, end) => {
      let runs = 0;
      const failure = new Error('the hook');
      harness = await EngineHarness.start([
        channel('rooms.:room', {
          behaviour: {
            [hook]: () =>
              give(form, () => {
                runs++;
                if (end === 'fails') throw failure;
              }),
          },
        }),
      ]);
      const connection = await harness.subscriber('rooms.1');
      await harness.publish('rooms.1');
      expect(connection.take('event')).toHaveLength(1);
      connection.send({ type: 'unsubscribe', id: 'u', channel: 'rooms.1' });
      await quiet();
      expect(answerTo(connection, 'u')).toBe('reply');
      expect(runs).toBe(1);
      expect(harness.errors).toEqual(end === 'fails' ? [failure] : []);
    },
  );
});

describe('a failing broker', () => {
  const ERRORS = [
    ['unavailable', new RealtimeError('unavailable')],
    ['timeout', new RealtimeError('timeout')],
  ] as const;
  type Broken = 'subscribe' | 'read' | 'appendMany' | 'signal' | 'members' | 'enter';
  const asks: readonly (readonly [Broken, object])[] = [
    ['subscribe', { type: 'subscribe', channel: 'rooms.1' }],
    ['read', { type: 'subscribe', channel: 'rooms.1', payload: { position: { epoch: 'an epoch', seq: 0 } } }],
    ['read', { type: 'history', channel: 'rooms.1' }],
    ['appendMany', { type: 'publish', channel: 'rooms.1', event: 'said', payload: 1 }],
    ['signal', { type: 'signal', channel: 'rooms.1', event: 'typing' }],
    ['members', { type: 'presence', channel: 'rooms.1' }],
    ['members', { type: 'subscribe', channel: 'rooms.1' }],
    ['enter', { type: 'subscribe', channel: 'rooms.1' }],
  ];
  const rows = asks.flatMap(([method, command]) =>
    ERRORS.map(
      ([code, error]) => [method, (command as { type: string }).type, code, command, error] as const,
    ),
  );

  it.each(rows)(
    'a broker whose %s fails answers %s with %s as retryable, and the next attempt succeeds (G21)',
    async (method, _type, code, command, error) => {
      const broker = lossyBroker(memoryBroker());
      harness = await EngineHarness.start(
        [
          channel('rooms.:room', {
            policy: { presence: {} },
            behaviour: {
              authorize: {
                subscribe: 'public',
                publish: 'public',
                signal: 'public',
                history: 'public',
                presence: 'public',
              },
            },
          }),
        ],
        { broker },
      );
      const target = (method === 'members' || method === 'enter'
        ? broker.presence
        : broker.log) as unknown as Record<string, unknown>;
      const works = target[method];
      target[method] = () => Promise.reject(error);
      const connection = await harness.greet('user:ada');
      expect(await ask(connection, command)).toBe(code);
      expect(connection.received.at(-1)?.payload).toMatchObject({ retryable: true });
      target[method] = works;
      expect(connection.closed).toBeUndefined();
      connection.send({ ...command, id: 'again' });
      await quiet();
      expect(answerTo(connection, 'again')).toBe('reply');
    },
  );

  it.each(['rejects', 'throws synchronously'])(
    'a broker that %s with an undeclared error ends no connection',
    async (way) => {
      const broker = lossyBroker(memoryBroker());
      harness = await EngineHarness.start([channel('rooms.:room')], { broker });
      const connection = await harness.greet('user:ada');
      const works = broker.log.appendMany.bind(broker);
      broker.log.appendMany = () => {
        if (way === 'rejects') return Promise.reject(new Error(SECRET));
        throw new Error(SECRET);
      };
      const publish = { type: 'publish', channel: 'rooms.1', event: 'said', payload: 1 };
      expect(await ask(connection, publish)).toBe('unavailable');
      broker.log.appendMany = works;
      connection.send({ ...publish, id: 'again' });
      await quiet();
      expect(answerTo(connection, 'again')).toBe('reply');
      expect(JSON.stringify(connection.received)).not.toContain('hunter2');
    },
  );
});
