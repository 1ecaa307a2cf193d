import { describe, expect, it } from '@jest/globals';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createChatApp } from '../../../sample/chat/chat.app.js';
import type { Platform } from '../../../sample/chat/chat.config.js';
import { parseScrape, valueOf } from '../../support/prometheus/scrape.js';

describe.each<Platform>(['express', 'fastify'])('the metrics of the sample chat on %s', (platform) => {
  it('are there for this machine, and for nobody whom a proxy brings', async () => {
    const app = await createChatApp({ platform }, { logger: false });
    try {
      await app.listen(0, '127.0.0.1');
      const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
      const url = `http://127.0.0.1:${port}/metrics`;
      const response = await fetch(url);
      expect([response.status, response.headers.get('content-type')]).toEqual([
        200,
        // Express 5 of Nest 11 puts the character set in between.
        expect.stringMatching(/^text\/plain;(?:.*;)? version=0\.0\.4/),
      ]);
      expect(valueOf(parseScrape(await response.text()), 'realtime_broker_up')).toBe(1);
      for (const header of ['x-forwarded-for', 'forwarded']) {
        const refused = await fetch(url, { headers: { [header]: '127.0.0.1' } });
        expect(refused.status).toBe(403);
        expect(await refused.text()).not.toContain('realtime_');
      }
    } finally {
      await app.close();
    }
  });
});
