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
  Channel,
  ChannelParam,
  MessageId,
  PublicChannel,
  RealtimeContext,
  RealtimeService,
  RealtimeUser,
  Snapshot,
  snapshotAt,
} from '../../../lib/nest/index.js';
import type { WireClient } from '../../support/wire/client.js';
import { until } from '../../support/until.js';
import { PLATFORMS, startApp, type AppOptions, type TestApp } from './support/nest-app.js';

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

interface Decorators {
  /** In the order of the parameters. */
  readonly parameters?: readonly ParameterDecorator[];
  readonly method?: MethodDecorator;
  readonly type?: ClassDecorator;
}

/** A public channel whose snapshot waits in `runs`, then is what `state` returns. */
function rooms(
  state: (...parameters: never[]) => unknown,
  { parameters = [], method, type }: Decorators = {},
): Type {
  @PublicChannel()
  @Channel('rooms.:room')
  class Rooms {
    @Snapshot()
    async state(...given: unknown[]) {
      await runs.begin();
      return state(...(given as never[]));
    }
  }
  const { prototype } = Rooms;
  // Plain parameters are counted by the method's length, and by the types that the compiler writes down.
  Object.defineProperty(prototype.state, 'length', { value: state.length });
  const types = Array.from({ length: state.length }, () => Object);
  Reflect.defineMetadata('design:paramtypes', types, prototype, 'state');
  for (const [index, decorate] of parameters.entries()) decorate(prototype, 'state', index);
  method?.(prototype, 'state', { value: prototype.state });
  type?.(Rooms);
  return Rooms;
}

/** Channels whose state depends on the user, each in a way of its own. */
const personal: Readonly<Record<string, AppOptions & { channel: Type }>> = {
  '@RealtimeUser()': {
    channel: rooms((user: { id: string }) => `for ${user.id}`, { parameters: [RealtimeUser()] }),
  },
  '@RealtimeUser() with a claim, beside @ChannelParam()': {
    channel: rooms((_room: string, user: string) => `for ${user}`, {
      parameters: [ChannelParam('room'), RealtimeUser('id')],
    }),
  },
  'a parameter decorator of the application': {
    channel: rooms((name: string) => `for ${name}`, { parameters: [Name()] }),
  },
  'a parameter decorator of the application that reads the token': {
    channel: rooms((_all: object, token: string) => `for ${token}`, {
      parameters: [ChannelParam(), Token()],
    }),
  },
  '@ConnectedSocket()': {
    channel: rooms((client: RealtimeConnection) => `for ${client.user?.id}`, {
      parameters: [ConnectedSocket()],
    }),
  },
  '@MessageBody()': {
    channel: rooms((me: string) => `for ${me}`, { parameters: [MessageBody('me')] }),
  },
  '@MessageId()': {
    channel: rooms((id: string) => `for ${id.replace('s-', '')}`, { parameters: [MessageId()] }),
  },
  'an interceptor of the method': {
    channel: rooms(() => 'for', { method: UseInterceptors(naming) }),
  },
  'an interceptor of the class': {
    channel: rooms((_room: string) => 'for', {
      parameters: [ChannelParam('room')],
      type: UseInterceptors(snapshotsOnly),
    }),
  },
  'an interceptor that Nest makes': {
    channel: rooms(() => 'for', { type: UseInterceptors(InjectedNaming) }),
  },
  'an interceptor of the application': {
    channel: rooms(() => 'for'),
    configure: (app) => app.useGlobalInterceptors(snapshotsOnly),
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
      const { channel, ...options } = personal[by] ?? {};
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
  const refuses = UseGuards(refusing('bob'));
  const guarded: Readonly<Record<string, AppOptions & { channel: Type }>> = {
    method: { channel: rooms(() => 'secret', { method: refuses }) },
    class: {
      channel: rooms((_room: string) => 'secret', { parameters: [ChannelParam('room')], type: refuses }),
    },
    application: {
      channel: rooms(() => 'secret'),
      configure: (app) => app.useGlobalGuards(refusing('bob')),
    },
  };

  it.each(Object.keys(guarded))(
    'a snapshot behind a guard of the %s is not given to a user whom the guard refuses at the same time (G10)',
    async (of) => {
      runs = new Runs();
      const { channel, ...options } = guarded[of] ?? {};
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
const common: Readonly<Record<string, Type>> = {
  nothing: rooms(() => 'state'),
  '@ChannelParam() by name': rooms((room: string) => `of ${room}`, { parameters: [ChannelParam('room')] }),
  '@ChannelParam() of all': rooms((params: { room: string }) => `of ${params.room}`, {
    parameters: [ChannelParam()],
  }),
  '@ChannelParam() with a pipe': rooms((room: string) => `of ${room}`, {
    parameters: [ChannelParam('room', Upper)],
  }),
};

describe('a snapshot that depends on the channel alone', () => {
  it.each(Object.keys(common))(
    'a snapshot that depends by %s on the channel alone is created once for all who subscribe at the same time (P26)',
    async (by) => {
      runs = new Runs();
      const app = await start({ providers: [common[by] as Type] });
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
    const app = await start({ providers: [common['@ChannelParam() by name'] as Type] });
    const clients = { alice: await app.connect('alice'), bob: await app.connect('bob') };
    await subscribeAtOnce(clients, (name) => `rooms.${name}`);
    expect(runs.count).toBe(2);
    runs.release();
    expect(await snapshots(clients)).toEqual({ alice: 'of alice', bob: 'of bob' });
  });

  it('a snapshot that fails refuses all who wait for it, and is created again for the next subscriber', async () => {
    runs = new Runs();
    let fails = true;
    const failing = rooms(() => {
      if (fails) throw new ForbiddenException();
      return 'state';
    });
    const app = await start({ providers: [failing] });
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
