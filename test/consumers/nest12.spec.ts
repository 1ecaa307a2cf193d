import { describe, expect } from '@jest/globals';
import { INSTALL } from './support/install-lines.js';
import { doctorLooks, SECRET, startAndTalk } from './support/nest-application.js';
import { PINS } from './support/pins.js';
import { Workspace } from './support/workspace.js';

const APP = 'app';

describe('a Nest 12 application in ESM with vitest and Fastify, as its CLI creates it', () => {
  const workspace = Workspace.open('nest12');

  workspace.first('is created by its CLI, and installs the library with the line of the README', async () => {
    // Without a terminal the CLI takes its default, ESM with vitest: it has no flag for that.
    await workspace.npx(
      PINS.nest12Cli,
      ...['new', APP, '--skip-git', '--skip-install', '--package-manager=npm', '--no-observe'],
    );
    expect(workspace.readJson(`${APP}/package.json`)).toMatchObject({
      type: 'module',
      scripts: { test: 'vitest run' },
    });
    await workspace.install(APP);
    await workspace.install(APP, INSTALL.nest12);
    await workspace.install(APP, 'npm install @nestjs/platform-fastify');
    await workspace.install(APP, 'npm install --save-dev ws @types/ws');
    workspace.copy('nest', APP);
    workspace.copy('nest12', APP);
  });

  workspace.it('passes `npm test`', async () => {
    expect(await workspace.run(APP, 'npm test')).toMatch(/Test Files +2 passed \(2\)/);
  });

  workspace.it('passes `npm run test:e2e`, which connects to it with the client', async () => {
    expect(await workspace.run(APP, 'npm run test:e2e', SECRET)).toMatch(/Test Files +2 passed \(2\)/);
  });

  workspace.it('has no type error, also in its specs', async () => {
    await workspace.run(APP, 'npx tsc --noEmit');
  });

  workspace.it('builds and starts', async () => {
    await workspace.run(APP, 'npm run build');
    await startAndTalk(workspace, APP);
  });

  workspace.it('is looked at by the doctor, whose command the package brings', async () => {
    await doctorLooks(workspace, APP);
  });
});
