import { afterEach, describe, expect, it } from '@jest/globals';
import type {
  ChannelBehaviour,
  ConnectionRequest,
  HandlerCall,
} from '../../../lib/core/ports/channel-definition.js';
import { ERROR_CODES, type ErrorCode } from '../../../lib/protocol/error-codes.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireServer, type WireServer, type WireSettings } from '../../support/wire/server.js';

let server: WireServer;
afterEach(() => server.close());

async function start(
  behaviour: Partial<ChannelBehaviour> = {},
  requests: ReadonlyMap<string, ConnectionRequest> = new Map(),
  settings: WireSettings = {},
): Promise<void> {
  server = await startWireServer({
    channels: [wireChannel('rooms.:room', { presence: true, behaviour })],
    requests,
    settings,
  });
}

const echo = ({ payload }: HandlerCall) => payload;
const onlyAda = ({ user }: HandlerCall) => user?.id === 'ada';

describe('denial by default (G9)', () => {
  it('every command to a name that no pattern matches is refused with unknown_channel (G9)', async () => {
    await start();
    const client = await server.connect('ada');
    for (const type of [
      'subscribe',
      'publish',
      'signal',
      'request',
      'history',
      'presence',
      'presence_update',
      'snapshot',
    ]) {
      for (const channel of ['halls.1', 'rooms', 'rooms.1.2', 'Rooms.1']) {
        expect(await client.error({ type, channel, event: 'said', payload: {} })).toMatchObject({
          code: 'unknown_channel',
        });
      }
    }
  });

  it('a publish or signal is forbidden for an undeclared event and for a channel that declares none (G9, P15b)', async () => {
    await start({ publish: new Map([['said', undefined]]), signals: new Set(['typing']) });
    const client = await server.connect('ada');
    await client.subscribe('rooms.1');
    expect((await client.error({ type: 'publish', channel: 'rooms.1', event: 'unsaid' })).code).toBe(
      'forbidden',
    );
    expect((await client.error({ type: 'signal', channel: 'rooms.1', event: 'said' })).code).toBe(
      'forbidden',
    );
    expect((await client.error({ type: 'publish', channel: 'rooms.1', event: 'typing' })).code).toBe(
      'forbidden',
    );
    for (const event of ['constructor', '__proto__', 'toString']) {
      expect((await client.error({ type: 'publish', channel: 'rooms.1', event })).code).toBe('forbidden');
      expect((await client.error({ type: 'signal', channel: 'rooms.1', event })).code).toBe('forbidden');
      expect((await client.error({ type: 'request', channel: 'rooms.1', event })).code).toBe('bad_request');
      expect((await client.error({ type: 'request', event })).code).toBe('bad_request');
    }
    await server.close();
    server = await startWireServer({ channels: [wireChannel('rooms.:room', { signals: ['typing'] })] });
    const other = await server.connect('ada');
    await other.subscribe('rooms.1');
    const readOnly = await other.error({ type: 'publish', channel: 'rooms.1', event: 'said' });
    // P15b: the two are not told apart.
    expect(readOnly.code).toBe('forbidden');
    expect((await server.engine.application.history('rooms.1')).position.seq).toBe(0);
  });
});

describe('authorization of every command (G10)', () => {
  it('each subscribe is authorized for its user and channel (G10)', async () => {
    const asked: unknown[] = [];
    await start({
      authorize: {
        subscribe: (call) => {
          asked.push([call.user?.id, call.channel, call.params, call.payload]);
          return onlyAda(call);
        },
      },
    });
    const ada = await server.connect('ada');
    const bob = await server.connect('bob');
    await ada.subscribe('rooms.1', { params: { lang: 'de' } });
    expect((await bob.error({ type: 'subscribe', channel: 'rooms.1', payload: {} })).code).toBe('forbidden');
    await ada.call({ type: 'unsubscribe', channel: 'rooms.1' });
    await ada.subscribe('rooms.1');
    expect(asked).toEqual([
      ['ada', 'rooms.1', { room: '1' }, { lang: 'de' }],
      ['bob', 'rooms.1', { room: '1' }, undefined],
      ['ada', 'rooms.1', { room: '1' }, undefined],
    ]);
    await server.engine.application.publish('rooms.1', 'said', 'secret');
    await bob.call({ type: 'ping' });
    expect(bob.pending).toEqual([]);
  });

  it('request, history, presence and signal need a live subscription of the same connection (G10)', async () => {
    await start({ signals: new Set(['typing']), requests: new Map([['echo', echo]]) });
    const client = await server.connect('ada');
    // Another connection of the same user is no excuse.
    const other = await server.connect('ada');
    await other.subscribe('rooms.1');
    const commands = [
      { type: 'request', event: 'echo' },
      { type: 'history' },
      { type: 'presence' },
      { type: 'presence_update', payload: { data: 1 } },
      { type: 'snapshot' },
      { type: 'signal', event: 'typing' },
    ].map((command) => ({ ...command, channel: 'rooms.1' }));
    for (const command of commands) expect((await client.error(command)).code).toBe('not_subscribed');
    await client.subscribe('rooms.1');
    for (const command of commands) expect((await client.call(command)).type).toBe('reply');
    await client.call({ type: 'unsubscribe', channel: 'rooms.1' });
    for (const command of commands) expect((await client.error(command)).code).toBe('not_subscribed');
  });

  it('an authorization declared for a command replaces the need for a subscription (G10)', async () => {
    const authorize = {
      request: onlyAda,
      history: onlyAda,
      presence: onlyAda,
      signal: onlyAda,
      publish: onlyAda,
    };
    await start({
      authorize,
      signals: new Set(['typing']),
      requests: new Map([['echo', echo]]),
      publish: new Map([['said', undefined]]),
    });
    const commands = [
      { type: 'request', event: 'echo', payload: 1 },
      { type: 'history' },
      { type: 'presence' },
      { type: 'signal', event: 'typing' },
      { type: 'publish', event: 'said' },
    ].map((command) => ({ ...command, channel: 'rooms.1' }));
    const ada = await server.connect('ada');
    for (const command of commands) expect((await ada.call(command)).type).toBe('reply');
    const bob = await server.connect('bob');
    await bob.subscribe('rooms.1');
    for (const command of commands) expect((await bob.error(command)).code).toBe('forbidden');
  });

  it('an unauthorized request gets the same error for a known and an unknown event (G10)', async () => {
    await start({ requests: new Map([['echo', echo]]) });
    const client = await server.connect('ada');
    const known = await client.error({ type: 'request', channel: 'rooms.1', event: 'echo' });
    const unknown = await client.error({ type: 'request', channel: 'rooms.1', event: 'nothing' });
    expect(unknown).toEqual(known);
  });

  it('a request without a channel reaches only handlers declared for the connection, by their own authorization (G10)', async () => {
    await start(
      { requests: new Map([['echo', echo]]) },
      new Map<string, ConnectionRequest>([
        ['open', { authorize: 'public', handle: echo }],
        ['guarded', { authorize: onlyAda, handle: echo }],
      ]),
    );
    const bob = await server.connect('bob');
    await bob.subscribe('rooms.1');
    expect(await bob.reply({ type: 'request', event: 'open', payload: 1 })).toBe(1);
    expect((await bob.error({ type: 'request', event: 'guarded', payload: 1 })).code).toBe('forbidden');
    expect((await bob.error({ type: 'request', event: 'echo', payload: 1 })).code).toBe('bad_request');
    expect((await bob.error({ type: 'request', channel: 'rooms.1', event: 'open' })).code).toBe(
      'bad_request',
    );
    const ada = await server.connect('ada');
    expect(await ada.reply({ type: 'request', event: 'guarded', payload: 1 })).toBe(1);
  });

  it.each([
    ['false', () => false],
    ['nothing', () => undefined as unknown as boolean],
    ['null', () => null as unknown as boolean],
    ['a truthy value', () => 'yes' as unknown as boolean],
    ['a lease of 0 ms', () => ({ forMs: 0 })],
    ['an error', () => Promise.reject(new RealtimeError('forbidden'))],
  ])('an authorization that returns %s refuses (G9, G10)', async (_, subscribe) => {
    await start({ authorize: { subscribe } });
    const client = await server.connect('ada');
    expect((await client.error({ type: 'subscribe', channel: 'rooms.1' })).code).toBe('forbidden');
  });
});

describe('errors of handlers (G25)', () => {
  it('an error of a handler reaches the client with an id only, as internal, or as unavailable where the command only asks; the log has its stack under that id (G25, P6d)', async () => {
    const secret = new Error('password=hunter2 at db.internal');
    const boom = (): never => {
      throw secret;
    };
    const late = async (): Promise<never> => {
      await new Promise((resolve) => setImmediate(resolve));
      throw secret;
    };
    await start(
      {
        requests: new Map<string, (call: HandlerCall) => unknown>([
          ['boom', boom],
          ['late', late],
        ]),
        publish: new Map([['said', late]]),
        authorize: {
          subscribe: ({ channel }) => (channel === 'rooms.2' ? late() : true),
          publish: 'public',
          history: boom,
          presence: late,
        },
        snapshot: { shareable: false, run: ({ channel }) => (channel === 'rooms.1' ? { state: 1 } : boom()) },
      },
      new Map<string, ConnectionRequest>([['boom', { authorize: boom, handle: echo }]]),
    );
    const client = await server.connect('ada');
    await client.subscribe('rooms.1', { presence: false });
    const failing = [
      { type: 'request', channel: 'rooms.1', event: 'boom' },
      { type: 'request', channel: 'rooms.1', event: 'late' },
      { type: 'request', event: 'boom' },
      { type: 'publish', channel: 'rooms.1', event: 'said' },
    ];
    const asking = [
      { type: 'subscribe', channel: 'rooms.2' },
      { type: 'subscribe', channel: 'rooms.3' },
      { type: 'subscribe', channel: 'rooms.4', payload: { position: { epoch: 'e', seq: 1 } } },
      { type: 'history', channel: 'rooms.1' },
      { type: 'presence', channel: 'rooms.1' },
    ];
    for (const command of [...failing, ...asking]) {
      const error = await client.error(command);
      // A client gives up what it does not ask for again.
      expect(error).toMatchObject(
        asking.some((one) => one === command)
          ? { code: 'unavailable', retryable: true }
          : { code: 'internal', retryable: false },
      );
      expect(JSON.stringify(error)).not.toMatch(/hunter2|db\.internal|\.ts|at /);
      const id = /^Internal error (\S+)$/.exec(error.message)?.[1] as string;
      const record = server.records.find(({ level, message }) => level === 'error' && message.includes(id));
      expect(record?.error).toBe(secret);
    }
    expect(server.records.filter(({ level }) => level === 'error')).toHaveLength(
      failing.length + asking.length,
    );
    expect((await client.call({ type: 'ping' })).type).toBe('pong');
  });

  it('a handler that never answers is answered with outcome_unknown, once: it still runs (P7b, P17c)', async () => {
    const hang = () => new Promise(() => undefined);
    await start({ requests: new Map([['hang', hang]]) }, undefined, { handlerTimeoutMs: 50 });
    const client = await server.connect('ada');
    await client.subscribe('rooms.1');
    expect(
      await client.error({ type: 'request', id: 'r1', channel: 'rooms.1', event: 'hang' }),
    ).toMatchObject({
      code: 'outcome_unknown',
      retryable: false,
    });
    await client.call({ type: 'ping' });
    expect(client.pending).toEqual([]);
  });

  it.each(Object.keys(ERROR_CODES) as ErrorCode[])(
    'an error with the code %s of a handler reaches the client unchanged',
    async (code) => {
      await start({
        requests: new Map([
          [
            'refuse',
            () => {
              throw new RealtimeError(code, 'Because', {
                retryAfterMs: 1_200,
                details: [{ path: 'a.b', message: 'is wrong' }],
              });
            },
          ],
        ]),
      });
      const client = await server.connect('ada');
      await client.subscribe('rooms.1');
      expect(await client.error({ type: 'request', channel: 'rooms.1', event: 'refuse' })).toEqual({
        code,
        message: 'Because',
        retryable: ERROR_CODES[code].retryable || code === 'refused',
        retryAfterMs: 1_200,
        details: [{ path: 'a.b', message: 'is wrong' }],
        docs: `nestjs-realtime/docs/errors.md#${code}`,
      });
      expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
    },
  );
});
