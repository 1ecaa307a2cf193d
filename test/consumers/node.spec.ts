import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { INSTALL } from './support/install-lines.js';
import { LIMITS } from './support/limits.js';
import { CLIENT, SERVER } from './support/packages.js';
import { RoomsServer } from './support/rooms.server.js';
import { Workspace } from './support/workspace.js';

/** The client is in both packages. */
const ENTRIES = [
  { folder: CLIENT, line: INSTALL.client, entry: 'nestjs-realtime-client' },
  { folder: SERVER, line: 'npm install nestjs-realtime', entry: 'nestjs-realtime/client' },
];

describe('a script in plain Node', () => {
  const workspace = Workspace.open('node');
  let server: RoomsServer;

  beforeAll(async () => {
    server = await RoomsServer.start();
  }, LIMITS.ready);

  afterAll(() => server?.stop());

  for (const { folder, line, entry } of ENTRIES) {
    workspace.it(
      `exchanges messages through ${entry}, with import and with require, and exits by itself`,
      async () => {
        await workspace.project(folder, line, 'npm install ws');
        workspace.copy('node', folder);
        for (const script of ['talk.mjs', 'talk.cjs']) {
          workspace.replace(`${folder}/${script}`, CLIENT, entry);
          const output = await workspace.run(folder, `node ${script} ${server.url}`);
          expect(output).toBe(`{"text":"Hello from ${script.slice(-3)}"}\n`);
        }
      },
    );
  }
});
