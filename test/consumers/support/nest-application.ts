import { JwtService } from '@nestjs/jwt';
import { expect } from '@jest/globals';
import { WebSocket } from 'ws';
import { RealtimeClient } from '../../../lib/client/index.js';
import { freePort } from './free-port.js';
import { serve } from './run.js';
import type { Workspace } from './workspace.js';

/** What the applications of `files/` read from their environment. */
export const SECRET = { JWT_SECRET: 's'.repeat(32) };

/** Starts the application that was built into `dist/`, talks to it once, and stops it. */
export async function startAndTalk(workspace: Workspace, folder: string): Promise<void> {
  const port = await freePort();
  const server = await serve('node', ['dist/main'], /successfully started/, {
    cwd: workspace.path(folder),
    env: { ...SECRET, PORT: String(port) },
  });
  const client = new RealtimeClient(`http://127.0.0.1:${port}/realtime`, {
    token: () => new JwtService({ secret: SECRET.JWT_SECRET }).sign({ sub: 'ada' }, { expiresIn: '1m' }),
    webSocket: WebSocket,
  });
  try {
    const room = client.channel('rooms.42');
    const received = new Promise((resolve) => room.on('message.created', resolve));
    await room.subscribe();
    await room.publish('message.created', { text: 'Hello' });
    expect(await received).toEqual({ text: 'Hello', author: 'ada' });
  } finally {
    await client.close();
    await server.stop();
  }
}

/** A secret that is no pattern. */
const RANDOM = { JWT_SECRET: 'Zk3v0Qy7wXn1Lr9Tb5Hs2Jd8Gf4Mc6Pa' };

/** Runs `npx nestjs-realtime doctor` on the root module that was built into `dist/`. */
export async function doctorLooks(workspace: Workspace, folder: string): Promise<void> {
  const command = 'npx --no-install nestjs-realtime doctor dist/app.module.js';
  const table = await workspace.run(folder, command, RANDOM);
  expect(table).toContain('boot: The options are valid. Channels: rooms.:room.');
  expect(table).toContain('Fit for production');
  await expect(workspace.run(folder, command, SECRET)).rejects.toThrow('access.secrets');
}
