import { describe, expect, it } from '@jest/globals';
import { InertResponse } from '../../../../lib/nest/enhancers/inert-response.js';

describe('the HTTP response of a call on a socket', () => {
  it('can be written to in a chain, as Express, Fastify and Node have it, and reads back what was set', () => {
    const response = new InertResponse();
    const chained = response.status(201).type().cookie().setHeader('X-A', '1').on().code(202).redirect();
    expect(chained).toBe(response);
    expect(response.header({ 'X-B': 2 })).toBe(response);
    expect([response.statusCode, response.get('x-a'), response.header('X-B')]).toEqual([202, '1', 2]);
    expect(response.getHeaderNames()).toEqual(['x-a', 'x-b']);
    expect(response.raw.setHeaders().headers().write().end().headersSent).toBe(false);
    expect(response.body).toBeUndefined();
    expect(response.end('text').body).toBe('text');
  });

  it('is no promise: a handler may return it', async () => {
    const response = new InertResponse();
    expect(await Promise.resolve(response)).toBe(response);
  });

  it.each([
    [{ 'Retry-After': 5 }, 5_000],
    [{ 'retry-after-short': '3', 'Retry-After-long': 60 }, 60_000],
    [{ 'Retry-After': 0 }, 0],
    [{ 'Retry-After': 'Wed, 21 Oct 2015 07:28:00 GMT' }, undefined],
    [{ 'Retry-After': -1 }, undefined],
    [{ 'X-Retry-After': 5, 'Retry-Afterwards': 5 }, undefined],
    [{}, undefined],
  ])('advises to come back as the fields %j say: after %s ms', (fields, ms) => {
    const response = new InertResponse();
    response.set(fields);
    expect(response.retryAfterMs).toBe(ms);
  });
});
