import { stretched } from '../../support/patience.js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { HandlerCall } from '../../../lib/core/ports/channel-definition.js';
import { HOOK_SCENARIOS, hookPairs, type HookPairs } from '../../support/wire/hook-pairs.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireCluster, type WireCluster } from '../../support/wire/cluster.js';
import type { WireServer } from '../../support/wire/server.js';
import { sessionOf } from '../../support/wire/session.js';

let cluster: WireCluster;
let pairs: HookPairs;
afterEach(() => cluster.close());

describe('life-cycle hooks come in pairs on two nodes with one memory store (P28)', () => {
  beforeEach(async () => {
    pairs = hookPairs();
    cluster = await startWireCluster(2, {
      channels: [pairs.channel],
      settings: { anonymous: true, retry: { stableMs: stretched(250) } },
    });
  });

  for (const [title, scenario] of HOOK_SCENARIOS)
    it(title, async () => {
      await scenario(cluster.nodes, pairs);
    });
});

describe('life-cycle hooks where a subscribe ends as it begins (P28)', () => {
  it.each(['new', 'inherited'])(
    'a client too slow for its replay leaves no half of a pair, of a channel that is %s',
    async (kind) => {
      const ran: string[] = [];
      const note = (what: string) => (call: HandlerCall) => {
        if (call.user?.id === 'ada') ran.push(what);
      };
      cluster = await startWireCluster(1, {
        channels: [
          wireChannel('rooms.:room', { behaviour: { onSubscribe: note('on'), onUnsubscribe: note('off') } }),
        ],
      });
      const [node] = cluster.nodes as [WireServer];
      // Somebody follows the channel, so that what is replayed is at hand, and the end comes at once.
      await (await node.connect('eve')).subscribe('rooms.1');
      let client = await node.connect('ada');
      if (kind === 'inherited') {
        await client.subscribe('rooms.1');
        const { session } = client.welcome as { session: string };
        client = await node.open();
        await client.hello('ada', { session });
      }
      await node.engine.application.publish('rooms.1', 'said', 1);
      const { position } = await node.engine.application.history('rooms.1');
      const session = sessionOf(node, 'ada');
      session.outbox.pushReplay = () => session.close('slow_consumer');
      const payload = { position: { ...position, seq: 0 } };
      client.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload });
      await client.expectClose(4003);
      expect(ran).toEqual(kind === 'new' ? [] : ['on', 'off']);
    },
  );
});
