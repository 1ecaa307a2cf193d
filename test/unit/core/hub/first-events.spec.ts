import { describe, expect, it } from '@jest/globals';
import { FirstEvents } from '../../../../lib/core/hub/first-events.js';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';

function event(seq: number): ChannelEvent {
  return new ChannelEvent({
    channel: 'rooms.1',
    seq,
    epoch: 'e1',
    ts: 0,
    expiresAt: Infinity,
    id: `i${seq}`,
    event: 'said',
  });
}

describe('first events', () => {
  function follow(cursor: number) {
    const seen: unknown[] = [];
    const firsts = new FirstEvents<{ cursor: number }>();
    const subscription = { cursor };
    firsts.add(subscription, { end: ({ seq }) => seen.push(seq), abandon: () => seen.push('abandoned') });
    return { seen, firsts, subscription };
  }

  it('are those behind the place where the subscription began, in a batch that began before', () => {
    const { seen, firsts, subscription } = follow(5);
    firsts.delivered([event(5)]);
    expect(seen).toEqual([]);
    subscription.cursor = 7;
    firsts.delivered([event(5), event(6), event(7)]);
    firsts.delivered([event(8)]);
    expect(seen).toEqual([6]);
  });

  it('are none of a batch that a subscription which is behind was not sent', () => {
    const { seen, firsts } = follow(5);
    firsts.delivered([event(7), event(8)]);
    expect(seen).toEqual([]);
  });

  it('are abandoned once', () => {
    const { seen, firsts, subscription } = follow(5);
    firsts.abandonAll();
    firsts.abandon(subscription);
    subscription.cursor = 6;
    firsts.delivered([event(6)]);
    expect(seen).toEqual(['abandoned']);
  });
});
