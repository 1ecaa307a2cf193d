// Sessions over HTTP on two nodes: every request of a session goes to the other one.
import { afterAll } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import { describeSessionContract } from '../support/transport/session-contract.js';
import { siteOf, type MakeSite } from '../support/transport/session-site.js';
import { LONG_POLL, SSE, WEBSOCKET } from '../support/transport/session-transports.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';
import { RedisKeys } from '../../lib/brokers/redis/keys.js';
import { RedisKit } from './kit.js';

let kit: Promise<RedisKit> | undefined;
afterAll(async () => (await kit)?.dispose());

/** Two nodes under a prefix of their own. @param crossed Whether the requests of a session go to the other one. */
const twoNodes =
  (crossed: boolean): MakeSite =>
  async (options) => {
    const redis = await (kit ??= RedisKit.open());
    const keyPrefix = `u${randomBytes(4).toString('hex')}`;
    const start = (number: number): Promise<WireServer> =>
      startWireServer({
        ...options,
        broker: redis.make({ keyPrefix }),
        entropy: new SeededEntropy(number),
        settings: { ...options.settings, nodeId: `node-${number}` },
      });
    const keys = new RedisKeys(keyPrefix, 4);
    return await siteOf([await start(1), await start(2)], {
      crossed,
      async forget(channel) {
        const { head, stream, ids, origin } = keys.of(channel);
        await redis.admin.del(head, stream, ...ids, origin);
      },
    });
  };

describeSessionContract('on two nodes over Redis', WEBSOCKET, twoNodes(false));
for (const transport of [SSE, LONG_POLL])
  describeSessionContract('with every request at another node than its own', transport, twoNodes(true));
