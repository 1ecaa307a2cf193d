import type { ExecutionContext } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import { LoginLimit } from '../../../sample/chat/login/login.limit.js';

/** How many log-ins of an address are admitted before the first that is not, and its `Retry-After`. */
function admitted(limit: LoginLimit, ip: string): [number, string | undefined] {
  let retryAfter: string | undefined;
  const context = {
    switchToHttp: () => ({
      getRequest: () => ({ ip }),
      getResponse: () => ({ header: (_name: string, value: string) => (retryAfter = value) }),
    }),
  } as unknown as ExecutionContext;
  for (let count = 0; ; count++) {
    try {
      limit.canActivate(context);
    } catch (error) {
      expect(error).toMatchObject({ status: 429 });
      return [count, retryAfter];
    }
  }
}

describe('the limit on the log-in of the sample', () => {
  it('is one of an address, with the time to wait', () => {
    const limit = new LoginLimit();
    expect(admitted(limit, '1.1.1.1')).toEqual([60, '1']);
    expect(admitted(limit, '1.1.1.1')).toEqual([0, '1']);
    expect(admitted(limit, '2.2.2.2')).toEqual([60, '1']);
  });
});
