import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AUTHORITIES, includesAuthority } from '../../../../lib/admin/authority.js';
import { ROUTES } from '../../../../lib/admin/routes/index.js';
import type { AdminRoute } from '../../../../lib/admin/route.js';
import { PLATFORMS } from '../support/nest-app.js';
import { startAdmin, type AdminApp, type Answer } from './support.js';

describe.each(PLATFORMS)('every route of the admin API, on %s', (_name, platform) => {
  let app: AdminApp;
  beforeEach(async () => {
    app = await startAdmin(platform);
    // What is to be erased.
    await app.post('publish', { channel: 'rooms.42', event: 'said', payload: 'hello', user: 'u7' });
  });
  afterEach(() => app.close());

  const call = ({ method, path, example }: AdminRoute, as: string): Promise<Answer> => {
    if (method === 'POST') return app.post(path, example, as);
    const query = new URLSearchParams(Object.entries(example).map(([name, value]) => [name, String(value)]));
    return app.get(`${path}?${query}`, as);
  };

  it.each(ROUTES.map((route) => [route.id, route] as const))(
    '%s works with its authority and those above it, and refuses everybody else',
    async (_id, route) => {
      const nobody = await call(route, '');
      expect([nobody.status, nobody.body.error.code]).toEqual([401, 'unauthorized']);
      for (const unknown of ['stranger', 'constructor', '0', 'READ']) {
        const { status, body } = await call(route, unknown);
        expect([unknown, status, body.error.code]).toEqual([unknown, 403, 'forbidden']);
      }
      for (const authority of AUTHORITIES) {
        const { status, body, headers } = await call(route, authority);
        expect(headers.get('cache-control')).toBe('no-store');
        expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
        if (!includesAuthority(authority, route.authority)) {
          expect([authority, status, body.error.code]).toEqual([authority, 403, 'forbidden']);
          continue;
        }
        expect([authority, status, body.error]).toEqual([authority, 200, undefined]);
        expect(problemsOf(route, body)).toEqual([]);
      }
    },
  );

  it('each has a path and a name of its own, and there is one for every authority', () => {
    expect(new Set(ROUTES.map(({ method, path }) => `${method} ${path}`)).size).toBe(ROUTES.length);
    expect(new Set(ROUTES.map(({ id }) => id)).size).toBe(ROUTES.length);
    expect(new Set(ROUTES.map(({ authority }) => authority))).toEqual(new Set(AUTHORITIES));
  });
});

/** What of an answer its schema does not describe. */
function problemsOf({ answer }: AdminRoute, body: unknown): string[] {
  const problems: string[] = [];
  answer.check(body, '', ({ path, message }) => problems.push(`${path} ${message}`));
  return problems;
}
