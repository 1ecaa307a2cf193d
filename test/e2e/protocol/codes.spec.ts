import { afterEach, describe, expect, it } from '@jest/globals';
import type { ConnectionRequest } from '../../../lib/core/ports/channel-definition.js';
import { CLOSE_CODES, type CloseName } from '../../../lib/protocol/close-codes.js';
import { docsOf, ERROR_CODES, type ErrorCode } from '../../../lib/protocol/error-codes.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient, WireEnvelope } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';
import { stall } from '../../support/wire/session.js';

/** What the timers of the server may be late by. */
const TICK = 250;

let server: WireServer;
let started = false;
afterEach(async () => {
  if (started) await server.close();
});

const REQUESTS = new Map<string, ConnectionRequest>([
  ['hang', { authorize: 'public', handle: () => new Promise(() => undefined) }],
  [
    'crash',
    {
      authorize: 'public',
      handle: () => {
        throw new Error('A bug');
      },
    },
  ],
]);

async function start(options: WireServerOptions = {}): Promise<void> {
  server = await startWireServer({
    channels: [
      wireChannel('rooms.:room', { publish: ['said'] }),
      wireChannel('closed.:room', { behaviour: { authorize: { subscribe: () => false } } }),
      wireChannel('slow.:room', {
        behaviour: { authorize: { subscribe: () => new Promise(() => undefined) } },
      }),
    ],
    requests: REQUESTS,
    ...options,
  });
  started = true;
}

const say = (id: string, more: object = {}) => ({
  type: 'publish',
  id,
  channel: 'rooms.1',
  event: 'said',
  payload: 1,
  ...more,
});
const hello = (payload: object = {}) => ({ type: 'hello', payload: { versions: [1], ...payload } });

/** How a client comes to each error code. Those of an application’s own are in the set below. */
const PROVOKED: Partial<Record<ErrorCode, () => Promise<WireEnvelope>>> = {
  bad_request: async () => await (await server.connect('ada')).call({ type: 'subscribe', channel: '' }),
  unauthorized: async () => await (await server.open()).call(hello({ token: 'bad' })),
  token_expired: async () =>
    await (await server.connect('ada')).call({ type: 'auth', payload: { token: 'old' } }),
  forbidden: async () => await (await server.connect('ada')).call({ type: 'subscribe', channel: 'closed.1' }),
  banned: async () => {
    await server.engine.ban('ada');
    return await (await server.open()).call(hello({ token: 'ada' }));
  },
  unknown_channel: async () =>
    await (await server.connect('ada')).call({ type: 'subscribe', channel: 'halls.1' }),
  not_subscribed: async () =>
    await (await server.connect('ada')).call({ type: 'history', channel: 'rooms.1' }),
  already_subscribed: async () => {
    const client = await server.connect('ada');
    await client.subscribe('rooms.1');
    return await client.call({ type: 'subscribe', channel: 'rooms.1' });
  },
  too_many_channels: async () => {
    await server.close();
    await start({ settings: { limits: { maxChannels: 1 } } });
    const client = await server.connect('ada');
    await client.subscribe('rooms.1');
    return await client.call({ type: 'subscribe', channel: 'rooms.2' });
  },
  rate_limited: async () => {
    await server.close();
    await start({ settings: { limits: { ratePerSecond: 1, burst: 1 } } });
    const client = await server.connect('ada');
    await client.call({ type: 'ping' });
    return await client.call({ type: 'ping' });
  },
  conflict: async () => {
    const client = await server.connect('ada');
    await client.reply(say('m1'));
    return await client.call(say('m1', { payload: 2 }));
  },
  out_of_order: async () => await (await server.connect('ada')).call(say('m2', { after: 'm1' })),
  unavailable: async () => {
    const client = await server.connect('ada');
    await server.broker.close();
    return await client.call(say('m1'));
  },
  timeout: async () => {
    await server.close();
    await start({ settings: { handlerTimeoutMs: 20 } });
    return await (await server.connect('ada')).call({ type: 'subscribe', channel: 'slow.1', payload: {} });
  },
  outcome_unknown: async () => {
    await server.close();
    await start({ settings: { handlerTimeoutMs: 20 } });
    return await (await server.connect('ada')).call({ type: 'request', event: 'hang' });
  },
  internal: async () => await (await server.connect('ada')).call({ type: 'request', event: 'crash' }),
};
/** Only an application, or a broker of another kind, says these. */
const NOT_BY_CLIENTS: readonly ErrorCode[] = ['validation_failed', 'refused', 'muted', 'message_too_large'];

describe('error codes', () => {
  it('the table of tested error codes is complete', () => {
    expect([...Object.keys(PROVOKED), ...NOT_BY_CLIENTS].sort()).toEqual(Object.keys(ERROR_CODES).sort());
  });

  it.each(Object.keys(PROVOKED) as ErrorCode[])(
    'a command that provokes %s is answered with that code (P6, P7)',
    async (code) => {
      await start();
      const answer = await PROVOKED[code]?.();
      expect(answer?.type).toBe('error');
      expect(typeof answer?.ref).toBe('string');
      expect(answer?.payload).toMatchObject({
        code,
        message: expect.any(String),
        retryable: ERROR_CODES[code].retryable,
        docs: docsOf(code),
      });
    },
  );
});

/** How a connection comes to end with each close code. */
const CLOSED: Partial<Record<CloseName, () => Promise<WireClient>>> = {
  normal: async () => {
    const client = await server.connect('ada');
    client.send({ type: 'bye', id: 'b1' });
    return client;
  },
  drain: async () => {
    const client = await server.connect('ada');
    void server.engine.stop();
    return client;
  },
  slow_consumer: async () => {
    await server.close();
    await start({ settings: { outbox: { maxMessages: 10, maxBytes: 1e8 } } });
    const client = await server.connect('ada');
    await client.subscribe('rooms.1');
    await stall(server, { client, user: 'ada', channel: 'rooms.1' });
    for (let index = 0; index < 20; index++)
      await server.engine.application.publish('rooms.1', 'said', index);
    await new Promise((resolve) => setImmediate(resolve));
    client.goOnReading();
    return client;
  },
  heartbeat_timeout: async () => {
    await server.close();
    const clock = new ManualClock();
    await start({ clock, settings: { heartbeat: { intervalMs: 1_000, timeoutMs: 1_000 } } });
    const client = await server.connect('ada', { answersPings: false });
    for (let passed = 0; passed < 3_000; passed += TICK) clock.advance(TICK);
    return client;
  },
  internal: async () => {
    await server.close();
    await start({
      authenticator: {
        authenticate: () => {
          throw new Error('A bug');
        },
      },
    });
    const client = await server.open();
    client.send({ ...hello({ token: 'ada' }), id: 'h1' });
    return client;
  },
  broker_unavailable: async () => {
    await server.close();
    await start({
      authenticator: {
        authenticate: () => {
          throw new RealtimeError('unavailable');
        },
      },
    });
    const client = await server.open();
    client.send({ ...hello({ token: 'ada' }), id: 'h1' });
    return client;
  },
  token_expired: async () => {
    await server.close();
    const clock = new ManualClock();
    await start({ clock });
    const client = await server.connect('ada+1000');
    for (let passed = 0; passed < 3_000; passed += TICK) clock.advance(TICK);
    return client;
  },
  unauthorized: async () => {
    const client = await server.open();
    client.send({ ...hello(), id: 'h1' });
    return client;
  },
  forbidden: async () => {
    const client = await server.open({ protocols: ['realtime.v1.json', 'bearer.ada'] });
    client.send({ ...hello({ token: 'eve' }), id: 'h1' });
    return client;
  },
  banned: async () => {
    const client = await server.connect('ada');
    await server.engine.ban('ada', { forMs: 60_000 });
    return client;
  },
  unsupported_version: async () => {
    const client = await server.open();
    client.send({ ...hello({ versions: [2] }), id: 'h1' });
    return client;
  },
  protocol_error: async () => {
    const client = await server.connect('ada');
    client.send('not protocol');
    return client;
  },
  message_too_large: async () => {
    const client = await server.connect('ada');
    client.send({ type: 'ping', id: 'p1', meta: { pad: 'x'.repeat(70_000) } });
    return client;
  },
  rate_abuse: async () => {
    await server.close();
    await start({
      settings: { limits: { ratePerSecond: 1, burst: 1 }, abuse: { throttleAfter: 100, closeAfter: 3 } },
    });
    const client = await server.connect('ada');
    client.sendAll(Array.from({ length: 10 }, (_, index) => ({ type: 'ping', id: `p${index}` })));
    return client;
  },
  superseded: async () => {
    const client = await server.connect('ada');
    const newer = await server.open();
    await newer.hello('ada', { session: client.welcome?.session });
    return client;
  },
  kicked: async () => {
    const client = await server.connect('ada');
    await server.engine.disconnect('ada', { reason: 'Out' });
    return client;
  },
  replaced: async () => {
    await server.close();
    await start({ settings: { limits: { maxConnectionsPerUser: 1, whenUserIsFull: 'end_oldest' } } });
    const client = await server.connect('ada');
    await server.connect('ada');
    return client;
  },
  too_many_connections: async () => {
    await server.close();
    await start({ settings: { limits: { maxConnectionsPerUser: 1 } } });
    await server.connect('ada');
    const client = await server.open();
    client.send({ ...hello({ token: 'ada' }), id: 'h1' });
    return client;
  },
};
/** Reserved in this version. */
const NOT_SENT: readonly CloseName[] = ['rotate', 'overloaded'];

describe('close codes', () => {
  it('the table of tested close codes is complete', () => {
    expect([...Object.keys(CLOSED), ...NOT_SENT].sort()).toEqual(Object.keys(CLOSE_CODES).sort());
  });

  it.each(Object.keys(CLOSED) as CloseName[])(
    'the close %s sends its code, with name and advice as the reason (P7, P19)',
    async (name) => {
      await start();
      const client = await (CLOSED[name] as () => Promise<WireClient>)();
      const { code, reason } = await client.expectClose(CLOSE_CODES[name].code);
      expect(code).toBe(CLOSE_CODES[name].code);
      expect(reason).toMatch(new RegExp(`^${name}\\|\\d+$`));
      if (name === 'rate_abuse' || name === 'banned') expect(Number(reason.split('|')[1])).toBeGreaterThan(0);
    },
  );

  it('a client that closes the connection gets its own code back (P19d)', async () => {
    await start();
    const client = await server.connect('ada');
    expect((await client.close(1000, 'bye')).code).toBe(1000);
    const other = await server.connect('ada');
    expect((await other.close(4999)).code).toBe(4999);
  });
});
