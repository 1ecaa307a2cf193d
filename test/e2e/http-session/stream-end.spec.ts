import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { post } from '../../support/wire/http-post.js';
import { SseSessionClient } from '../../support/wire/http-session-client.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

let server: WireServer;
afterEach(() => server.close());

describe('a session by a stream (P21)', () => {
  it('ends when its stream is cut, without waiting for a heartbeat, and its requests are 410', async () => {
    // The heartbeat of tests takes longer than any of them.
    server = await startWireServer({ channels: [wireChannel('rooms.:room')] });
    const client = new SseSessionClient({ url: server.httpUrl });
    await client.hello('ada');
    await client.subscribe('rooms.1');
    const headers = { 'Realtime-Session': client.sessionId as string, 'Realtime-Send': '2' };
    client.terminate();
    await until('the session to end', () => server.engine.status.sessions === 0);
    expect((await post(`${server.httpUrl}/send`, { body: '[]', headers })).status).toBe(410);
  });
});
