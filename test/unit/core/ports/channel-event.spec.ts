import { describe, expect, it } from '@jest/globals';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';

const FIELDS = { channel: 'a', seq: 1, epoch: 'e', ts: 0, expiresAt: Infinity, id: 'id', event: 'said' };

describe('the size of an event', () => {
  it('is that of its append, and 128, where the broker knows it: nothing looks into the payload', () => {
    const payload = {
      get text(): string {
        throw new Error('Looked into the payload');
      },
    };
    expect(new ChannelEvent({ ...FIELDS, payload }, 1_000).size).toBe(1_128);
  });

  it('is measured where the broker does not know it', () => {
    expect(new ChannelEvent({ ...FIELDS, payload: 'é' }).size).toBe(128 + 2 + 4 + 4);
    expect(new ChannelEvent({ ...FIELDS, user: 'ada', key: 'k', meta: { a: 1 } }).size).toBe(
      128 + 2 + 4 + 3 + 1 + 2 + 1 + 3 + 8,
    );
  });
});
