// A node that applied a control record is confirmed, whatever became of the message that says so.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { CONFIRM } from '../../lib/brokers/redis/scripts/control.js';
import { patience, stretched } from '../support/patience.js';
import { alteredClient, type Alteration } from './altered-client.js';
import { RedisKit } from './kit.js';

describe('receipts of control records', () => {
  let kit: RedisKit;
  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(() => kit.reset());
  afterAll(() => kit.dispose());

  const through = (alteration: Alteration) => ({
    url: undefined,
    client: alteredClient(kit.server.url, alteration),
  });

  it.each([0, 1, 3])(
    'with %i nodes whose answers were lost on the way, finds at the time-out what each answered (G11)',
    async (others) => {
      const alteration: Alteration = { deaf: true };
      const sender = await kit.node({ ...through(alteration), controlTimeoutMs: stretched(500) });
      const nodes = [];
      for (let count = 0; count < others; count++) nodes.push(await kit.node());
      const receipt = await sender.broker.bus.control({ kind: 'disconnect', user: 'ada' });
      for (const { seen } of nodes) expect(seen.controls).toHaveLength(1);
      expect(receipt.confirmed).toHaveLength(others + 1);
      expect(receipt.missing).toEqual([]);
      // The second time, of a record that one of them refuses.
      const [refusing] = nodes;
      if (refusing === undefined) return;
      refusing.seen.controlHook = () => Promise.reject(new Error('no'));
      const second = await sender.broker.bus.control({ kind: 'disconnect', user: 'eve' });
      expect(second.confirmed).toHaveLength(others);
      expect(second.missing).toHaveLength(1);
    },
  );

  it('answers that came while the sender was not subscribed are looked up when it is again (G11)', async () => {
    const sender = await kit.node({ controlTimeoutMs: patience(600_000), maxReconnectMs: stretched(200) });
    const other = await kit.node();
    let heard: (() => void) | undefined;
    other.seen.controlHook = () => new Promise((resolve) => (heard = resolve));
    const sent = sender.broker.bus.control({ kind: 'revoke', user: 'ada' });
    while (heard === undefined) await new Promise((resolve) => setImmediate(resolve));
    await kit.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    heard();
    expect((await sent).missing).toEqual([]);
  });

  it('a confirmation that could not be stored is stored later, within the time-out of the receipt (G11)', async () => {
    const sender = await kit.node({ controlTimeoutMs: patience(20_000) });
    let refused = 0;
    const other = await kit.node({
      controlTimeoutMs: patience(20_000),
      ...through({
        refuse: ({ name, args }) =>
          name === 'evalsha' && args[0] === CONFIRM.sha && ++refused <= 2
            ? new Error('LOADING Redis is loading the dataset in memory')
            : undefined,
      }),
    });
    expect((await sender.broker.bus.control({ kind: 'revoke', user: 'ada' })).missing).toEqual([]);
    expect(other.seen.controls).toHaveLength(1);
    expect(refused).toBe(3);
  });
});
