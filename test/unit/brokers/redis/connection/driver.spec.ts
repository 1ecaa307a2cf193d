import { describe, expect, it } from '@jest/globals';
import { loadDriver } from '../../../../../lib/brokers/redis/connection/driver.js';

const failing = (code: string, message: string) => () =>
  Promise.reject(Object.assign(new Error(message), { code }));
class Stand {}

describe('the package that connects to Redis', () => {
  it('is loaded with what the broker makes', async () => {
    const driver = await loadDriver();
    expect([driver.Cluster, driver.Command, driver.Redis].map((made) => typeof made)).toEqual([
      'function',
      'function',
      'function',
    ]);
  });

  it('that is not installed is named, with the command that installs it', async () => {
    const missing = failing('ERR_MODULE_NOT_FOUND', "Cannot find package 'ioredis' imported from /app/a.js");
    await expect(loadDriver(missing)).rejects.toThrow(
      /^redisBroker: needs the package ioredis, version 5\.3 or newer\. Install it: npm i ioredis@6$/,
    );
  });

  it('that lacks a package of its own is not said to be missing', async () => {
    const broken = failing('ERR_MODULE_NOT_FOUND', "Cannot find package 'denque' imported from /app/ioredis");
    await expect(loadDriver(broken)).rejects.toThrow(/which is installed and cannot be loaded.*denque/);
  });

  it.each(['Cluster', 'Command', 'Redis'])(
    'that is too old to have %s is named, with the command that installs another',
    async (name) => {
      const old = { Cluster: Stand, Command: Stand, Redis: Stand, [name]: undefined };
      await expect(loadDriver(() => Promise.resolve(old))).rejects.toThrow(
        'redisBroker: needs the package ioredis, version 5.3 or newer, and an older one is installed. Install it: npm i ioredis@6',
      );
    },
  );
});
