import { describe, expect, it } from '@jest/globals';
import type { HandlerCall } from '../../../../lib/core/ports/channel-definition.js';
import { RealtimeConnection } from '../../../../lib/core/ports/realtime-connection.js';
import { RealtimeContext } from '../../../../lib/nest/decorators/realtime-context.js';

describe('RealtimeContext', () => {
  it('shows every field of the call, those of the client’s envelope included', () => {
    const handshake = {
      transport: 'websocket',
      headers: {},
      url: '/',
      ip: '::1',
      network: '::/64',
      secure: false,
    } as const;
    const call: Required<HandlerCall> = {
      connection: new RealtimeConnection('c1', handshake, { close: () => undefined }),
      user: { id: 'ada' },
      channel: 'rooms.1',
      params: { room: '1' },
      id: 'p1',
      event: 'said',
      payload: { text: 'hi' },
      trace: '00-trace',
      meta: { tenant: 'a' },
      key: 'k',
      ttl: 5_000,
    };
    const context = new RealtimeContext('publish', call);
    for (const name of Object.keys(call) as (keyof HandlerCall)[]) expect(context[name]).toBe(call[name]);
  });
});
