import { describe, expect, it } from '@jest/globals';
import { callerOf } from '../../../lib/admin/caller.js';
import { errorOf, failureOf } from '../../../lib/admin/failure.js';
import { MAX_BODY_BYTES, readBody, readQuery } from '../../../lib/admin/input.js';
import * as schemas from '../../../lib/admin/schema.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';

const json = { 'content-type': 'application/json' };

/** What a call throws. */
function thrownBy(call: () => unknown): RealtimeError {
  try {
    call();
  } catch (error) {
    return error as RealtimeError;
  }
  throw new Error('It did not throw');
}

describe('the input of the admin API', () => {
  const schema = schemas.object({ name: schemas.text(8) }, { count: schemas.whole(1, 9), on: schemas.flag });

  it('of a query is read from its text, whatever the application has made of it', () => {
    const read = (url: string) => readQuery({ url, headers: {} }, schema);
    expect(read('/x?name=a%2Bb+c&count=9&on=false')).toEqual({ name: 'a+b c', count: 9, on: false });
    expect(readQuery({ url: '/cut', originalUrl: '/api/x?name=a', headers: {} }, schema)).toEqual({
      name: 'a',
    });
    for (const [query, path] of [
      ['name=a&count=10', 'count'],
      ['name=a&count=0', 'count'],
      ['name=a&count=+1', 'count'],
      ['name=a&count=', 'count'],
      ['name=a&count=99999999999999999999', 'count'],
      ['name=a&on=', 'on'],
      ['name=', 'name'],
      ['name=123456789', 'name'],
      ['', 'name'],
      ['name=a&toString=1', 'toString'],
      ['name=a&__proto__=1', '__proto__'],
      ['name=a&name=a', 'name'],
    ])
      expect(thrownBy(() => read(`/x?${query}`)).details?.[0]?.path).toBe(path);
  });

  it('has at most 32 findings, with names that are cut', () => {
    const query = Array.from({ length: 50 }, (_, index) => `${'x'.repeat(90)}${index}=1`).join('&');
    const { details = [], message } = thrownBy(() =>
      readQuery({ url: `/?name=a&${query}`, headers: {} }, schema),
    );
    expect(details).toHaveLength(32);
    expect(details[0]?.path).toBe(`${'x'.repeat(64)}…`);
    expect(message.length).toBeLessThanOrEqual(2_000);
  });

  it('of a query has at most 64 parameters, and each that is given twice is named once', () => {
    const read = (count: number, name: (index: number) => string) =>
      thrownBy(() =>
        readQuery(
          {
            url: `/?${Array.from({ length: count }, (_, index) => `${name(index)}=1`).join('&')}`,
            headers: {},
          },
          schema,
        ),
      );
    const distinct = (index: number) => `x${index}`;
    expect(read(64, distinct).details).toHaveLength(32);
    expect(read(65, distinct)).toMatchObject({
      code: 'bad_request',
      message: 'A query has at most 64 parameters, and this one has 65',
      details: undefined,
    });
    expect(read(7_900, () => 'a').message).toContain('7900');
    expect(read(64, () => 'name').details).toEqual([{ path: 'name', message: 'must be given once' }]);
    expect(read(64, (index) => `x${index % 32}`).details).toHaveLength(32);
  });

  it('of a body comes without a query, which could end as the path of another route does', () => {
    const request = { headers: json, body: { name: 'a' } };
    for (const url of ['/ban?/publish', '/ban?', '/ban?name=a'])
      for (const at of [{ url }, { url: '/ban', originalUrl: url }])
        expect(thrownBy(() => readBody({ ...request, ...at }, schema))).toMatchObject({
          code: 'bad_request',
          reason: 'query',
        });
    expect(readBody({ ...request, url: '/ban' }, schema)).toEqual({ name: 'a' });
  });

  it('of a body is an object of JSON that says so, of at most a mebibyte, however it was sent', () => {
    expect(
      readBody(
        { headers: { 'content-type': 'Application/JSON; charset=utf-8' }, body: { name: 'a' } },
        schema,
      ),
    ).toEqual({ name: 'a' });
    for (const type of [undefined, '', 'text/plain', 'application/jsonp', 'text/plain; application/json'])
      expect(
        thrownBy(() => readBody({ headers: { 'content-type': type }, body: { name: 'a' } }, schema)),
      ).toMatchObject({ code: 'bad_request', reason: 'content_type' });
    for (const body of [undefined, null, [], 'a', 7])
      expect(thrownBy(() => readBody({ headers: json, body }, schema)).code).toBe('bad_request');
    const text = schemas.object({ name: schemas.text(2 * MAX_BODY_BYTES) }, {});
    // In JSON, name and quotes are 14 bytes; here they count alike.
    const fits = { name: 'x'.repeat(MAX_BODY_BYTES - 32) };
    expect(readBody({ headers: json, body: fits }, text)).toEqual(fits);
    const large = { name: 'x'.repeat(MAX_BODY_BYTES) };
    expect(thrownBy(() => readBody({ headers: json, body: large }, text)).code).toBe('message_too_large');
    const length = { ...json, 'content-length': String(MAX_BODY_BYTES + 1) };
    expect(thrownBy(() => readBody({ headers: length, body: fits }, text)).code).toBe('message_too_large');
    const most = { ...json, 'content-length': String(MAX_BODY_BYTES) };
    expect(readBody({ headers: most, body: fits }, text)).toEqual(fits);
  });

  it('takes durations, addresses and channels as the library does, and exactly one of several', () => {
    const findings = (check: schemas.Schema, value: unknown) => {
      const found: string[] = [];
      check.check(value, 'it', ({ message }) => found.push(message));
      return found.length;
    };
    const cases: [schemas.Schema, readonly unknown[], readonly unknown[]][] = [
      [schemas.duration, [1, '1ms', '1.5h'], [0, -1, 0.2, '0s', '1 h', 'Infinityd', null, {}, NaN]],
      [
        schemas.address,
        ['203.0.113.7', '::1', '2001:db8:1:2::/64', '2001:db8::/48'],
        ['', 'x', '1.2.3', '::1/x', 7],
      ],
      [schemas.channelName, ['rooms.42', '$user.u7'], ['rooms.:room', '', 'a..b', 7, 'x'.repeat(201)]],
      [schemas.channelSet, ['rooms.42', 'rooms.:room'], ['', 'a..b', `:${'x'.repeat(600)}`, 7]],
      [schemas.userId, ['u7', 'ü'], ['', '\n', 7, 'x'.repeat(256)]],
      [schemas.list(schemas.whole(1), 2, 1), [[1], [1, 2]], [[], [1, 2, 3], [0], {}, 'a']],
      [schemas.choice(['a', 'b']), ['a'], ['c', 'A', 0, undefined]],
      [schemas.record, [{}], [[], null, 'a']],
      [
        schemas.oneOf(schemas.object({}, { a: schemas.flag, b: schemas.flag }), ['a', 'b']),
        [{ a: true }, { b: false }],
        [{}, { a: true, b: true }],
      ],
    ];
    for (const [schema, good, bad] of cases) {
      for (const value of good) expect([value, findings(schema, value)]).toEqual([value, 0]);
      for (const value of bad) expect([value, findings(schema, value) > 0]).toEqual([value, true]);
    }
  });

  it('names the caller with a text of 1 to 255 characters, or fails', () => {
    expect(callerOf({ by: () => 'x'.repeat(255) }, {})).toHaveLength(255);
    for (const name of ['', 'x'.repeat(256), undefined, 7, { id: 1 }])
      expect(() => callerOf({ by: () => name as string }, {})).toThrow('by() must return a string');
  });
});

describe('the errors of the admin API', () => {
  const http = (status: unknown, message = 'no') =>
    Object.assign(new Error(message), { getStatus: () => status });

  it('have the status of their code, and say when to come back where that may help', () => {
    const statuses = {
      bad_request: 400,
      validation_failed: 400,
      unauthorized: 401,
      token_expired: 401,
      forbidden: 403,
      banned: 403,
      muted: 403,
      refused: 403,
      unknown_channel: 404,
      conflict: 409,
      message_too_large: 413,
      rate_limited: 429,
      unavailable: 503,
      timeout: 504,
      outcome_unknown: 504,
      internal: 500,
    } as const;
    for (const [code, status] of Object.entries(statuses)) {
      const failure = failureOf(new RealtimeError(code));
      expect([code, failure.status, failure.body.error.code]).toEqual([code, status, code]);
      expect(failure.body.error.retryAfterMs).toBe([429, 503, 504].includes(status) ? 1_000 : undefined);
      expect(failure.isUnexpected).toBe(status === 500);
    }
    const advice = new RealtimeError('unavailable', 'Later', { retryAfterMs: 2_500.2 });
    expect(errorOf(advice)).toEqual({ code: 'unavailable', message: 'Later', retryAfterMs: 2_501 });
  });

  it('of guards and interceptors keep their status, in the same form', () => {
    for (const [status, code] of [
      [400, 'bad_request'],
      [401, 'unauthorized'],
      [403, 'forbidden'],
      [404, 'refused'],
      [418, 'refused'],
      [429, 'rate_limited'],
      [502, 'internal'],
      [503, 'unavailable'],
    ] as const) {
      const failure = failureOf(http(status));
      expect([failure.status, failure.body.error.code, failure.body.error.message]).toEqual([
        status,
        code,
        'no',
      ]);
    }
    expect(failureOf(http(400, 'x'.repeat(5_000))).body.error.message).toHaveLength(1_000);
  });

  it('that nobody expected tell nothing', () => {
    for (const error of [
      new Error('secret'),
      'secret',
      undefined,
      null,
      http('secret', 'secret'),
      http(200, 'secret'),
      http(700, 'secret'),
    ]) {
      const failure = failureOf(error);
      expect([failure.status, failure.isUnexpected]).toEqual([500, true]);
      expect(JSON.stringify(failure.body)).not.toContain('secret');
    }
  });
});
