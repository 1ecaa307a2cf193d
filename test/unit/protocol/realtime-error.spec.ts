import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { errorFromPayload } from '../../../lib/client/errors.js';
import { ERROR_CODES, isErrorCode, type ErrorCode } from '../../../lib/protocol/error-codes.js';
import { errorBody } from '../../../lib/protocol/error-body.js';
import { ERROR_MEANINGS } from '../../../lib/protocol/meanings.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';

describe('RealtimeError', () => {
  it('takes a code of the application as the reason of refused (P6f)', () => {
    const error = new RealtimeError('room_full', { message: 'Full', data: { max: 20 }, retryAfterMs: 5.2 });
    expect(errorBody(error)).toEqual({
      code: 'refused',
      reason: 'room_full',
      message: 'Full',
      data: { max: 20 },
      retryable: true,
      retryAfterMs: 6,
      docs: 'nestjs-realtime/docs/errors.md#refused',
    });
    expect(errorBody(new RealtimeError('room_full')).message).toBe(ERROR_MEANINGS.refused);
    expect(new RealtimeError('room_full', 'Full', { data: 0 })).toMatchObject({ message: 'Full', data: 0 });
  });

  it.each(Object.keys(ERROR_CODES) as ErrorCode[])(
    'takes the code %s as it is, with reason and data',
    (code) => {
      const error = new RealtimeError(code, { reason: 'own', data: [1] });
      expect(errorBody(error)).toMatchObject({
        code,
        reason: 'own',
        data: [1],
        message: ERROR_MEANINGS[code],
      });
      const bare = errorBody(new RealtimeError(code));
      expect(Object.keys(bare).sort()).toEqual(['code', 'docs', 'message', 'retryable']);
      expect(bare.retryable).toBe(ERROR_CODES[code].retryable);
    },
  );

  it('is retryable as refused exactly with retryAfterMs, as muted never (P6f)', () => {
    expect(new RealtimeError('busy').retryable).toBe(false);
    expect(new RealtimeError('busy', { retryAfterMs: 0 }).retryable).toBe(true);
    expect(new RealtimeError('muted', { retryAfterMs: 1 }).retryable).toBe(false);
  });

  it('keeps the name of an object’s member from being taken for a code', () => {
    expect(new RealtimeError('constructor')).toMatchObject({ code: 'refused', reason: 'constructor' });
  });

  it.each([
    new RealtimeError('room_full', { data: { max: 20 }, retryAfterMs: 7 }),
    new RealtimeError('room_full'),
    new RealtimeError('forbidden', { reason: 'not_a_member' }),
    new RealtimeError('validation_failed', { details: [{ path: 'a', message: 'm' }] }),
  ])('is the same at the client (%s)', (error) => {
    const received = errorFromPayload(JSON.parse(JSON.stringify(errorBody(error))));
    expect(errorBody(received)).toEqual(errorBody(error));
  });

  it('of a server that sends something else is read with care', () => {
    const odd = errorFromPayload({
      code: 'refused',
      message: 1,
      reason: 7,
      retryAfterMs: 'x',
      retryable: true,
    });
    expect(errorBody(odd)).toMatchObject({ code: 'refused', retryable: false });
    expect(odd.reason).toBeUndefined();
  });

  it('is made in the library with codes of the catalogue only: a typing mistake would be a reason', () => {
    const root = new URL('../../../lib/', import.meta.url);
    const strange: string[] = [];
    for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue;
      const code = readFileSync(new URL(name, root), 'utf8').replace(/^\s*(?:\*|\/\/).*$/gm, '');
      for (const [, given = ''] of code.matchAll(/new RealtimeError\(\s*'([^']*)'/g))
        if (!isErrorCode(given)) strange.push(`${name}: ${given}`);
    }
    expect(strange).toEqual([]);
  });
});
