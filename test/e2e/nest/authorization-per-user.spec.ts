import { afterEach, describe, expect, it } from '@jest/globals';
import { Injectable, type Type } from '@nestjs/common';
import {
  Authorize,
  Channel,
  OnPublish,
  OnRequest,
  PublicChannel,
  RealtimeContext,
  RealtimeUser,
  type ChannelPolicyGuard,
} from '../../../lib/nest/index.js';
import { until } from '../../support/until.js';
import { byName, PLATFORMS, startApp, type AppOptions, type TestApp } from './support/nest-app.js';

const platform = PLATFORMS[0][1];

let server: TestApp | undefined;
const start = async (options: AppOptions): Promise<TestApp> => (server = await startApp(platform, options));
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const ACTIONS = ['subscribe', 'publish', 'signal', 'request', 'history', 'presence'] as const;
type Action = (typeof ACTIONS)[number];

const command = (action: Action): Record<string, unknown> => ({
  type: action,
  id: `x-${action}`,
  channel: 'rooms.1',
  ...(action === 'publish' ? { event: 'said', payload: 1 } : {}),
  ...(action === 'signal' ? { event: 'typing' } : {}),
  ...(action === 'request' ? { event: 'ask' } : {}),
});

/** Everybody may do everything but `action`, about which the test decides. */
function withMethod(action: Action, decide: (user: string) => unknown): Type {
  @Channel('rooms.:room', { signals: ['typing'], presence: true })
  class Rooms {
    @Authorize(...(ACTIONS.filter((other) => other !== action) as [Action, ...Action[]]))
    can() {
      return true;
    }
    @Authorize(action)
    decides(@RealtimeUser('id') user: string) {
      return decide(user);
    }
    @OnPublish('said')
    said() {}
    @OnRequest('ask')
    ask() {
      return 'answer';
    }
  }
  return Rooms;
}

function withPolicy(action: Action, decide: (user: string) => unknown): Type {
  @Injectable()
  class Policy implements ChannelPolicyGuard {
    subscribe = (context: RealtimeContext) => this.on('subscribe', context);
    publish = (context: RealtimeContext) => this.on('publish', context);
    signal = (context: RealtimeContext) => this.on('signal', context);
    request = (context: RealtimeContext) => this.on('request', context);
    history = (context: RealtimeContext) => this.on('history', context);
    presence = (context: RealtimeContext) => this.on('presence', context);
    private on(asked: Action, { user }: RealtimeContext): boolean {
      return (asked === action ? decide(String(user?.id)) : true) as boolean;
    }
  }
  @Authorize(Policy)
  @Channel('rooms.:room', { signals: ['typing'], presence: true })
  class Rooms {
    @OnPublish('said')
    said() {}
    @OnRequest('ask')
    ask() {
      return 'answer';
    }
  }
  return Rooms;
}

describe.each([
  ['@Authorize() on a method', withMethod],
  ['a policy class', withPolicy],
] as const)('authorization by %s', (_by, make) => {
  it.each(ACTIONS.flatMap((action) => [[action, 'at once'] as const, [action, 'later'] as const]))(
    'the answer for %s, given %s, is not reused for another user who asks at the same time (G10)',
    async (action, form) => {
      const asked: string[] = [];
      let release = (): void => undefined;
      const gate = new Promise<void>((resolve) => (release = resolve));
      const decide = (user: string): unknown => {
        asked.push(user);
        const verdict = user === 'alice';
        return form === 'at once' ? verdict : gate.then(() => verdict);
      };
      const app = await start({ providers: [make(action, decide)] });
      const clients = { alice: await app.connect('alice'), bob: await app.connect('bob') };
      for (const client of Object.values(clients)) {
        // A subscribe asks for the members too (P11e).
        if (action !== 'subscribe' && action !== 'presence') await client.subscribe('rooms.1');
        client.send(command(action));
      }
      await until('both to be asked about', () => asked.length === 2);
      release();
      const { type } = await clients.alice.take({ ref: `x-${action}` });
      expect(type).toBe('reply');
      const refused = await clients.bob.take({ ref: `x-${action}` });
      expect(refused).toMatchObject({ type: 'error', payload: { code: 'forbidden' } });
      expect(asked.sort()).toEqual(['alice', 'bob']);
    },
  );
});

describe('a request without a channel', () => {
  @Injectable()
  class AlicePolicy implements ChannelPolicyGuard {
    async request({ user }: RealtimeContext) {
      return user?.id === 'alice';
    }
  }
  @PublicChannel()
  @Channel('rooms.:room')
  class Rooms {
    @OnRequest('open', { scope: 'connection', authorize: 'public' })
    open(@RealtimeUser('id') user: string | undefined) {
      return { user: user ?? null };
    }
    @OnRequest('known', { scope: 'connection', authorize: 'authenticated' })
    known(@RealtimeUser('id') user: string) {
      return { user };
    }
    @OnRequest('chosen', { scope: 'connection', authorize: AlicePolicy })
    chosen(@RealtimeUser('id') user: string) {
      return { user };
    }
  }

  it.each([
    ['open', undefined, { user: null }],
    ['open', 'alice', { user: 'alice' }],
    ['known', undefined, 'forbidden'],
    ['known', 'bob', { user: 'bob' }],
    ['chosen', undefined, 'forbidden'],
    ['chosen', 'bob', 'forbidden'],
    ['chosen', 'alice', { user: 'alice' }],
  ] as const)('the request %s with the token %p is answered with %p (G10)', async (event, token, outcome) => {
    const app = await start({
      providers: [Rooms],
      realtime: { auth: { authenticator: byName, anonymous: true } },
    });
    const client = await app.connect(token);
    const { type, payload } = await client.call({ type: 'request', event });
    expect(type === 'error' ? payload['code'] : payload).toEqual(outcome);
    // It is not to be had on a channel, nor without its name.
    await client.subscribe('rooms.1');
    await expect(client.error({ type: 'request', channel: 'rooms.1', event })).resolves.toMatchObject({
      code: 'bad_request',
    });
  });
});
