import { APPEND } from '../../lib/brokers/redis/scripts/append.js';
import type { RedisScript } from '../../lib/brokers/redis/scripts/script.js';
import type { RedisKit } from './kit.js';

export type Argument = string | number;

type Item = readonly [id: number, after: number, print: string, body: string];

/** Whether events are kept, size, ttl, dedupe, head. */
export const POLICY = [1, 100, 60_000, 10_000, 90_000];
/** Most bytes, where a test is not about them. */
export const WIDE = [1_000_000];
/** Bytes of so many events, as the script takes them. */
export const sizesOf = (count: number) => [count * 10, count === 1 ? '' : times(count, '10').join()];
export const recordOf = (bodies: readonly string[]) => `[${bodies.join(',\n')}]`;
export const times = (count: number, body: string) => Array.from({ length: count }, () => body);

/** Calls of the scripts, as the broker makes them. */
export function scriptCalls(kit: () => RedisKit) {
  let counter = 0;
  let calls = 0;
  const made = new Set<string>();

  /** By the server's clock. */
  const now = async () => {
    const [seconds = 0, micros = 0] = await kit().admin.time();
    return seconds * 1_000 + Math.floor(micros / 1_000);
  };
  const channel = () => `rooms.${(counter += 1)}`;
  const run = (script: RedisScript, keys: readonly string[], args: readonly Argument[]) =>
    kit().admin.eval(script.text, keys.length, ...keys, ...args) as Promise<(string | number)[]>;
  const log = (name: string) => [kit().keys.head(name), kit().keys.stream(name), kit().keys.topic(name)];
  const withIds = (name: string) => [...log(name), ...kit().keys.of(name).ids, kit().keys.origin(name)];
  /** What the script of tips takes. */
  const tipKeys = (name: string) => [kit().keys.head(name), kit().keys.origin(name)];
  const readKeys = (name: string) => [
    kit().keys.head(name),
    kit().keys.stream(name),
    kit().keys.origin(name),
  ];

  /** One section, in a log whose epoch is `tok.1`. */
  const appendTo = async (
    name: string,
    touch: number,
    policy: readonly Argument[],
    section: readonly Argument[],
  ) => {
    if (!made.has(name)) {
      made.add(name);
      const id = /master_replid:(\w+)/.exec(await kit().admin.info('replication'))?.[1] ?? '';
      await kit().admin.hset(kit().keys.head(name), { e: 'tok.1', s: 0, i: id, f: '' });
    }
    calls += 1;
    const out = await run(APPEND, withIds(name), [
      `call${calls}`,
      touch,
      1,
      1,
      ...policy,
      ...WIDE,
      1,
      ...section,
    ]);
    return out[0] as unknown as (string | number)[];
  };
  /** In the mixed form: places of id and `after` are 1-based in `ids`. */
  const append = (
    name: string,
    ids: readonly string[],
    items: readonly Item[],
    policy: readonly Argument[] = POLICY,
    touch = 0,
  ) => {
    const details = items.flatMap(([id, after, print]) => [id, after, print]);
    const text = recordOf(items.map(([, , , body]) => body));
    return appendTo(name, touch, policy, [
      ...[items.length, ids.length, 'm', ...sizesOf(items.length), text],
      ...[...ids, ...details],
    ]);
  };
  const plain = (name: string, bodies: readonly string[], policy: readonly Argument[] = POLICY) =>
    appendTo(name, 0, policy, [bodies.length, 0, '', ...sizesOf(bodies.length), recordOf(bodies)]);
  /** Every event has an id. */
  const identified = (name: string, ids: readonly string[], policy: readonly Argument[] = POLICY) => {
    const text = recordOf(ids.map((id) => JSON.stringify({ i: id })));
    const claims = ids.map((id, index) => `call${calls + 1}.1-${index} f-${id}`);
    return appendTo(name, 0, policy, [
      ...[ids.length, ids.length, '', ...sizesOf(ids.length), text],
      ...[...ids, ...claims],
    ]);
  };

  return { now, channel, run, log, withIds, tipKeys, readKeys, append, plain, identified };
}
