import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  BadRequestException,
  ConflictException,
  ForbiddenException,
  HttpException,
  ImATeapotException,
  Injectable,
  InternalServerErrorException,
  NotFoundException,
  PayloadTooLargeException,
  RequestTimeoutException,
  ServiceUnavailableException,
  UnauthorizedException,
  UnprocessableEntityException,
} from '@nestjs/common';
import { WsException } from '@nestjs/websockets';
import { readFileSync, writeFileSync } from 'node:fs';
import { EMPTY, firstValueFrom } from 'rxjs';
import { WebSocket } from 'ws';
import { RealtimeClient } from '../../../lib/client/index.js';
import type { Authenticator } from '../../../lib/core/ports/identity.js';
import {
  Authorize,
  Channel,
  ChannelParam,
  OnPublish,
  OnRequest,
  PublicChannel,
  Snapshot,
  type RealtimeConnectHook,
} from '../../../lib/nest/index.js';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

// Throws each exception in each kind of handler, and writes down what a client is told and whether it tries again by itself.
// docs/errors.md shows the table; after a change: UPDATE_ERROR_TABLE=1 with this spec, then `npm run docs`.
const FILE = new URL('../../../scripts/docs/error-table.json', import.meta.url);

const SOON_MS = 40;
const EXCEPTIONS: Readonly<Record<string, () => unknown>> = {
  "new RealtimeError('room_full', { data: { max: 20 } })": () =>
    new RealtimeError('room_full', { data: { max: 20 } }),
  "new RealtimeError('busy', { retryAfterMs: 40 })": () =>
    new RealtimeError('busy', { retryAfterMs: SOON_MS }),
  "new RealtimeError('forbidden')": () => new RealtimeError('forbidden'),
  "new RealtimeError('forbidden', { reason: 'not_a_member' })": () =>
    new RealtimeError('forbidden', { reason: 'not_a_member' }),
  "new RealtimeError('muted', { retryAfterMs: 40 })": () =>
    new RealtimeError('muted', { retryAfterMs: SOON_MS }),
  "new RealtimeError('banned')": () => new RealtimeError('banned'),
  "new RealtimeError('validation_failed', { details })": () =>
    new RealtimeError('validation_failed', { details: [{ path: 'text', message: 'is too long' }] }),
  "new RealtimeError('bad_request')": () => new RealtimeError('bad_request'),
  "new RealtimeError('unauthorized')": () => new RealtimeError('unauthorized'),
  "new RealtimeError('token_expired')": () => new RealtimeError('token_expired'),
  "new RealtimeError('rate_limited')": () => new RealtimeError('rate_limited'),
  "new RealtimeError('unavailable')": () => new RealtimeError('unavailable'),
  "new RealtimeError('timeout')": () => new RealtimeError('timeout'),
  "new RealtimeError('conflict')": () => new RealtimeError('conflict'),
  "new RealtimeError('unknown_channel')": () => new RealtimeError('unknown_channel'),
  "new RealtimeError('already_subscribed')": () => new RealtimeError('already_subscribed'),
  "new BadRequestException('no')": () => new BadRequestException('no'),
  "new BadRequestException(['text must be a string'])": () =>
    new BadRequestException(['text must be a string']),
  'new UnauthorizedException()': () => new UnauthorizedException(),
  'new ForbiddenException()': () => new ForbiddenException(),
  'new NotFoundException()': () => new NotFoundException(),
  'new ConflictException()': () => new ConflictException(),
  "new ConflictException({ code: 'ROOM_FULL', max: 5 })": () =>
    new ConflictException({ code: 'ROOM_FULL', max: 5 }),
  'new RequestTimeoutException()': () => new RequestTimeoutException(),
  'new PayloadTooLargeException()': () => new PayloadTooLargeException(),
  'new UnprocessableEntityException()': () => new UnprocessableEntityException(),
  'new ImATeapotException()': () => new ImATeapotException(),
  "new HttpException('Slow down', 429)": () => new HttpException('Slow down', 429),
  'new ServiceUnavailableException()': () => new ServiceUnavailableException(),
  'new ServiceUnavailableException({ retryAfterMs: 40 })': () =>
    new ServiceUnavailableException({ retryAfterMs: SOON_MS }),
  'new InternalServerErrorException()': () => new InternalServerErrorException(),
  "new WsException('Not now')": () => new WsException('Not now'),
  "new WsException({ code: 'ROOM_FULL', max: 5 })": () => new WsException({ code: 'ROOM_FULL', max: 5 }),
  'ValidationError[] of class-validator': () => [
    { property: 'text', constraints: { isString: 'text must be a string' } },
  ],
  'await firstValueFrom(EMPTY)': () => firstValueFrom(EMPTY).catch((error: unknown) => error),
  "new Error('A bug')": () => new Error('A bug'),
  "'a text'": () => 'a text',
};
const NAMES = Object.keys(EXCEPTIONS);

/** Where an exception is thrown, and the column that shows it. */
const PLACES = {
  authenticator: 'connect',
  hook: 'connect',
  authorize: 'subscribe',
  snapshot: 'subscribe',
  mayPublish: 'publish',
  publish: 'publish',
  mayRequest: 'request',
  request: 'request',
} as const;
type Place = keyof typeof PLACES;

/** How often each was thrown, by `<place>.<row>`, and who waits for the next time. */
const calls = new Map<string, number>();
const waiting = new Map<string, () => void>();
/** Those whose retry was seen: nothing is thrown any more, or the client would try each again every millisecond until the end. */
const seenAgain = new Set<string>();

async function raise(place: Place, row: string): Promise<void> {
  const key = `${place}.${row}`;
  if (seenAgain.has(key)) return;
  calls.set(key, (calls.get(key) ?? 0) + 1);
  waiting.get(key)?.();
  throw await EXCEPTIONS[NAMES[Number(row)] ?? '']?.();
}

@Channel('authorize.:row')
class Authorizing {
  @Authorize('subscribe')
  can(@ChannelParam('row') row: string) {
    return raise('authorize', row);
  }
}
@PublicChannel()
@Channel('snapshot.:row')
class States {
  @Snapshot()
  state(@ChannelParam('row') row: string) {
    return raise('snapshot', row);
  }
}
@PublicChannel()
@Channel('publish.:row')
class Publishing {
  @Authorize('publish')
  can() {
    return true;
  }
  @OnPublish('said')
  said(@ChannelParam('row') row: string) {
    return raise('publish', row);
  }
}
@PublicChannel()
@Channel('mayPublish.:row')
class MayPublish {
  @Authorize('publish')
  can(@ChannelParam('row') row: string) {
    return raise('mayPublish', row);
  }
  @OnPublish('said')
  said() {}
}
@PublicChannel()
@Channel('request.:row')
class Requests {
  @OnRequest('ask')
  ask(@ChannelParam('row') row: string) {
    return raise('request', row);
  }
}
@PublicChannel()
@Channel('mayRequest.:row')
class MayRequest {
  @Authorize('request')
  can(@ChannelParam('row') row: string) {
    return raise('mayRequest', row);
  }
  @OnRequest('ask')
  ask() {}
}
@Injectable()
class Hook implements RealtimeConnectHook {
  async onConnect({ user }: RealtimeConnection) {
    const [place, row] = String(user?.id).split('.');
    if (place === 'hook') await raise('hook', String(row));
    return true;
  }
}
const authenticator: Authenticator = {
  async authenticate({ token = '' }) {
    const [place, row] = token.split('.');
    if (place === 'authenticator') await raise('authenticator', String(row));
    return { user: { id: token } };
  },
};

/** What a client sees, as the table has it. */
interface Seen {
  readonly code: string;
  readonly reason?: string | undefined;
  /** Whether, and after which advice, the client tries again; for a connect, the close code too. */
  readonly then: string;
}

describe('what an exception becomes', () => {
  let server: TestApp;
  let client: RealtimeClient;
  beforeAll(async () => {
    server = await startApp(PLATFORMS[0][1], {
      providers: [Authorizing, States, Publishing, MayPublish, Requests, MayRequest, Hook],
      realtime: {
        auth: { authenticator },
        connect: Hook,
        retry: { base: 1, max: 1, firstSpread: 1 },
        limits: {
          ratePerSecond: 1e5,
          burst: 1e5,
          userRatePerSecond: 1e5,
          maxChannels: 1_000,
          connectsPerSecond: 1e5,
        },
        abuse: { authFailures: 1e5 },
      },
    });
    client = clientOf('ada');
    await client.connect();
  });
  afterAll(async () => {
    await client.close();
    await server.close();
  });

  const clientOf = (token: string) =>
    new RealtimeClient(server.httpUrl, { token: () => token, webSocket: WebSocket, random: () => 0 });
  const callsOf = (place: Place, row: number): number => calls.get(`${place}.${row}`) ?? 0;

  async function seenOnTheWire(place: Place, row: number): Promise<Omit<Seen, 'then'> & { advice: string }> {
    const wire = await server.open();
    const at = { channel: `${place}.${row}` };
    if (PLACES[place] === 'connect') {
      wire.send({ type: 'hello', id: 'h', payload: { versions: [1], token: `${place}.${row}` } });
      const { payload } = await wire.next('error');
      const { code, reason } = await wire.expectClose();
      return { ...named(payload), advice: `${code}${adviceOf(Number(reason.split('|')[1]))}` };
    }
    await wire.hello('bob');
    if (PLACES[place] !== 'subscribe') await wire.subscribe(at.channel);
    const commands = {
      subscribe: { type: 'subscribe', payload: {} },
      publish: { type: 'publish', event: 'said', payload: 1 },
      request: { type: 'request', event: 'ask' },
    } as const;
    const body = await wire.error({ ...commands[PLACES[place]], ...at });
    wire.terminate();
    return { ...named({ ...body }), advice: adviceOf(body.retryAfterMs) };
  }

  /** Whether the client of this package tries again by itself. */
  async function isRetried(place: Place, row: number): Promise<boolean> {
    const before = callsOf(place, row);
    const again = new Promise<boolean>((resolve) =>
      waiting.set(`${place}.${row}`, () => {
        if (callsOf(place, row) < before + 2) return;
        seenAgain.add(`${place}.${row}`);
        resolve(true);
      }),
    );
    const refused = (work: Promise<unknown>): Promise<boolean> =>
      work.then(
        () => {
          throw new Error('It was not refused');
        },
        () => false,
      );
    if (PLACES[place] === 'connect') {
      const own = clientOf(`${place}.${row}`);
      const stopped = new Promise<boolean>((resolve) =>
        own.on('state', ({ state }) => {
          if (state === 'closed') resolve(false);
          if (state === 'waiting') resolve(true);
        }),
      );
      own.connect().catch(() => undefined);
      const result = await stopped;
      await own.close();
      return result;
    }
    const room = client.channel(`${place}.${row}`);
    if (PLACES[place] === 'subscribe') return Promise.race([again, refused(room.subscribe())]);
    await room.subscribe();
    return Promise.race([
      again,
      refused(PLACES[place] === 'publish' ? room.publish('said', 1) : room.request('ask')),
    ]);
  }

  it.each(NAMES.map((name, row) => [name, row] as const))(
    '%s becomes what docs/errors.md says, in every handler (P6f, P6g)',
    async (name, row) => {
      const cells: Partial<Record<(typeof PLACES)[Place], Seen>> = {};
      await Promise.all(
        (Object.keys(PLACES) as Place[]).map(async (place) => {
          const { advice, ...seen } = await seenOnTheWire(place, row);
          const retried = await isRetried(place, row);
          const cell = {
            ...seen,
            then: `${retried ? 'again' : 'no'}${advice === '' ? '' : `, ${advice.trim()}`}`,
          };
          // What authorizes a command, and what runs it, are one column.
          expect(cells[PLACES[place]] ?? cell).toEqual(cell);
          cells[PLACES[place]] = cell;
        }),
      );
      const { connect, subscribe, publish, request } = cells;
      found[name] = { connect, subscribe, publish, request };
      if (process.env['UPDATE_ERROR_TABLE'] === undefined)
        expect(JSON.parse(JSON.stringify(found[name]))).toEqual(table()[name]);
    },
  );

  it('the table has these exceptions and no others', () => {
    if (process.env['UPDATE_ERROR_TABLE'] !== undefined)
      writeFileSync(FILE, `${JSON.stringify(found, undefined, 2)}\n`);
    expect(Object.keys(table())).toEqual(NAMES);
  });
});

const found: Record<string, object> = {};
const table = () => JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, object>;

function named({ code, reason }: Readonly<Record<string, unknown>>): Omit<Seen, 'then'> {
  return { code: code as string, ...(reason === undefined ? {} : { reason: reason as string }) };
}

function adviceOf(ms: number | undefined): string {
  return ms === undefined || ms === 0 || Number.isNaN(ms) ? '' : ` after ${ms} ms`;
}
