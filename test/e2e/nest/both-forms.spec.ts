import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  BadRequestException,
  ForbiddenException,
  HttpException,
  Injectable,
  ServiceUnavailableException,
  UnauthorizedException,
} from '@nestjs/common';
import { MessageBody, WsException } from '@nestjs/websockets';
import { defer, of, throwError } from 'rxjs';
import type { Authentication, Authenticator, Credentials } from '../../../lib/core/ports/identity.js';
import {
  Authorize,
  Channel,
  ChannelParam,
  OnPublish,
  OnRequest,
  OnSubscribe,
  OnUnsubscribe,
  PublicChannel,
  Snapshot,
  type ChannelPolicyGuard,
  type RealtimeConnectHook,
  type RealtimeContext,
} from '../../../lib/nest/index.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { WireClient } from '../../support/wire/client.js';
import { until } from '../../support/until.js';
import { PLATFORMS, startApp, type AppOptions, type TestApp } from './support/nest-app.js';

// A class of the application may answer at once or later, throw or reject, with errors of Nest or its own. Each pair of a
// form and an error gives the same answer, wherever it was thrown.
const platform = PLATFORMS[0][1];
const FORMS = ['at once', 'later'] as const;
type Form = (typeof FORMS)[number];

const SECRET = 'postgres://admin:hunter2@10.0.0.1';

/**
 * What may be thrown: the code that clients are told at the door, the one in answer to a command, the status of a refused upgrade,
 * and how a hello ends.
 */
const THROWN: Readonly<Record<string, readonly [() => unknown, string, string, number, number]>> = {
  UnauthorizedException: [() => new UnauthorizedException('log in'), 'unauthorized', 'forbidden', 401, 4801],
  ForbiddenException: [() => new ForbiddenException('not you'), 'forbidden', 'forbidden', 403, 4802],
  BadRequestException: [() => new BadRequestException('what?'), 'refused', 'refused', 403, 4802],
  ServiceUnavailableException: [() => new ServiceUnavailableException(), 'refused', 'refused', 503, 4006],
  'HttpException 500': [() => new HttpException(SECRET, 500), 'internal', 'internal', 503, 4005],
  'RealtimeError token_expired': [
    () => new RealtimeError('token_expired'),
    'token_expired',
    'refused',
    401,
    4008,
  ],
  'RealtimeError banned': [() => new RealtimeError('banned'), 'banned', 'banned', 403, 4803],
  'RealtimeError tenant_left': [() => new RealtimeError('tenant_left'), 'refused', 'refused', 403, 4802],
  'RealtimeError busy': [
    () => new RealtimeError('busy', { retryAfterMs: 7 }),
    'refused',
    'refused',
    503,
    4006,
  ],
  WsException: [() => new WsException({ code: 'forbidden', message: 'no' }), 'refused', 'refused', 403, 4802],
  Error: [() => new Error(SECRET), 'internal', 'internal', 503, 4005],
  'a text': [() => SECRET, 'internal', 'internal', 503, 4005],
};
const rows = FORMS.flatMap((form) => Object.keys(THROWN).map((what) => [form, what] as const));

function thrown(what: string): never {
  throw THROWN[what]?.[0]();
}

function give<T>(form: Form, make: () => T): T | Promise<T> {
  return form === 'at once' ? make() : Promise.resolve().then(make);
}

let app: TestApp | undefined;
const start = async (options: AppOptions): Promise<TestApp> => (app = await startApp(platform, options));
afterEach(async () => {
  await app?.close();
  app = undefined;
});

@PublicChannel()
@Channel('news')
class News {
  @OnRequest('user', { scope: 'connection', authorize: 'public' })
  user() {
    return 'somebody';
  }
}

describe('an authenticator of the application', () => {
  function authenticator(form: Form, answer: (credentials: Credentials) => Authentication): Authenticator {
    @Injectable()
    class Application implements Authenticator {
      authenticate(credentials: Credentials) {
        return give(form, () => answer(credentials));
      }
    }
    return new Application();
  }

  it.each(FORMS)('an authenticator that answers %s admits by hello, upgrade and probe', async (form) => {
    const { connect, httpUrl } = await start({
      providers: [News],
      realtime: {
        auth: { authenticator: authenticator(form, ({ token }) => ({ user: { id: String(token) } })) },
      },
    });
    expect((await connect('alice')).welcome?.user).toBe('alice');
    const early = await connect(undefined, { protocols: ['realtime.v1.json', 'bearer.bob'] });
    expect(early.welcome?.user).toBe('bob');
    expect((await fetch(httpUrl, { headers: { Authorization: 'Bearer carol' } })).status).toBe(426);
  });

  it.each(rows)(
    'an authenticator that fails %s with %s refuses hello, upgrade, probe and `auth` with the code of the error (G25, P18)',
    async (form, what) => {
      const [, code, , status, close] = THROWN[what] as (typeof THROWN)[string];
      const { open, connect, url, httpUrl, logger } = await start({
        providers: [News],
        realtime: {
          auth: {
            authenticator: authenticator(form, ({ token }) =>
              token === 'alice' ? { user: { id: 'alice' } } : thrown(what),
            ),
          },
        },
      });
      const client = await open();
      client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'x' } });
      const { ref, payload } = await client.next('error');
      expect([ref, payload['code']]).toEqual(['h', code]);
      await client.expectClose(close);

      const early = await WireClient.refused(url, { protocols: ['realtime.v1.json', 'bearer.x'] });
      expect(early.status).toBe(status);
      expect(early.body).not.toContain('hunter2');
      const probed = await fetch(httpUrl, { headers: { Authorization: 'Bearer x' } });
      expect(probed.status).toBe(status);

      const alice = await connect('alice');
      await expect(alice.error({ type: 'auth', payload: { token: 'x' } })).resolves.toMatchObject({ code });
      await expect(alice.call({ type: 'request', event: 'user' })).resolves.toMatchObject({
        payload: 'somebody',
      });
      expect(alice.ended).toBeUndefined();
      // Only what is the application's own failure is the operator's business.
      expect(logger.at('error').some((line) => line.includes('***@10.0.0.1'))).toBe(code === 'internal');
      // Not what somebody logs in with (G23).
      expect(logger.at('error').join()).not.toContain('hunter2');
      expect(JSON.stringify([client.received, alice.received])).not.toContain('hunter2');
    },
  );

  it.each(
    FORMS.flatMap((form) =>
      [
        ['a user without an id', { user: {} }],
        ['a user whose id is a number', { user: { id: 7 } }],
        ['a user whose id is empty', { user: { id: '' } }],
      ].map(([what, answer]) => [form, what, answer] as const),
    ),
  )(
    'an authenticator that answers %s with %s is reported in the log, and to the client only as internal (G25)',
    async (form, _what, answer) => {
      const { open, logger } = await start({
        providers: [News],
        realtime: { auth: { authenticator: authenticator(form, () => answer as never) } },
      });
      const client = await open();
      client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'x' } });
      expect((await client.next('error')).payload).toMatchObject({ code: 'internal' });
      await client.expectClose(4005);
      expect(logger.text).toContain('returned a user without an id');
    },
  );

  it.each(FORMS.flatMap((form) => [[form, {}] as const, [form, undefined] as const]))(
    'an authenticator that answers %s with %p is refused as unauthorized where anonymous clients are not allowed',
    async (form, answer) => {
      const { open } = await start({
        providers: [News],
        realtime: { auth: { authenticator: authenticator(form, () => answer as never) } },
      });
      const client = await open();
      client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'x' } });
      expect((await client.next('error')).payload).toMatchObject({ code: 'unauthorized' });
      await client.expectClose(4801);
    },
  );
});

describe('a connect hook', () => {
  const hook = (run: () => unknown) => {
    @Injectable()
    class Hook implements RealtimeConnectHook {
      onConnect() {
        return run() as boolean;
      }
    }
    return Hook;
  };
  const anonymous = { anonymous: true } as const;

  it.each(rows)(
    'a connect hook that fails %s with %s closes the connection with the code of the error (G9)',
    async (form, what) => {
      const [, code, , , close] = THROWN[what] as (typeof THROWN)[string];
      const Hook = hook(() => give(form, () => thrown(what)));
      const { open } = await start({ providers: [News, Hook], realtime: { auth: anonymous, connect: Hook } });
      const client = await open();
      client.send({ type: 'hello', id: 'h', payload: { versions: [1] } });
      expect((await client.next('error')).payload['code']).toBe(code);
      await client.expectClose(close);
      expect(JSON.stringify(client.received)).not.toContain('hunter2');
    },
  );

  it.each(FORMS.flatMap((form) => [true, undefined, false].map((verdict) => [form, verdict] as const)))(
    'a connect hook that answers %s with %p admits the client unless the answer is false',
    async (form, verdict) => {
      const Hook = hook(() => give(form, () => verdict));
      const { open } = await start({ providers: [News, Hook], realtime: { auth: anonymous, connect: Hook } });
      const client = await open();
      client.send({ type: 'hello', id: 'h', payload: { versions: [1] } });
      const { type } = await client.next();
      expect(type).toBe(verdict === false ? 'error' : 'welcome');
      if (verdict === false) await client.expectClose(4802);
    },
  );
});

/** Handlers that do what the name of the channel says: `<form>.<what>`. */
@Injectable()
class Doing {
  readonly hooks: string[] = [];

  run(form: string, what: string): unknown {
    const work = (): unknown => (what === 'works' ? 'done' : thrown(what.replaceAll('~', ' ')));
    if (form === 'at_once') return work();
    if (form === 'stream')
      return what === 'works' ? of('first', 'done') : defer(() => throwError(() => caught(work)));
    return Promise.resolve().then(work);
  }
}

function caught(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

@PublicChannel()
@Channel('asks.:form.:what')
class Asks {
  constructor(readonly doing: Doing) {}
  @Authorize('publish')
  can() {
    return true;
  }
  @OnRequest('do')
  ask(@ChannelParam('form') form: string, @ChannelParam('what') what: string) {
    return this.doing.run(form, what);
  }
  @OnPublish('do')
  publish(@ChannelParam('form') form: string, @ChannelParam('what') what: string) {
    return this.doing.run(form, what);
  }
  @OnRequest('free', { scope: 'connection', authorize: 'public' })
  free(@MessageBody() [form, what]: [string, string]) {
    return this.doing.run(form, what);
  }
}
Reflect.defineMetadata('design:paramtypes', [Doing], Asks);

@PublicChannel()
@Channel('states.:form.:what')
class States {
  constructor(readonly doing: Doing) {}
  @Snapshot()
  state(@ChannelParam('form') form: string, @ChannelParam('what') what: string) {
    return this.doing.run(form, what);
  }
}
Reflect.defineMetadata('design:paramtypes', [Doing], States);

@Channel('rights.:form.:what')
class Rights {
  constructor(readonly doing: Doing) {}
  @Authorize('subscribe')
  can(@ChannelParam('form') form: string, @ChannelParam('what') what: string) {
    const done = this.doing.run(form, what);
    return done instanceof Promise ? done.then(() => true) : true;
  }
}
Reflect.defineMetadata('design:paramtypes', [Doing], Rights);

@Injectable()
class DoingPolicy implements ChannelPolicyGuard {
  constructor(readonly doing: Doing) {}
  subscribe({ params }: RealtimeContext) {
    const done = this.doing.run(String(params['form']), String(params['what']));
    return done instanceof Promise ? done.then(() => true) : true;
  }
}
Reflect.defineMetadata('design:paramtypes', [Doing], DoingPolicy);

@Authorize(DoingPolicy)
@Channel('policies.:form.:what')
class Policies {}

@PublicChannel()
@Channel('hooks.:form.:what')
class Hooks {
  constructor(readonly doing: Doing) {}
  @OnSubscribe()
  joined(@ChannelParam('form') form: string, @ChannelParam('what') what: string) {
    this.doing.hooks.push(`+${form}.${what}`);
    return this.doing.run(form, what);
  }
  @OnUnsubscribe()
  left(@ChannelParam('form') form: string, @ChannelParam('what') what: string) {
    this.doing.hooks.push(`-${form}.${what}`);
    return this.doing.run(form, what);
  }
}
Reflect.defineMetadata('design:paramtypes', [Doing], Hooks);

describe('a handler', () => {
  let server: TestApp;
  let client: WireClient;
  beforeAll(async () => {
    server = await startApp(platform, {
      providers: [Doing, Asks, States, Rights, Policies, DoingPolicy, Hooks],
      realtime: {
        auth: { anonymous: true },
        limits: { ratePerSecond: 100_000, burst: 100_000, userRatePerSecond: 100_000, maxChannels: 1_000 },
      },
    });
    client = await server.connect();
  });
  afterAll(() => server.close());

  const forms = ['at_once', 'later', 'stream'];
  const cases = forms.flatMap((form) => Object.keys(THROWN).map((what) => [form, what] as const));
  const named = (what: string): string => what.replaceAll(' ', '~');

  it.each(cases)(
    'a handler that fails %s with %s answers request and publish with the code of the error (P7, G25)',
    async (form, what) => {
      const [, , code] = THROWN[what] as (typeof THROWN)[string];
      const channel = `asks.${form}.${named(what)}`;
      await client.subscribe(channel);
      for (const type of ['request', 'publish'])
        await expect(client.error({ type, channel, event: 'do', payload: 1 })).resolves.toMatchObject({
          code,
        });
      await expect(
        client.error({ type: 'request', event: 'free', payload: [form, named(what)] }),
      ).resolves.toMatchObject({ code });
      expect(JSON.stringify(client.received)).not.toContain('hunter2');
    },
  );

  it.each(forms)(
    'a handler that works %s answers with its result, for a stream with the last value',
    async (form) => {
      const channel = `asks.${form}.works`;
      await client.subscribe(channel);
      await expect(client.call({ type: 'request', channel, event: 'do' })).resolves.toMatchObject({
        payload: 'done',
      });
      await expect(
        client.call({ type: 'request', event: 'free', payload: [form, 'works'] }),
      ).resolves.toMatchObject({ payload: 'done' });
      await client.reply({ type: 'publish', channel, event: 'do', payload: 1 });
      expect((await client.take({ type: 'event', channel })).payload).toBe('done');
      await expect(client.subscribe(`states.${form}.works`)).resolves.toMatchObject({ snapshot: 'done' });
    },
  );

  it.each(cases)(
    'a snapshot handler that fails %s with %s refuses the subscribe with the code of the error (P26)',
    async (form, what) => {
      const [, , code] = THROWN[what] as (typeof THROWN)[string];
      const channel = `states.${form}.${named(what)}`;
      // A failure of the application ends no subscription that a client wants (P6d).
      await expect(client.error({ type: 'subscribe', channel, payload: {} })).resolves.toMatchObject({
        code: code === 'internal' ? 'unavailable' : code,
      });
      await expect(client.error({ type: 'history', channel })).resolves.toMatchObject({
        code: 'not_subscribed',
      });
    },
  );

  it.each(rows.flatMap(([form, what]) => ['rights', 'policies'].map((of) => [of, form, what] as const)))(
    'an authorization by %s that fails %s with %s refuses the subscribe with the code of the error (G10)',
    async (of, form, what) => {
      const [, , code] = THROWN[what] as (typeof THROWN)[string];
      const channel = `${of}.${form.replace(' ', '_')}.${named(what)}`;
      // A failure of the application ends no subscription that a client wants (P6d).
      await expect(client.error({ type: 'subscribe', channel, payload: {} })).resolves.toMatchObject({
        code: code === 'internal' ? 'unavailable' : code,
      });
    },
  );

  it.each(FORMS.flatMap((form) => ['rights', 'policies'].map((of) => [of, form] as const)))(
    'an authorization by %s that works %s admits the subscribe',
    async (of, form) => {
      await expect(client.subscribe(`${of}.${form.replace(' ', '_')}.works`)).resolves.toMatchObject({
        recovery: 'new',
      });
    },
  );

  it.each(
    forms.flatMap((form) => ['works', 'Error', 'ForbiddenException'].map((what) => [form, what] as const)),
  )('a lifecycle hook that runs %s and ends with %s changes no answer (G25)', async (form, what) => {
    const { hooks } = server.app.get(Doing);
    const channel = `hooks.${form}.${what}`;
    await client.subscribe(channel);
    await until('the first hook', () => hooks.includes(`+${form}.${what}`));
    await expect(client.reply({ type: 'unsubscribe', channel })).resolves.toEqual({});
    await until('the second hook', () => hooks.includes(`-${form}.${what}`));
    expect(client.ended).toBeUndefined();
  });
});
