import { describe, expect, it } from '@jest/globals';
import { type CanActivate, type DynamicModule, type Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Registry } from 'prom-client';
import { RealtimeAdminModule } from '../../../lib/admin/index.js';
import { RealtimeHealthModule } from '../../../lib/health/index.js';
import { RealtimeMetricsModule } from '../../../lib/metrics/index.js';
import { RealtimeBootError, RealtimeModule } from '../../../lib/nest/index.js';

const adminWith = (dashboard: boolean) =>
  RealtimeAdminModule.forRoot({
    guards: [{ canActivate: () => true } satisfies CanActivate],
    authorityOf: () => undefined,
    by: () => 'ada',
    dashboard,
  });
const admin = adminWith(true);

async function refusal(imports: readonly (Type | DynamicModule)[]): Promise<unknown> {
  return Test.createTestingModule({ imports: [...imports] })
    .compile()
    .then(
      (app) => app.close(),
      (error: unknown) => error,
    );
}

describe('a module beside RealtimeModule', () => {
  it.each([
    [RealtimeMetricsModule, 'RealtimeMetricsModule.forRoot()'],
    [RealtimeAdminModule, 'RealtimeAdminModule.forRoot({ guards, authorityOf, by })'],
  ])('is refused without options: %p', async (module, remedy) => {
    const error = await refusal([RealtimeModule.forRoot(), module]);
    expect(error).toBeInstanceOf(RealtimeBootError);
    expect((error as Error).message).toContain(`imports: [${remedy}]`);
  });

  it.each([
    ['RealtimeMetricsModule', () => RealtimeMetricsModule.forRoot({ registry: new Registry() })],
    ['RealtimeHealthModule', () => RealtimeHealthModule],
    ['RealtimeAdminModule', () => adminWith(false)],
    ['RealtimeAdminModule with its dashboard', () => adminWith(true)],
  ])('is refused without RealtimeModule.forRoot(): %s', async (module, make) => {
    const [path] = module.split(' ');
    const error = await refusal([make()]);
    expect(error).toBeInstanceOf(RealtimeBootError);
    expect((error as RealtimeBootError).problems).toMatchObject([
      { path, remedy: expect.stringContaining('RealtimeModule.forRoot() first') },
    ]);
  });

  it('starts with both, in either order', async () => {
    const root = RealtimeModule.forRoot();
    const metrics = () => RealtimeMetricsModule.forRoot({ registry: new Registry() });
    expect(await refusal([root, metrics(), RealtimeHealthModule, admin])).toBeUndefined();
    expect(await refusal([admin, RealtimeHealthModule, metrics(), root])).toBeUndefined();
  });
});
