// Two applications that share a prefix by mistake.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RecordingListener } from '../../lib/brokers/contract/recording-listener.js';
import type { RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import { patience } from '../support/patience.js';
import { RedisKit } from './kit.js';

describe('two applications under one prefix', () => {
  let kit: RedisKit;
  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(() => kit.reset());
  afterAll(() => kit.dispose());

  async function start(options: RedisBrokerOptions, fingerprint?: string): Promise<readonly string[]> {
    const warnings: string[] = [];
    const broker = kit.make({ ...options, onWarning: (text) => warnings.push(text) });
    await broker.start(Object.assign(new RecordingListener(), { application: fingerprint }));
    return warnings;
  }

  it('with names, the second does not start, and its error names both and the remedy', async () => {
    expect(await start({ application: 'shop' })).toEqual([]);
    expect(await start({ application: 'shop' })).toEqual([]);
    await expect(start({ application: 'forum' })).rejects.toThrow(
      new Error(
        `redisBroker: the data under \`keyPrefix\` "${kit.prefix}" are those of the application "shop", and this one is "forum". ` +
          'Give each application a `keyPrefix` of its own.',
      ),
    );
    // Neither did it take the name, nor is it among the nodes.
    expect(await start({ application: 'shop' })).toEqual([]);
    expect(await start({ application: 'forum', keyPrefix: `${kit.prefix}2` })).toEqual([]);
  });

  it('of several that start at once, those of one name start', async () => {
    const names = ['shop', 'forum', 'shop', 'forum', 'shop', 'forum'];
    const starts = await Promise.allSettled(names.map((application) => start({ application })));
    const started = new Set(names.filter((_, index) => starts[index]?.status === 'fulfilled'));
    expect([...started]).toEqual([await kit.admin.hget(kit.keys.meta, 'application')]);
  });

  it('the refused one is not among the nodes that are waited for', async () => {
    await start({ application: 'shop' });
    await expect(start({ application: 'forum' })).rejects.toThrow('forum');
    expect(await kit.admin.zcard(kit.keys.nodes)).toBe(1);
  });

  it('with different secrets, each start says so once, and the last is compared with the next', async () => {
    expect(await start({}, 'one')).toEqual([]);
    expect(await start({}, 'one')).toEqual([]);
    expect(await start({}, 'two')).toEqual([expect.stringContaining('another `ticketSecret`')]);
    expect(await start({}, 'two')).toEqual([]);
    expect(await start({}, undefined)).toEqual([]);
    expect(await start({}, 'one')).toEqual([expect.stringContaining(`"${kit.prefix}"`)]);
    expect(await start({}, 'one')).toEqual([]);
  });

  it('a name is stored by the first that has one, also where the deployment had none', async () => {
    await start({}, 'one');
    expect(await start({ application: 'shop' }, 'one')).toEqual([
      `redisBroker: no name of an application was stored under \`keyPrefix\` "${kit.prefix}", and nodes run there (1): the name of ` +
        'this one, "shop", keeps none of them away. If they belong to another application: both share channels, members and bans. ' +
        'Give each application a `keyPrefix` of its own. If the option is being added node by node: this ends with it.',
    ]);
    expect(await start({ application: 'shop' }, 'one')).toEqual([]);
    await expect(start({ application: 'forum' }, 'one')).rejects.toThrow('"shop"');
  });

  it('the first of an application, or one that is alone, says nothing of others', async () => {
    await start({}, 'one');
    await kit.closeAll();
    expect(await start({ application: 'shop' }, 'one')).toEqual([]);
  });

  it('one without a name beside one with it says so at each start, and so does the look of the doctor', async () => {
    await start({ application: 'shop' });
    const problem =
      `The data under \`keyPrefix\` "${kit.prefix}" are those of the application "shop", and this node has no \`application\`: ` +
      'if it belongs to another one, both share channels, members and bans.';
    const remedy = 'Give it its name as `application`. Give each application a `keyPrefix` of its own.';
    for (let time = 0; time < 2; time++)
      expect(await start({})).toEqual([`redisBroker: ${problem} ${remedy}`]);
    const look = (options: RedisBrokerOptions) => kit.make(options).inspect(patience(2_000));
    expect(await look({})).toContainEqual({ problem, remedy });
    expect(await look({ application: 'shop' })).not.toContainEqual(expect.objectContaining({ remedy }));
    expect(await look({ keyPrefix: `${kit.prefix}2` })).not.toContainEqual(
      expect.objectContaining({ remedy }),
    );
  });

  it('a server that is full lets nodes of the application start, and no others', async () => {
    const options = { application: 'shop' };
    await start(options, 'one');
    await kit.admin.config('SET', 'maxmemory', '1');
    expect(await start(options, 'one')).toEqual([]);
    expect(await start(options, 'two')).toEqual([expect.stringContaining('another `ticketSecret`')]);
    await expect(start({ application: 'forum' }, 'one')).rejects.toThrow('"shop"');
    await kit.admin.config('SET', 'maxmemory', '0');
    expect(await start(options, 'one')).toEqual([]);
  });

  it('what a full server did not store is stored by the next start', async () => {
    await start({});
    await kit.admin.config('SET', 'maxmemory', '1');
    const others = (count: number) => [expect.stringContaining(`nodes run there (${count})`)];
    expect(await start({ application: 'shop' }, 'one')).toEqual(others(1));
    expect(await kit.admin.hget(kit.keys.meta, 'application')).toBeNull();
    await kit.admin.config('SET', 'maxmemory', '0');
    expect(await start({ application: 'shop' }, 'one')).toEqual(others(2));
    expect(await start({ application: 'shop' }, 'one')).toEqual([]);
    await expect(start({ application: 'forum' })).rejects.toThrow('"shop"');
  });
});
