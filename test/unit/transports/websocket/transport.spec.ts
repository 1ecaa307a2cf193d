import { afterEach, describe, expect, it } from '@jest/globals';
import type { Transport } from '../../../../lib/core/ports/transport.js';
import { closeServers, listen, serve } from '../support/test-server.js';

afterEach(closeServers);

describe('the WebSocket transport as one of several on a server', () => {
  it('is attached from its first server to its close, which releases the path for another', async () => {
    const { transport, server } = await serve();
    const first: Transport = transport;
    expect([first.name, first.attached]).toEqual(['websocket', true]);
    const { transport: second } = await serve();
    expect(() => second.attach(server)).toThrow('"/realtime" are already taken');
    first.close();
    expect(first.attached).toBe(false);
    second.attach(server);
    expect(server.listenerCount('upgrade')).toBe(1);
    second.close();
    expect(second.attached).toBe(false);
    expect(server.listenerCount('upgrade')).toBe(0);
  });

  it('may be attached to several servers, and to none after its close', async () => {
    const { transport } = await serve();
    const { server } = await listen();
    transport.attach(server);
    transport.close();
    expect(server.listenerCount('upgrade')).toBe(0);
    expect(() => transport.attach(server)).toThrow('This transport is closed. Create a new one.');
  });
});
