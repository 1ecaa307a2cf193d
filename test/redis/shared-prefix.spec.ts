// Two applications that share a prefix by mistake.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RecordingListener } from '../../lib/brokers/contract/recording-listener.js';
import type { RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
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
    expect(await start({})).toEqual([]);
    expect(await start({ application: 'forum', keyPrefix: `${kit.prefix}2` })).toEqual([]);
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
    expect(await start({ application: 'shop' }, 'one')).toEqual([]);
    await expect(start({ application: 'forum' }, 'one')).rejects.toThrow('"shop"');
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
    expect(await start({ application: 'shop' }, 'one')).toEqual([]);
    expect(await kit.admin.hget(kit.keys.meta, 'application')).toBeNull();
    await kit.admin.config('SET', 'maxmemory', '0');
    expect(await start({ application: 'shop' }, 'one')).toEqual([]);
    await expect(start({ application: 'forum' })).rejects.toThrow('"shop"');
  });
});
