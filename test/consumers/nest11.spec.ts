import { describe, expect } from '@jest/globals';
import { INSTALL, JEST_LINE } from './support/install-lines.js';
import { doctorLooks, SECRET, startAndTalk } from './support/nest-application.js';
import { PINS } from './support/pins.js';
import { Workspace } from './support/workspace.js';

const APP = 'app';
const jestLine = JSON.parse(`{${JEST_LINE}}`) as Record<string, unknown>;

describe('a Nest 11 application in CommonJS with ts-jest, as its CLI creates it', () => {
  const workspace = Workspace.open('nest11');

  workspace.first('is created by its CLI, and installs the library with the line of the README', async () => {
    await workspace.npx(PINS.nest11Cli, 'new', APP, '--skip-git', '--skip-install', '--package-manager=npm');
    await workspace.install(APP);
    await workspace.install(APP, INSTALL.nest11);
    await workspace.install(APP, 'npm install --save-dev ws @types/ws');
    workspace.copy('nest', APP);
    workspace.copy('nest11', APP);
    workspace.edit(`${APP}/package.json`, (json) => ({
      ...json,
      jest: { ...(json.jest as object), ...jestLine },
    }));
    workspace.edit(`${APP}/test/jest-e2e.json`, (json) => ({ ...json, ...jestLine }));
  });

  workspace.it('passes `npm test`', async () => {
    expect(await workspace.run(APP, 'npm test')).toContain('2 passed, 2 total');
  });

  workspace.it('passes `npm run test:e2e`, which connects to it with the client', async () => {
    expect(await workspace.run(APP, 'npm run test:e2e', SECRET)).toContain('2 passed, 2 total');
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

  workspace.it(
    'passes `npm run test:e2e`, builds and starts also with the tsconfig.json of older scaffolds',
    async () => {
      workspace.edit(`${APP}/tsconfig.json`, ({ compilerOptions, ...json }) => ({
        ...json,
        compilerOptions: olderScaffold(compilerOptions as Record<string, unknown>),
      }));
      expect(await workspace.run(APP, 'npm run test:e2e', SECRET)).toContain('2 passed, 2 total');
      await workspace.run(APP, 'npm run build');
      await startAndTalk(workspace, APP);
    },
  );
});

/** Until @nestjs/schematics 11.0.6: `commonjs` alone resolves modules as Node 10 did, and ts-jest checks types. */
function olderScaffold(options: Record<string, unknown>): Record<string, unknown> {
  const { moduleResolution, resolvePackageJsonExports, isolatedModules, ...rest } = options;
  void [moduleResolution, resolvePackageJsonExports, isolatedModules];
  return { ...rest, module: 'commonjs' };
}
