import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { launchChromium } from '../browser/support/chromium.js';
import { INSTALL } from './support/install-lines.js';
import { LIMITS } from './support/limits.js';
import { freePort } from './support/free-port.js';
import { PINS } from './support/pins.js';
import { RoomsServer } from './support/rooms.server.js';
import { serve } from './support/run.js';
import { Workspace } from './support/workspace.js';

const PAGE = 'page';

describe('a page in TypeScript, as create-vite creates it', () => {
  const workspace = Workspace.open('page');
  let server: RoomsServer;
  let browser: Browser;

  beforeAll(async () => {
    [server, browser] = await Promise.all([RoomsServer.start(), launchChromium({ timeout: LIMITS.ready })]);
  }, LIMITS.ready);

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  workspace.first('is created, and installs the client without any package of Nest', async () => {
    await workspace.npx(PINS.createVite, PAGE, '--template', 'vanilla-ts', '--no-interactive');
    await workspace.install(PAGE);
    const before = workspace.packages(PAGE);
    await workspace.install(PAGE, INSTALL.client);
    const added = workspace.packages(PAGE).filter((name) => !before.includes(name));
    expect(added.sort()).toEqual(['@msgpack/msgpack', 'nestjs-realtime-client']);
    workspace.copy('page', PAGE);
  });

  workspace.it('passes `npm run build` with tsc and vite', async () => {
    await workspace.run(PAGE, 'npm run build');
  });

  workspace.it('shows an event in Chromium, in JSON and in MessagePack', async () => {
    const port = String(await freePort());
    const preview = await serve(
      'npm',
      ['run', 'preview', '--', '--host=127.0.0.1', `--port=${port}`, '--strictPort'],
      /http:\/\/127\.0\.0\.1:\d+\//,
      { cwd: workspace.path(PAGE) },
    );
    try {
      for (const [query, seq] of [
        ['', 1],
        ['&msgpack', 2],
      ] as const) {
        const page = await browser.newPage();
        const problems: string[] = [];
        page.on('pageerror', (error) => problems.push(error.message));
        page.on('console', (message) => problems.push(message.text()));
        await page.goto(`${preview.ready}?server=${encodeURIComponent(server.url)}${query}`);
        await page.getByText(`event ${seq}: {"text":"Hello"}`).waitFor({ timeout: LIMITS.ready });
        expect(problems).toEqual([]);
        await page.close();
      }
    } finally {
      await preview.stop();
    }
  });
});
