import {
  Injectable,
  UnauthorizedException,
  UseGuards,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { MessageBody } from '@nestjs/websockets';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Authorize,
  Channel,
  ChannelParam,
  OnPublish,
  OnRequest,
  OnSubscribe,
  RealtimeService,
  RealtimeUser,
} from '../../../lib/nest/index.js';
import { PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

const SECRET = 'a secret of at least thirty-two bytes';
const jwt = new JwtService({ secret: SECRET });
const token = jwt.sign({ sub: '7', username: 'ada', id: 'claimed' });

/** The guard of Nest's documentation ("Authentication"), as it stands there. */
@Injectable()
class DocumentedGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context
      .switchToHttp()
      .getRequest<Record<string, unknown> & { headers: Record<string, string> }>();
    const [type, given] = request.headers['authorization']?.split(' ') ?? [];
    if (type !== 'Bearer' || given === undefined) throw new UnauthorizedException();
    const payload: Record<string, unknown> = await jwt.verifyAsync(given);
    delete payload['id'];
    request['user'] = payload;
    return true;
  }
}

/** Sets what a strategy of Passport returned, as `AuthGuard('jwt')` does: in the documentation `{ userId, username }`. */
class PassportLike implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request: Record<string, unknown> = context.switchToHttp().getRequest();
    request['user'] = { userId: 7, username: 'from the database' };
    return true;
  }
}

/** As guards of gateways do, with the user of the application: numbers are its ids. */
class WithEntity implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const client: Record<string, unknown> = context.switchToWs().getClient();
    client['user'] = new Entity(7, 'entity');
    return true;
  }
}

class Entity {
  constructor(
    readonly id: number,
    readonly username: string,
  ) {}
  shout(): string {
    return this.username.toUpperCase();
  }
}

/** Puts somebody else there. */
class Impostor implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const client: Record<string, unknown> = context.switchToWs().getClient();
    client['user'] = { id: 'root', username: 'root' };
    return true;
  }
}

/** What no guard should put there. */
class Nonsense implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const client: Record<string, unknown> = context.switchToWs().getClient();
    client['user'] = 'ada';
    return true;
  }
}

/** Writes into the verified identity itself. */
class Overwriting implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { user } = context.switchToWs().getClient<{ user: Record<string, unknown> }>();
    user['id'] = 'root';
    return true;
  }
}

const asked: unknown[] = [];

function roomsBehind(guard: new () => CanActivate) {
  @UseGuards(guard)
  @Channel('rooms.:room', { presence: true })
  class Rooms {
    @Authorize('subscribe', 'publish')
    can(@RealtimeUser('id') id: string, @ChannelParam('room') room: string) {
      asked.push(['authorize', id, room]);
      return true;
    }

    @OnPublish('said')
    said(@MessageBody() text: string, @RealtimeUser('id') author: string) {
      return { text, author };
    }

    @OnSubscribe()
    joined(@RealtimeUser('id') id: string) {
      asked.push(['joined', id]);
    }

    @OnRequest('who', { scope: 'connection', authorize: 'authenticated' })
    who(
      @RealtimeUser() user: { id: unknown; username: string; shout?: () => string },
      @RealtimeUser('id') id: string,
      @RealtimeUser('username') username: string,
      @RealtimeUser('sub') sub: string,
      @RealtimeUser('absent') absent: unknown,
    ) {
      return [user.id, user.username, user.shout?.() ?? null, id, username, sub, absent ?? null];
    }
  }
  return Rooms;
}

let app: TestApp;
afterEach(() => app.close());

describe.each(PLATFORMS)('one identity, whatever a guard puts on the connection (%s)', (_name, platform) => {
  async function start(guard: new () => CanActivate): Promise<void> {
    asked.length = 0;
    app = await startApp(platform, {
      realtime: { auth: { jwt: { secret: SECRET } } },
      providers: [roomsBehind(guard), guard],
    });
  }

  it.each<[string, new () => CanActivate, unknown[]]>([
    ['the claims of a token', DocumentedGuard, ['7', 'ada', null, '7', 'ada', '7', null]],
    ['what Passport has', PassportLike, ['7', 'ada', null, '7', 'from the database', '7', null]],
    ['the user of the application', WithEntity, [7, 'entity', 'ENTITY', '7', 'entity', '7', null]],
    ['somebody else', Impostor, ['7', 'ada', null, '7', 'root', '7', null]],
    ['no object', Nonsense, ['7', 'ada', null, '7', 'ada', '7', null]],
  ])('%s', async (_what, guard, expected) => {
    await start(guard);
    const client = await app.connect(token);
    const other = await app.connect(token);
    for (const one of [client, other]) {
      const { payload } = await one.call({
        type: 'subscribe',
        channel: 'rooms.1',
        payload: { presence: {} },
      });
      expect(payload['recovery']).toBe('new');
    }
    await client.call({ type: 'publish', channel: 'rooms.1', event: 'said', payload: 'hi' });
    const event = await other.next('event');
    expect([event.payload, (event as { user?: unknown }).user]).toEqual([{ text: 'hi', author: '7' }, '7']);
    expect(new Set(asked.map((entry) => (entry as unknown[])[1]))).toEqual(new Set(['7']));
    const who = await client.call({ type: 'request', event: 'who' });
    expect(who.payload).toEqual(expected);
    const members = await client.call({ type: 'presence', channel: 'rooms.1', payload: {} });
    expect(members.payload['members']).toEqual(
      [{ id: '7', data: null }].map(({ id }) => expect.objectContaining({ id })),
    );
    expect((await app.app.get(RealtimeService).user('7').sessions()).sessions).toHaveLength(2);
  });

  it('what is written into the verified identity changes nothing of whose events, bans and revokes they are', async () => {
    await start(Overwriting);
    const client = await app.connect(token);
    await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
    await client.call({ type: 'publish', channel: 'rooms.1', event: 'said', payload: 'hi' });
    expect(((await client.next('event')) as { user?: unknown }).user).toBe('7');
    const realtime = app.app.get(RealtimeService);
    expect((await realtime.user('root').sessions()).sessions).toEqual([]);
    expect((await realtime.user('7').sessions()).sessions).toHaveLength(1);
    await realtime.user('7').revoke('rooms.1');
    expect((await client.next('unsubscribed')).payload).toMatchObject({ code: 'forbidden' });
    await realtime.user('7').ban();
    await client.expectClose(4803);
    expect((await realtime.user('7').sessions()).sessions).toEqual([]);
  });

  it.each([
    [7, '7'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
  ])('a number as sub is an id: %i', async (sub, id) => {
    await start(DocumentedGuard);
    const client = await app.connect(jwt.sign({ sub }));
    expect(client.welcome?.user).toBe(id);
  });

  it.each([2 ** 53, 12_345_678_901_234_567_890, 1.5, 1e300])(
    'a number as sub that stands for several ids is refused: %d',
    async (sub) => {
      await start(DocumentedGuard);
      const client = await app.open();
      const hello = { type: 'hello', payload: { versions: [1], token: jwt.sign({ sub }) } };
      expect((await client.error(hello)).code).toBe('unauthorized');
    },
  );

  it('without a verified identity it is what a guard put there', async () => {
    const seen: unknown[] = [];
    @UseGuards(WithEntity)
    @Channel('open.:room')
    class Open {
      @Authorize('subscribe')
      can(@RealtimeUser() user: unknown, @RealtimeUser('id') id: unknown) {
        seen.push(user instanceof Entity, id);
        return true;
      }
    }
    app = await startApp(platform, {
      realtime: { auth: { anonymous: true } },
      providers: [Open, WithEntity],
    });
    const client = await app.connect();
    await client.call({ type: 'subscribe', channel: 'open.1', payload: {} });
    expect(seen).toEqual([true, 7]);
  });
});
