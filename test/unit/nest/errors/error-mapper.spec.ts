import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import {
  BadRequestException,
  ConflictException,
  ForbiddenException,
  GoneException,
  HttpException,
  InternalServerErrorException,
  NotFoundException,
  PayloadTooLargeException,
  RequestTimeoutException,
  ServiceUnavailableException,
  UnauthorizedException,
  UnprocessableEntityException,
  ValidationPipe,
} from '@nestjs/common';
import { WsException } from '@nestjs/websockets';
import { IsInt, IsString, validate, ValidateNested } from 'class-validator';
import { ErrorMapper, type ErrorOrigin } from '../../../../lib/nest/errors/error-mapper.js';
import { watchIssues } from '../../../../lib/nest/errors/pipe-issues.js';
import { errorBody } from '../../../../lib/protocol/error-body.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { toWireValue } from '../../../../lib/protocol/wire-value.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

const ORIGIN = { source: 'Rooms.rename', about: { connection: 'c7' } };

function mapped(error: unknown, more: Partial<ErrorOrigin> = {}) {
  const logger = new RecordingLogger();
  const result = new ErrorMapper(logger, new SeededEntropy()).toRealtimeError(error, { ...ORIGIN, ...more });
  return { result, body: errorBody(result), records: logger.records };
}

function fromBody(body: unknown) {
  return { result: new ErrorMapper(new RecordingLogger(), new SeededEntropy()).fromBody(body, ORIGIN) };
}

function fail(): never {
  throw new Error('of the getter');
}

class Author {
  @IsString()
  name!: unknown;
}
class Custom {
  @IsString({ message: 'Choose something nicer' })
  size!: unknown;
  @IsString({ message: 'Choose something nicer' })
  nice!: unknown;
}
class Message {
  @IsInt()
  size!: unknown;
  @ValidateNested()
  author = new Author();
}

describe('the error mapper', () => {
  it('keeps a RealtimeError unchanged', () => {
    const error = new RealtimeError('muted');
    expect(mapped(error).result).toBe(error);
  });

  it.each<[HttpException, string, string | undefined]>([
    [new BadRequestException('no'), 'refused', 'bad_request'],
    [new UnauthorizedException('no'), 'forbidden', 'unauthorized'],
    [new ForbiddenException('no'), 'forbidden', undefined],
    [new NotFoundException('no'), 'refused', 'not_found'],
    [new GoneException('no'), 'refused', 'gone'],
    [new RequestTimeoutException('no'), 'refused', 'request_timeout'],
    [new ConflictException('no'), 'refused', 'conflict'],
    [new PayloadTooLargeException('no'), 'refused', 'payload_too_large'],
    [new UnprocessableEntityException('no'), 'refused', 'unprocessable_entity'],
    [new HttpException('no', 429), 'refused', 'too_many_requests'],
    [new HttpException('no', 418), 'refused', 'i_am_a_teapot'],
    [new HttpException('no', 499), 'refused', 'http_499'],
    [new ServiceUnavailableException('no'), 'refused', 'service_unavailable'],
  ])(
    '%p of a handler is its answer, with the name of its status as the reason (P6f)',
    (error, code, reason) => {
      const { body, records } = mapped(error);
      expect(body).toMatchObject({ code, message: 'no', retryable: false });
      expect(body.reason).toBe(reason);
      expect(body.retryAfterMs).toBeUndefined();
      expect(body.data).toBeUndefined();
      expect(records).toEqual([]);
    },
  );

  it.each<[string, unknown, Record<string, unknown>]>([
    [
      'its code and rest',
      { code: 'ROOM_FULL', max: 5, message: 'full' },
      { reason: 'ROOM_FULL', data: { max: 5 } },
    ],
    ['its errorCode', { errorCode: 'E7', statusCode: 409, message: 'm' }, { reason: 'E7', data: undefined }],
    ['its error', { error: 'ROOM_FULL' }, { reason: 'ROOM_FULL', data: undefined }],
    [
      'the text of the status',
      { error: 'Conflict', statusCode: 409 },
      { reason: 'conflict', data: undefined },
    ],
    ['a number', { code: 4711 }, { reason: '4711', data: undefined }],
    [
      'texts that are no findings',
      { message: ['a', 'b'] },
      { reason: 'conflict', data: { message: ['a', 'b'] } },
    ],
    ['a list', ['a'], { reason: 'conflict', data: undefined }],
  ])('the response of an HttpException gives %s as reason and data (P6f)', (_what, response, expected) => {
    const { body } = mapped(new ConflictException(response));
    expect(body.code).toBe('refused');
    expect({ reason: body.reason, data: body.data }).toEqual(
      Array.isArray(response) ? { reason: 'conflict', data: { message: ['a'] } } : expected,
    );
  });

  it('the text of an error that is the response of an HttpException stays on the server, as over HTTP (G25)', () => {
    const error = new HttpException(new Error('hunter2') as never, 409);
    expect(JSON.stringify(mapped(error).body)).not.toContain('hunter2');
  });

  describe('an Error inside of what is thrown stays on the server (G25)', () => {
    const SECRET = 'password=hunter2';
    const full = () =>
      Object.assign(new Error(SECRET), {
        code: 'ECONNREFUSED',
        errorCode: 'X',
        error: 'Y',
        status: 403,
        retryAfterMs: 1_234,
        host: SECRET,
        errors: [{ message: SECRET }],
        issues: [{ message: SECRET }, { path: SECRET, message: SECRET }],
      });
    const given: Array<[string, (body: never) => unknown]> = [
      ['a WsException', (body) => new WsException(body)],
      ['an HttpException 409', (body) => new HttpException(body, 409)],
      ['a BadRequestException', (body) => new BadRequestException(body)],
      ['an UnauthorizedException', (body) => new UnauthorizedException(body)],
      ['a WsException with an HttpException', (body) => new WsException(new HttpException(body, 400))],
    ];
    const bodies: Array<[string, () => unknown]> = [
      ['an Error', full],
      ['an Error of another realm', () => Object.assign(runInNewContext('new Error()') as Error, full())],
      ['an AggregateError', () => new AggregateError([new Error(SECRET)], SECRET)],
      ['an AggregateError of texts', () => new AggregateError([SECRET], SECRET)],
      ['an Error with a list as its message', () => Object.assign(new Error(), { message: [SECRET] })],
      ['an Error with grouped texts', () => Object.assign(new Error(), { message: { a: [SECRET] } })],
      ['an HttpException', () => new ConflictException(SECRET)],
    ];
    describe.each(given)('%s', (_what, wrap) => {
      it.each(bodies)('with %s', (_which, make) => {
        for (const action of ['publish', 'authenticate', 'subscribe'] as const) {
          const { body } = mapped(wrap(make() as never), { action });
          expect(JSON.stringify(body)).not.toMatch(/hunter2|ECONNREFUSED/);
          expect([body.data, body.details]).toEqual([undefined, undefined]);
          expect(['X', 'Y', 'ECONNREFUSED']).not.toContain(body.reason);
          expect(body.retryAfterMs).toBeUndefined();
        }
      });
    });

    it('and its status counts only where the application gave it', () => {
      expect(mapped(new WsException(full())).body).toMatchObject({ code: 'refused' });
      const inner = new WsException(new ForbiddenException('no'));
      expect(mapped(inner).body.code).toBe('forbidden');
    });

    it('and so does one that a filter returns, or that is a finding', () => {
      expect(JSON.stringify(errorBody(fromBody(full()).result))).not.toMatch(/hunter2|ECONNREFUSED/);
      const mapper = new ErrorMapper(new RecordingLogger(), new SeededEntropy());
      const written = mapper.fromResponse(409, full(), ORIGIN, undefined) as RealtimeError;
      expect(errorBody(written)).toMatchObject({ code: 'refused', reason: 'conflict' });
      expect(JSON.stringify(errorBody(written))).not.toMatch(/hunter2|ECONNREFUSED/);
      for (const body of [[full()], { errors: [full()] }, { message: [full()] }, { issues: [full()] }])
        expect(JSON.stringify(mapped(new BadRequestException(body)).body)).not.toContain('hunter2');
    });

    it('but the error of a schema gives its findings, by their paths', () => {
      const zod = Object.assign(new Error(SECRET), {
        issues: [{ path: ['a', 0], message: 'bad' }, new Error(SECRET)],
      });
      const details = [{ path: 'a.0', message: 'bad' }];
      for (const error of [new BadRequestException(zod), new WsException(zod)]) {
        const { body } = mapped(error);
        expect(body).toMatchObject({ code: 'validation_failed', details });
        expect(JSON.stringify(body)).not.toContain('hunter2');
      }
    });
  });

  it.each([
    [{ status: 409, body: { retryAfterMs: 3_000 } }, 'publish', 3_000],
    [{ status: 503, body: 'later' }, 'publish', undefined],
    [{ status: 503, body: 'later' }, 'request', undefined],
    [{ status: 503, body: 'later' }, 'subscribe', 1_000],
    [{ status: 429, body: 'later' }, 'connect', 1_000],
    [{ status: 409, body: 'no' }, 'subscribe', undefined],
    [{ status: 503, body: { retryAfterMs: 0 } }, 'subscribe', 0],
  ] as const)('%j in answer to a %s is to be tried again after %s ms', (given, action, retryAfterMs) => {
    const error = new HttpException(given.body, given.status);
    const body = mapped(error, { action }).body;
    expect(body.code).toBe('refused');
    expect([body.retryAfterMs, body.retryable]).toEqual([retryAfterMs, retryAfterMs !== undefined]);
  });

  it('what a guard wrote as Retry-After counts for what is temporary, and for nothing else', () => {
    const origin = { action: 'publish', retryAfterMs: 7_000 } as const;
    expect(mapped(new HttpException('slow', 429), origin).body.retryAfterMs).toBe(7_000);
    expect(mapped(new ConflictException('no'), origin).body.retryAfterMs).toBeUndefined();
  });

  describe('a RealtimeError', () => {
    it.each([
      'bad_request',
      'validation_failed',
      'forbidden',
      'banned',
      'muted',
      'message_too_large',
    ] as const)('of a handler keeps the code %s', (code) => {
      const error = new RealtimeError(code, 'why', { reason: 'x', data: { a: 1 } });
      expect(mapped(error, { action: 'publish' }).body).toEqual(errorBody(error));
    });

    it.each([
      'token_expired',
      'unknown_channel',
      'not_subscribed',
      'already_subscribed',
      'too_many_channels',
      'rate_limited',
      'conflict',
      'out_of_order',
      'unavailable',
      'timeout',
      'outcome_unknown',
    ] as const)('of a handler gives the code %s as its reason: it says what the library found', (code) => {
      const error = new RealtimeError(code, 'why', { data: { a: 1 } });
      expect(mapped(error, { action: 'publish' }).body).toEqual({
        code: 'refused',
        reason: code,
        message: 'why',
        retryable: false,
        data: { a: 1 },
        docs: 'nestjs-realtime/docs/errors.md#refused',
      });
      const later = new RealtimeError(code, 'why', { retryAfterMs: 5 });
      expect(mapped(later, { action: 'publish' }).body).toMatchObject({ retryable: true, retryAfterMs: 5 });
    });

    it('unauthorized of a handler is forbidden, as an UnauthorizedException: the credential of the client is good', () => {
      const { body } = mapped(new RealtimeError('unauthorized'), { action: 'subscribe' });
      const message = 'There is no valid credential.';
      expect(body).toMatchObject({ code: 'forbidden', reason: 'unauthorized', message });
    });

    it.each(['unauthorized', 'token_expired', 'rate_limited', 'unavailable', 'timeout'] as const)(
      'at the door keeps the code %s, which decides how the connection ends',
      (code) => {
        const error = new RealtimeError(code);
        expect(mapped(error, { action: 'authenticate' }).result).toBe(error);
        expect(mapped(error, { action: 'connect' }).result).toBe(error);
      },
    );

    it('at the door does not end a connection as one that broke the protocol', () => {
      expect(mapped(new RealtimeError('bad_request'), { action: 'connect' }).body).toMatchObject({
        code: 'refused',
        reason: 'bad_request',
      });
    });

    it('of an authorization that is temporary is asked again', () => {
      const { body } = mapped(new RealtimeError('unavailable'), { action: 'subscribe' });
      expect(body).toMatchObject({ code: 'refused', reason: 'unavailable', retryAfterMs: 1_000 });
    });
  });

  describe('what a client is sent', () => {
    const full = (data: unknown) => new RealtimeError('room_full', { data });

    it('has data of 4096 bytes, and not of one more; the log names the handler and the code is sent', () => {
      // {"s":"…"} is eight characters around the text.
      const fits = full({ s: 'x'.repeat(4_096 - 8) });
      expect(mapped(fits).body).toEqual(errorBody(fits));
      const { body, records } = mapped(full({ s: 'x'.repeat(4_096 - 7) }));
      expect(body).toMatchObject({ code: 'refused', reason: 'room_full' });
      expect(body.data).toBeUndefined();
      expect(records).toEqual([
        {
          level: 'warn',
          message: expect.stringContaining(
            'The error "room_full" of Rooms.rename was sent without its data: it has 4097 bytes',
          ),
        },
      ]);
    });

    it.each<[string, unknown]>([
      ['a BigInt', { n: 10n }],
      ['a Map', new Map()],
      ['a getter that throws', Object.defineProperty({}, 'x', { enumerable: true, get: () => fail() })],
    ])('has no data that cannot be sent (%s), and still the reason', (_what, data) => {
      const { body, records } = mapped(full(data));
      expect([body.code, body.reason, body.data]).toEqual(['refused', 'room_full', undefined]);
      expect(records).toHaveLength(1);
    });

    it('has the data that was measured: what toJSON says later, or a handler changes, is not sent', () => {
      let asked = 0;
      const grows = { toJSON: () => ({ s: 'x'.repeat(asked++ * 100_000) }) };
      const changing = { a: [1] };
      const first = mapped(full({ grows, changing })).body;
      changing.a.push(2);
      const sent = toWireValue(first.data);
      expect([sent, asked]).toEqual([{ grows: { s: '' }, changing: { a: [1] } }, 1]);
    });

    it('has data that looks like bytes, and bytes, as they were given', () => {
      const data = { tagged: { $bytes: 'AA==' }, bytes: new Uint8Array([1, 2]) };
      const sent = JSON.stringify(toWireValue(mapped(full(data)).body.data));
      expect(sent).toBe(JSON.stringify(toWireValue(data)));
    });

    it('has findings with paths and texts of at most 500 characters', () => {
      const details = [
        { path: 'p'.repeat(501), message: 'm'.repeat(501) },
        { path: 'p'.repeat(500), message: 'm'.repeat(500) },
      ];
      const thrown = new RealtimeError('validation_failed', { details });
      expect(mapped(thrown).body.details).toEqual([details[1], details[1]]);
      const texts = new BadRequestException(Array.from({ length: 50 }, () => 'm'.repeat(200_000)));
      expect(JSON.stringify(mapped(texts).body).length).toBeLessThan(17 * 1_024);
    });

    it('has findings of 16384 bytes at most: one byte more leaves out the last', () => {
      // A control character is six bytes of JSON.
      const five = Array.from({ length: 5 }, () => ({ path: '', message: '\u0001'.repeat(500) }));
      const room = 16_384 - JSON.stringify([...five, { path: '', message: '' }]).length;
      const [sixes, ones] = [Math.floor(room / 6), room % 6];
      const last = (more: number) => ({ path: 'x'.repeat(ones + more), message: '\u0001'.repeat(sixes) });
      const sent = (more: number) =>
        mapped(new RealtimeError('validation_failed', { details: [...five, last(more)] })).body.details;
      expect(Buffer.byteLength(JSON.stringify(sent(0)))).toBe(16_384);
      expect(sent(1)).toEqual(five);
    });

    it('has a reason of at most 128 characters, a message of at most 2048, and a delay that is one', () => {
      const error = new RealtimeError('r'.repeat(129), { message: 'm'.repeat(2_049), retryAfterMs: NaN });
      const { body } = mapped(error);
      expect([body.reason?.length, body.message.length, body.retryAfterMs]).toEqual([128, 2_048, undefined]);
      const fits = new RealtimeError('r'.repeat(128), { message: 'm'.repeat(2_048), retryAfterMs: 0 });
      expect(mapped(fits).result).toBe(fits);
      for (const retryAfterMs of [-1, Infinity])
        expect(mapped(new RealtimeError('x', { retryAfterMs })).body.retryable).toBe(false);
    });
  });

  it.each<[string, unknown]>([
    ['an Error', new Error('password is hunter2')],
    ['a 500', new InternalServerErrorException('db at 10.0.0.1')],
    ['a thrown string', 'oops'],
    ['nothing', undefined],
  ])('hides %s behind an id, and logs it once with the connection (G25)', (_what, error) => {
    const { body, records } = mapped(error);
    expect(body).toMatchObject({ code: 'internal', message: 'Internal error id1-1' });
    expect(JSON.stringify(body)).not.toMatch(/hunter2|10\.0\.0\.1|oops/);
    expect(records).toEqual([
      {
        level: 'error',
        message: 'Error id1-1 in Rooms.rename on connection c7',
        error,
        about: { connection: 'c7' },
      },
    ]);
  });

  it.each<[string, unknown, Record<string, unknown>]>([
    ['a string', 'room is full', { code: 'refused', message: 'room is full' }],
    ['the text of Nest’s guards', 'Forbidden resource', { code: 'refused' }],
    ['a code', { code: 'muted', message: 'quiet' }, { code: 'refused', reason: 'muted', message: 'quiet' }],
    [
      'a code and more',
      { code: 'ROOM_FULL', max: 5 },
      { code: 'refused', reason: 'ROOM_FULL', data: { max: 5 } },
    ],
    [
      'a status',
      { status: 409, message: 'twice' },
      { code: 'refused', reason: 'conflict', message: 'twice' },
    ],
    ['the status 403', { status: 403 }, { code: 'forbidden' }],
    ['the status 500', { status: 500, message: 'm' }, { code: 'refused', message: 'm' }],
    ['nothing', undefined, { code: 'refused' }],
  ])('a WsException with %s is a refusal (P6f)', (_what, given, expected) => {
    const { body, records } = mapped(new WsException(given as string));
    expect(body).toMatchObject(expected);
    expect(records).toEqual([]);
  });

  it('a body that Nest’s filter emits is read without the echo of the client’s message', () => {
    const { result } = fromBody({
      status: 'error',
      message: 'full',
      code: 'ROOM_FULL',
      max: 5,
      cause: { pattern: 'join', data: { secret: 1 } },
    });
    expect([result.code, result.reason, result.data]).toEqual(['refused', 'ROOM_FULL', { max: 5 }]);
  });

  describe('errors of validation', () => {
    it('the messages of ValidationPipe are kept, with the paths that they begin with', () => {
      const error = new BadRequestException([
        'text must be a string',
        'author.name should not be empty',
        'property extra should not exist',
        'Choose something nicer',
      ]);
      expect(mapped(error).body).toMatchObject({
        code: 'validation_failed',
        details: [
          { path: 'text', message: 'text must be a string' },
          { path: 'author.name', message: 'author.name should not be empty' },
          { path: 'extra', message: 'property extra should not exist' },
          { path: '', message: 'Choose something nicer' },
        ],
      });
    });

    it('grouped messages, and issues with paths, are kept', () => {
      const details = [{ path: 'a.b', message: 'bad' }];
      expect(mapped(new BadRequestException({ message: { 'a.b': ['bad'] } })).body.details).toEqual(details);
      const issues = { message: 'Validation failed', errors: [{ path: ['a', 'b'], message: 'bad' }] };
      expect(mapped(new BadRequestException(issues)).body.details).toEqual(details);
      const standard = { issues: [{ path: [{ key: 'a' }, 'b'], message: 'bad' }] };
      expect(mapped(new BadRequestException(standard)).body.details).toEqual(details);
    });

    it('thrown class-validator errors are kept, without the values in them (G23)', async () => {
      const message = Object.assign(new Message(), {
        size: 'hunter2',
        author: Object.assign(new Author(), { name: 5 }),
      });
      const errors = await validate(message);
      const expected = [
        { path: 'size', message: 'size must be an integer number' },
        { path: 'author.name', message: 'name must be a string' },
      ];
      for (const error of [errors, new BadRequestException(errors), new WsException(errors)]) {
        const { body, records } = mapped(error);
        expect(body).toMatchObject({ code: 'validation_failed', details: expected });
        expect(JSON.stringify(body)).not.toContain('hunter2');
        expect(records).toEqual([]);
      }
    });

    it('the texts of Nest’s pipes keep the paths of what they found, and are sent as they are', async () => {
      const pipe = new ValidationPipe();
      watchIssues(pipe);
      watchIssues(pipe);
      const metadata = { type: 'body', metatype: Custom } as const;
      const error: unknown = await pipe
        .transform({ size: 1, nice: 1 }, metadata)
        .catch((thrown: unknown) => thrown);
      expect(mapped(error).body.details).toEqual([
        { path: 'size', message: 'Choose something nicer' },
        { path: 'nice', message: 'Choose something nicer' },
      ]);
      const silent = new ValidationPipe({ disableErrorMessages: true });
      watchIssues(silent);
      const hidden: unknown = await silent.transform({}, metadata).catch((thrown: unknown) => thrown);
      expect(mapped(hidden).body).toMatchObject({ code: 'refused', reason: 'bad_request' });
    });

    it('a pipe may make its exception later, and a pipe that cannot be watched is left alone', async () => {
      const made = new BadRequestException(['is wrong']);
      const pipe = { exceptionFactory: async (_issues: unknown): Promise<unknown> => made };
      watchIssues(pipe);
      await expect(pipe.exceptionFactory([{ path: ['a', 'b'], message: 'is wrong' }])).resolves.toBe(made);
      expect(mapped(made).body.details).toEqual([{ path: 'a.b', message: 'is wrong' }]);
      const frozen = Object.freeze({ exceptionFactory: () => made });
      expect(() => watchIssues(frozen)).not.toThrow();
      expect(() => watchIssues(undefined)).not.toThrow();
    });

    it('the details for a hostile payload are bounded', () => {
      const many = Array.from({ length: 10_000 }, (_, index) => `items.${index} must be a string`);
      expect(mapped(new BadRequestException(many)).body.details).toHaveLength(50);
      let deep: Record<string, unknown> = { property: 'x', constraints: { c: 'x must be' }, children: [] };
      for (let depth = 0; depth < 10_000; depth++) deep = { property: 'x', children: [deep] };
      expect(mapped([deep]).body.code).toBe('validation_failed');
    });
  });
});
