import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ChannelEvent } from '../../lib/core/ports/channel-event.js';
import { jsonCodec } from '../../lib/protocol/codecs/json.js';
import { fromWireValue, toWireValue } from '../../lib/protocol/wire-value.js';
import { request } from '../support/engine/append-requests.js';
import { PROPERTY_SEED } from '../support/property.js';
import { patience } from '../support/patience.js';
import { until } from '../support/until.js';
import { isSame, ValueGenerator } from '../support/values.js';
import { RedisKit } from './kit.js';

const CHANNEL = 'rooms.1';
const VALUES = 500;

let kit: RedisKit;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterEach(() => kit.reset());
afterAll(() => kit.dispose());

/** What a client of JSON makes of the payload. */
function arrived({ payload }: ChannelEvent): unknown {
  const [envelope] = jsonCodec.decode(jsonCodec.encode({ type: 'event', payload }));
  return (envelope as { payload?: unknown }).payload;
}

describe('values in Redis', () => {
  it(
    'come back as they were given, over pub/sub and from the log (P29)',
    async () => {
      const [publisher, reader] = [await kit.node(), await kit.node()];
      await reader.broker.log.subscribe(CHANNEL);
      const generator = new ValueGenerator(PROPERTY_SEED);
      const values = Array.from({ length: VALUES }, () => generator.next());
      for (const [index, { given }] of values.entries()) {
        const payload = toWireValue(given);
        const event = { id: `v${index}`, event: 'given', payload, meta: { value: payload } };
        await publisher.broker.log.appendMany([request(CHANNEL, event.id, { event })]);
      }
      await until('all events', () => reader.seen.eventsOf(CHANNEL).length === VALUES);
      const events: ChannelEvent[] = [];
      while (events.length < VALUES) {
        // A read answers with a part where all is too much.
        const page = await reader.broker.log.read({
          channel: CHANNEL,
          from: events.length + 1,
          limit: VALUES,
        });
        if (page.events.length === 0) break;
        events.push(...page.events);
      }
      for (const way of [reader.seen.eventsOf(CHANNEL), events]) {
        const wrong = values.findIndex(({ expected }, index) => {
          const event = way[index];
          return (
            event === undefined ||
            !isSame(arrived(event), expected) ||
            !isSame(fromWireValue(event.meta), { value: expected })
          );
        });
        expect({ wrong, seed: PROPERTY_SEED }).toEqual({ wrong: -1, seed: PROPERTY_SEED });
      }
    },
    patience(30_000),
  );
});

describe('a log that another program changed', () => {
  const GARBAGE = [
    'garbage',
    '[]',
    '{}',
    'null',
    '[null]',
    '[{"i":1,"n":"a"}]',
    '[{"i":"a","n":"b","p":{"$bytes":"AQ=="}}]',
  ];

  it.each(GARBAGE)('is read past the record, in both directions: %s (P25f)', async (text) => {
    const { broker } = await kit.node();
    for (const id of ['a', 'b', 'c'])
      await broker.log.appendMany([request(CHANNEL, id, { event: { id, event: 'said', payload: id } })]);
    const stream = kit.keys.stream(CHANNEL);
    const [, second] = (await kit.admin.xrange(stream, '-', '+')) as [string, string[]][];
    const fields = second?.[1] ?? [];
    await kit.admin.xdel(stream, second?.[0] ?? '');
    // Redis takes no entry behind its last one, so the stream is written again.
    const all = (await kit.admin.xrange(stream, '-', '+')) as [string, string[]][];
    await kit.admin.del(stream);
    const spoiled: [string, string[]] = [second?.[0] ?? '', [...fields.slice(0, 3), text]];
    for (const [id, values] of [all[0], spoiled, all[1]] as [string, string[]][])
      await kit.admin.xadd(stream, id, ...values);
    const ids = async (range: object): Promise<unknown[]> => {
      const page = await broker.log.read({ channel: CHANNEL, from: 1, limit: 10, ...range });
      return page.events.map(({ seq, id, isReadable }) => (isReadable ? [seq, id] : seq));
    };
    expect(await ids({})).toEqual([[1, 'a'], 2, [3, 'c']]);
    expect(await ids({ reverse: true })).toEqual([[3, 'c'], 2, [1, 'a']]);
    expect(await ids({ from: 2, until: 2 })).toEqual([2]);
    expect(await ids({ from: 2, until: 2, reverse: true })).toEqual([2]);
  });
});
