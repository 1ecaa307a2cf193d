import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { SlicedBody } from '../../../../lib/transports/http-session/sliced-body.js';

type Passed = (error?: Error | null) => void;

/** A response that passes on what it was given when it is told to. */
class FakeResponse {
  destroyed = false;
  readonly written: Buffer[] = [];
  passed: Passed | undefined;

  write(bytes: Buffer, passed?: Passed): void {
    this.written.push(bytes);
    this.passed = passed;
  }
}

function started(...parts: Buffer[]) {
  const res = new FakeResponse();
  const whole = Buffer.concat(parts);
  const waits: number[] = [];
  let isWritten = false;
  const body = new SlicedBody(res as unknown as ServerResponse, parts, whole.length, () =>
    waits.push(body.waiting),
  );
  body.write(() => (isWritten = true));
  return { res, whole, waits, body, isWritten: () => isWritten };
}

describe('a large body', () => {
  it('is given to its socket as that passes it on, parts of any size', () => {
    const { res, whole, waits, isWritten } = started(
      Buffer.alloc(1, 'a'),
      Buffer.alloc(0),
      Buffer.alloc(70_000, 'b'),
      Buffer.alloc(5, 'c'),
    );
    let writes = 0;
    while (!isWritten()) {
      writes++;
      expect(Buffer.concat(res.written).length).toBe(Math.min(writes * 32_768, whole.length));
      res.passed?.();
    }
    expect(Buffer.concat(res.written)).toEqual(whole);
    expect(waits).toEqual([whole.length - 32_768, whole.length - 65_536]);
  });

  it('is written at once where it is small', () => {
    const { res, whole, isWritten } = started(Buffer.from('['), Buffer.from('x'), Buffer.from(']'));
    expect(isWritten()).toBe(true);
    expect(Buffer.concat(res.written)).toEqual(whole);
  });

  it('is no longer written to who is gone', () => {
    for (const end of ['error', 'destroyed'] as const) {
      const { res, waits, isWritten } = started(Buffer.alloc(100_000));
      res.destroyed = end === 'destroyed';
      res.passed?.(end === 'error' ? new Error('gone') : null);
      expect([res.written.length, waits, isWritten()]).toEqual([1, [], false]);
    }
  });
});
