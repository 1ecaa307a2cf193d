import { describe, expect, it } from '@jest/globals';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createChatApp } from '../../../sample/chat/chat.app.js';
import type { Platform } from '../../../sample/chat/chat.config.js';

describe.each<Platform>(['express', 'fastify'])('the health of the sample chat on %s', (platform) => {
  it('the sample is up once probe events come back (G20)', async () => {
    const app = await createChatApp({ platform }, { logger: false });
    try {
      await app.listen(0, '127.0.0.1');
      const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
      const response = await fetch(`http://127.0.0.1:${port}/health`);
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ status: 'ok', details: { realtime: { status: 'up' } } });
    } finally {
      await app.close();
    }
  });
});
