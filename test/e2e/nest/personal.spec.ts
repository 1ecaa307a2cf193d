import { afterEach, describe, expect, it } from '@jest/globals';
import {
  createParamDecorator,
  ForbiddenException,
  Injectable,
  UseGuards,
  UseInterceptors,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
  type Type,
} from '@nestjs/common';
import { ConnectedSocket, MessageBody } from '@nestjs/websockets';
import { map } from 'rxjs';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import {
  Authorize,
  Channel,
  ChannelParam,
  MessageId,
  OnPublish,
  OnRequest,
  PublicChannel,
  RealtimeContext,
  RealtimeService,
  RealtimeUser,
  Snapshot,
  snapshotAt,
  type ChannelPolicyGuard,
} from '../../../lib/nest/index.js';
import type { WireClient } from '../../support/wire/client.js';
import { until } from '../../support/until.js';
import { byName, PLATFORMS, startApp, type AppOptions, type TestApp } from './support/nest-app.js';

// Which results may be shared is decided while Nest's decorators are read, and the sharing is done in the engine. What
// depends on the user must never be shared, whatever makes it depend; what depends on the channel alone is made once.
const platform = PLATFORMS[0][1];

let server: TestApp | undefined;
const start = async (options: AppOptions): Promise<TestApp> => (server = await startApp(platform, options));
afterEach(async () => {
  await server?.close();
  server = undefined;
});

/** Runs of the handlers of one test, which wait for each other: all of them are under way at once. */
class Runs {
  count = 0;
  private readonly waiting: (() => void)[] = [];

  async begin(): Promise<void> {
    this.count++;
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  release(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

let runs: Runs;

/** What a client of this name would tell of its user, here and there. */
const nameOf = (context: ExecutionContext): string =>
  String(context.switchToWs().getClient<RealtimeConnection>().user?.id);
const Name = createParamDecorator((_data: unknown, context: ExecutionContext) => nameOf(context));
const Token = createParamDecorator(
  (_data: unknown, context: ExecutionContext) =>
    context.switchToWs().getClient<RealtimeConnection>().headers.authorization?.replace('Bearer ', '') ?? '',
);

const naming: NestInterceptor = {
  intercept: (context, next) => next.handle().pipe(map((value) => `${String(value)} ${nameOf(context)}`)),
};
const snapshotsOnly: NestInterceptor = {
  intercept: (context, next) =>
    RealtimeContext.from(context)?.action === 'snapshot' ? naming.intercept(context, next) : next.handle(),
};

@Injectable()
class InjectedNaming implements NestInterceptor {
  intercept(...[context, next]: Parameters<NestInterceptor['intercept']>) {
    return snapshotsOnly.intercept(context, next);
  }
}

/** Channels whose state depends on the user, each in a way of its own. */
const personal: Readonly<Record<string, () => AppOptions & { channel: Type }>> = {
  '@RealtimeUser()': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(@RealtimeUser() user: { id: string }) {
        await runs.begin();
        return `for ${user.id}`;
      }
    }
    return { channel: Rooms };
  },
  '@RealtimeUser() with a claim, beside @ChannelParam()': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(@ChannelParam('room') _room: string, @RealtimeUser('id') user: string) {
        await runs.begin();
        return `for ${user}`;
      }
    }
    return { channel: Rooms };
  },
  'a parameter decorator of the application': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(@Name() name: string) {
        await runs.begin();
        return `for ${name}`;
      }
    }
    return { channel: Rooms };
  },
  'a parameter decorator of the application that reads the token': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(@ChannelParam() _all: object, @Token() token: string) {
        await runs.begin();
        return `for ${token}`;
      }
    }
    return { channel: Rooms };
  },
  '@ConnectedSocket()': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(@ConnectedSocket() client: RealtimeConnection) {
        await runs.begin();
        return `for ${client.user?.id}`;
      }
    }
    return { channel: Rooms };
  },
  'the connection as a plain parameter': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(client: RealtimeConnection) {
        await runs.begin();
        return `for ${client.user?.id}`;
      }
    }
    return { channel: Rooms };
  },
  'the payload as a plain parameter': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(_client: RealtimeConnection, params: { me: string }) {
        await runs.begin();
        return `for ${params.me}`;
      }
    }
    return { channel: Rooms };
  },
  '@MessageBody()': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(@MessageBody('me') me: string) {
        await runs.begin();
        return `for ${me}`;
      }
    }
    return { channel: Rooms };
  },
  '@MessageId()': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(@MessageId() id: string) {
        await runs.begin();
        return `for ${id.replace('s-', '')}`;
      }
    }
    return { channel: Rooms };
  },
  'an interceptor of the method': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @UseInterceptors(naming)
      @Snapshot()
      async state() {
        await runs.begin();
        return 'for';
      }
    }
    return { channel: Rooms };
  },
  'an interceptor of the class': () => {
    @UseInterceptors(snapshotsOnly)
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(@ChannelParam('room') _room: string) {
        await runs.begin();
        return 'for';
      }
    }
    return { channel: Rooms };
  },
  'an interceptor that Nest makes': () => {
    @UseInterceptors(InjectedNaming)
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state() {
        await runs.begin();
        return 'for';
      }
    }
    return { channel: Rooms };
  },
  'an interceptor of the application': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state() {
        await runs.begin();
        return 'for';
      }
    }
    return { channel: Rooms, configure: (app) => app.useGlobalInterceptors(snapshotsOnly) };
  },
};

/** Both subscribe before either is answered. */
async function subscribeAtOnce(
  clients: Readonly<Record<string, WireClient>>,
  channel: (name: string) => string = () => 'rooms.1',
): Promise<void> {
  for (const [name, client] of Object.entries(clients))
    client.send({
      type: 'subscribe',
      id: `s-${name}`,
      channel: channel(name),
      payload: { params: { me: name } },
    });
  await until('the first run', () => runs.count > 0);
  // A round trip behind the subscribes: whatever they begin has begun.
  for (const client of Object.values(clients)) await client.call({ type: 'ping' });
}

async function snapshots(clients: Readonly<Record<string, WireClient>>): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const [name, client] of Object.entries(clients)) {
    const { type, payload } = await client.take({ ref: `s-${name}` });
    found[name] = type === 'reply' ? payload['snapshot'] : payload['code'];
  }
  return found;
}

describe('a snapshot that depends on the user', () => {
  it.each(Object.keys(personal))(
    'a snapshot that depends on the user by %s is never shared with another user who subscribes at the same time (G10, P26)',
    async (by) => {
      runs = new Runs();
      const { channel, ...options } = personal[by]?.() ?? {};
      const app = await start({ ...options, providers: [channel as Type, InjectedNaming] });
      const clients = { alice: await app.connect('alice'), bob: await app.connect('bob') };
      await subscribeAtOnce(clients);
      expect(runs.count).toBe(2);
      runs.release();
      expect(await snapshots(clients)).toEqual({ alice: 'for alice', bob: 'for bob' });
    },
  );

  const refusing = (name: string): CanActivate => ({
    canActivate: (context) =>
      RealtimeContext.from(context)?.action !== 'snapshot' || nameOf(context) !== name,
  });
  const guarded: Readonly<Record<string, () => AppOptions & { channel: Type }>> = {
    method: () => {
      @PublicChannel()
      @Channel('rooms.:room')
      class Rooms {
        @UseGuards(refusing('bob'))
        @Snapshot()
        async state() {
          await runs.begin();
          return 'secret';
        }
      }
      return { channel: Rooms };
    },
    class: () => {
      @UseGuards(refusing('bob'))
      @PublicChannel()
      @Channel('rooms.:room')
      class Rooms {
        @Snapshot()
        async state(@ChannelParam('room') _room: string) {
          await runs.begin();
          return 'secret';
        }
      }
      return { channel: Rooms };
    },
    application: () => {
      @PublicChannel()
      @Channel('rooms.:room')
      class Rooms {
        @Snapshot()
        async state() {
          await runs.begin();
          return 'secret';
        }
      }
      return { channel: Rooms, configure: (app) => app.useGlobalGuards(refusing('bob')) };
    },
  };

  it.each(Object.keys(guarded))(
    'a snapshot behind a guard of the %s is not given to a user whom the guard refuses at the same time (G10)',
    async (of) => {
      runs = new Runs();
      const { channel, ...options } = guarded[of]?.() ?? {};
      const app = await start({ ...options, providers: [channel as Type] });
      const clients = { alice: await app.connect('alice'), bob: await app.connect('bob') };
      await subscribeAtOnce(clients);
      runs.release();
      expect(await snapshots(clients)).toEqual({ alice: 'secret', bob: 'forbidden' });
    },
  );
});

const Upper: PipeTransform = { transform: (value: unknown) => String(value).toUpperCase() };

/** Channels whose state depends on the channel alone. */
const common: Readonly<Record<string, () => Type>> = {
  nothing: () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state() {
        await runs.begin();
        return 'state';
      }
    }
    return Rooms;
  },
  '@ChannelParam() by name': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(@ChannelParam('room') room: string) {
        await runs.begin();
        return `of ${room}`;
      }
    }
    return Rooms;
  },
  '@ChannelParam() of all': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(@ChannelParam() params: { room: string }) {
        await runs.begin();
        return `of ${params.room}`;
      }
    }
    return Rooms;
  },
  '@ChannelParam() with a pipe': () => {
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state(@ChannelParam('room', Upper) room: string) {
        await runs.begin();
        return `of ${room}`;
      }
    }
    return Rooms;
  },
};

describe('a snapshot that depends on the channel alone', () => {
  it.each(Object.keys(common))(
    'a snapshot that depends by %s on the channel alone is created once for all who subscribe at the same time (P26)',
    async (by) => {
      runs = new Runs();
      const app = await start({ providers: [common[by]?.() as Type] });
      const clients = {
        alice: await app.connect('alice'),
        bob: await app.connect('bob'),
        carol: await app.connect('carol'),
      };
      await subscribeAtOnce(clients);
      expect(runs.count).toBe(1);
      runs.release();
      const expected = by === 'nothing' ? 'state' : 'of 1';
      expect(await snapshots(clients)).toEqual({ alice: expected, bob: expected, carol: expected });
      // Only while it is being made: who comes later is given what is true then.
      const late = { dave: await app.connect('dave') };
      await subscribeAtOnce(late);
      await until('the second run', () => runs.count === 2);
      runs.release();
      expect(await snapshots(late)).toEqual({ dave: expected });
    },
  );

  it('a snapshot that depends on the channel alone is created once per channel', async () => {
    runs = new Runs();
    const app = await start({ providers: [common['@ChannelParam() by name']?.() as Type] });
    const clients = { alice: await app.connect('alice'), bob: await app.connect('bob') };
    await subscribeAtOnce(clients, (name) => `rooms.${name}`);
    expect(runs.count).toBe(2);
    runs.release();
    expect(await snapshots(clients)).toEqual({ alice: 'of alice', bob: 'of bob' });
  });

  it('a snapshot that fails refuses all who wait for it, and is created again for the next subscriber', async () => {
    runs = new Runs();
    let fails = true;
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      @Snapshot()
      async state() {
        await runs.begin();
        if (fails) throw new ForbiddenException();
        return 'state';
      }
    }
    const app = await start({ providers: [Rooms] });
    const clients = { alice: await app.connect('alice'), bob: await app.connect('bob') };
    await subscribeAtOnce(clients);
    runs.release();
    expect(await snapshots(clients)).toEqual({ alice: 'forbidden', bob: 'forbidden' });
    fails = false;
    await subscribeAtOnce(clients);
    await until('the second run', () => runs.count === 2);
    runs.release();
    expect(await snapshots(clients)).toEqual({ alice: 'state', bob: 'state' });
  });

  it('a shared snapshot with a position is followed by a replay from that position for each subscriber (P26a)', async () => {
    runs = new Runs();
    @PublicChannel()
    @Channel('rooms.:room')
    class Rooms {
      constructor(readonly realtime: RealtimeService) {}
      @Snapshot()
      async state() {
        await runs.begin();
        const { position } = await this.realtime.channel('rooms.1').history();
        return snapshotAt({ ...position, seq: 1 }, 'up to 1');
      }
    }
    Reflect.defineMetadata('design:paramtypes', [RealtimeService], Rooms);
    const app = await start({ providers: [Rooms] });
    for (const n of [1, 2, 3]) await app.app.get(RealtimeService).channel('rooms.1').publish('counted', n);
    const clients = { alice: await app.connect('alice'), bob: await app.connect('bob') };
    await subscribeAtOnce(clients);
    expect(runs.count).toBe(1);
    runs.release();
    expect(await snapshots(clients)).toEqual({ alice: 'up to 1', bob: 'up to 1' });
    for (const client of Object.values(clients))
      expect((await client.nextAll(2, 'event')).map(({ seq }) => seq)).toEqual([2, 3]);
  });
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
        if (action !== 'subscribe') await client.subscribe('rooms.1');
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
