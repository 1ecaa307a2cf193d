import { describe, expect } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { INSTALL, JEST_LINE } from './support/install-lines.js';
import { SERVER } from './support/packages.js';
import { PINS } from './support/pins.js';
import { Workspace } from './support/workspace.js';

/** Applications, and what each may have before the library comes, for reasons of its own. */
const APPLICATIONS = [
  {
    nest: 11,
    cli: PINS.nest11Cli,
    line: INSTALL.nest11,
    present: [
      ['ioredis@5', '@nestjs/terminus@11', '@nestjs/platform-ws@11', 'class-validator@0.14'],
      ['ioredis@6', '@nestjs/terminus@12', '@nestjs/platform-socket.io@11', 'class-validator@0.15'],
    ],
  },
  {
    nest: 12,
    cli: PINS.nest12Cli,
    line: INSTALL.nest12,
    present: [
      ['ioredis@6', '@nestjs/terminus@12', '@nestjs/platform-ws@12', 'class-validator@0.15'],
      ['ioredis@5', 'class-validator@0.14'],
    ],
  },
];

/** Peers that nobody has to install. */
const OPTIONAL = [
  'ioredis',
  'jose',
  '@nestjs/terminus',
  '@nestjs/platform-ws',
  '@nestjs/platform-socket.io',
  '@nestjs/swagger',
];

/** Only the resolution: that is where npm finds peers that do not fit. Whole installations are in the other specs. */
const RESOLVE = 'npm install --package-lock-only';

describe('the install lines of the README', () => {
  const workspace = Workspace.open('peers');

  workspace.it('are in the README, with the line for jest', async () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    for (const line of [...Object.values(INSTALL), JEST_LINE]) expect(readme).toContain(line);
  });

  for (const { nest, cli, line, present } of APPLICATIONS) {
    workspace.it(`resolve on Nest ${nest} with any optional peers already installed`, async () => {
      const scaffold = `nest${nest}`;
      await workspace.npx(cli, 'new', scaffold, '--skip-git', '--skip-install', '--package-manager=npm');
      await workspace.install(scaffold, RESOLVE);
      for (const [index, packages] of [[], ...present].entries()) {
        const app = workspace.duplicate(scaffold, `${scaffold}-${index}`);
        if (packages.length > 0) await workspace.install(app, `${RESOLVE} ${packages.join(' ')}`);
        const output = await workspace.install(app, line.replace('npm install', RESOLVE));
        // A warning with this code says that npm took a version that does not fit.
        expect(output).not.toContain('ERESOLVE');
        const lock = Object.keys(workspace.readJson(`${app}/package-lock.json`).packages as object);
        expect(lock).toContain(`node_modules/${SERVER}`);
        // What an application does not ask for, the library does not bring.
        if (packages.length === 0)
          expect(
            lock.filter((path) => OPTIONAL.some((name) => path.endsWith(`node_modules/${name}`))),
          ).toEqual([]);
        // Peers of its own would be a second Nest.
        expect(
          lock.filter((path) => path.startsWith(`node_modules/${SERVER}/node_modules/@nestjs/`)),
        ).toEqual([]);
      }
    });
  }
});
