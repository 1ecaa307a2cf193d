import { describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { EventEmitter } from 'node:events';
import { ServerIdentity } from '../../../../../lib/brokers/redis/connection/server-identity.js';
import { SentinelWatch } from '../../../../../lib/brokers/redis/connection/sentinel-watch.js';
import type { RedisTarget } from '../../../../../lib/brokers/redis/connection/target.js';
import { redisSettings } from '../../../../../lib/brokers/redis/settings.js';
import { ManualClock } from '../../../../support/engine/manual-clock.js';

/** As much of a client as is looked at. */
class FakeClient extends EventEmitter {
  status = 'ready';
  stream = { remoteAddress: '::ffff:10.0.0.1', remotePort: 6379 };
  disconnects = 0;
  readonly subscribed: string[] = [];
  info: () => Promise<string> = () => Promise.resolve('# Server\r\nrun_id:abc1\r\n');

  disconnect(): void {
    this.disconnects += 1;
  }
  subscribe(topic: string): Promise<void> {
    this.subscribed.push(topic);
    return Promise.resolve();
  }
  connect(): Promise<void> {
    return Promise.reject(new Error('not yet'));
  }
}

function identity(resolve?: (host: string) => Promise<readonly string[]>) {
  const client = new FakeClient();
  const settings = redisSettings({ clock: new ManualClock() });
  return { client, own: new ServerIdentity(client as unknown as Redis, settings, resolve) };
}

describe('which server a connection leads to', () => {
  it('another one is left once, until that has closed; the same one never (G21)', async () => {
    const { client, own } = identity();
    // Nothing is known yet.
    expect(own.stayWith('def2')).toBe(false);
    expect(await own.ask()).toBe(true);
    expect(own.stayWith('abc1')).toBe(false);
    expect(own.stayWith('')).toBe(false);
    expect(client.disconnects).toBe(0);
    expect(own.stayWith('def2')).toBe(true);
    expect(own.stayWith('def2')).toBe(true);
    expect(client.disconnects).toBe(1);
    client.emit('close');
    // The next connection has not said where it leads to.
    expect(own.stayWith('def2')).toBe(false);
  });

  it('is not what an earlier connection answered, nor what nobody says (G21)', async () => {
    const { client, own } = identity();
    let answer: (text: string) => void = () => undefined;
    client.info = () => new Promise((resolve) => (answer = resolve));
    const asked = own.ask();
    client.emit('close');
    answer('run_id:abc1');
    expect(await asked).toBe(false);
    expect(own.stayWith('def2')).toBe(false);
    client.info = () => Promise.reject(new Error('NOPERM'));
    expect(await own.ask()).toBe(true);
    expect(own.stayWith('def2')).toBe(false);
  });

  it('a connection that is not ready is left to itself (G21)', async () => {
    const { client, own } = identity();
    await own.ask();
    client.status = 'reconnecting';
    expect(own.stayWith('def2')).toBe(false);
    await own.leave('10.0.0.2:6379');
    expect(client.disconnects).toBe(0);
  });

  it('an address is left unless it is that of the connection, also where IPv4 is written as IPv6 (G21)', async () => {
    const { client, own } = identity();
    await own.leave('10.0.0.1:6379');
    expect(client.disconnects).toBe(0);
    await own.leave('10.0.0.1:6380');
    expect(client.disconnects).toBe(1);
    client.emit('close');
    client.stream = { remoteAddress: 'fd00::1', remotePort: 6379 };
    await own.leave('fd00::1:6379');
    expect(client.disconnects).toBe(1);
    await own.leave('fd00::2:6379');
    expect(client.disconnects).toBe(2);
  });

  it('a name is left unless it stands for the address of the connection (G21)', async () => {
    const asked: string[] = [];
    let addresses: Promise<readonly string[]> = Promise.resolve(['fd00::1', '10.0.0.1']);
    const { client, own } = identity((host) => {
      asked.push(host);
      return addresses;
    });
    for (let sentinel = 0; sentinel < 3; sentinel += 1) await own.leave('redis-1.example:6379');
    expect(asked).toEqual(Array.from({ length: 3 }, () => 'redis-1.example'));
    expect(client.disconnects).toBe(0);
    addresses = Promise.resolve(['10.0.0.2']);
    await own.leave('redis-2.example:6379');
    expect(client.disconnects).toBe(1);
    client.emit('close');
    addresses = Promise.reject(new Error('ENOTFOUND'));
    await own.leave('redis-3.example:6379');
    expect(client.disconnects).toBe(2);
    client.emit('close');
    // Of another port nothing has to be asked.
    asked.length = 0;
    await own.leave('redis-1.example:6380');
    expect([asked, client.disconnects]).toEqual([[], 3]);
  });

  it('the connection after the one that a name was asked for is not left (G21)', async () => {
    let answer: (addresses: readonly string[]) => void = () => undefined;
    const { client, own } = identity(() => new Promise((resolve) => (answer = resolve)));
    const left = own.leave('redis-2.example:6379');
    client.emit('close');
    answer(['10.0.0.2']);
    await left;
    expect(client.disconnects).toBe(0);
  });

  it('names are asked of the system (G21)', async () => {
    const { client, own } = identity();
    client.stream = { remoteAddress: '127.0.0.1', remotePort: 6379 };
    await own.leave('localhost:6379');
    expect(client.disconnects).toBe(0);
  });
});

describe('what Sentinels say', () => {
  it('a change of this master is passed on, of each Sentinel, and none of another master; subscriptions are renewed (G21)', () => {
    const clients = [new FakeClient(), new FakeClient()];
    const switched: string[] = [];
    const target = { sentinels: () => ({ name: 'main', clients }) } as unknown as RedisTarget;
    const watch = new SentinelWatch(target, (address) => switched.push(address));
    watch.start();
    for (const client of clients) client.emit('ready');
    clients[0]?.emit('ready');
    expect(clients.map(({ subscribed }) => subscribed)).toEqual([
      ['+switch-master', '+switch-master'],
      ['+switch-master'],
    ]);
    const say = (at: number, text: string) => clients[at]?.emit('message', '+switch-master', text);
    say(0, 'other 10.0.0.1 6379 10.0.0.9 6379');
    say(0, 'main2 10.0.0.1 6379 10.0.0.9 6379');
    expect(switched).toEqual([]);
    say(0, 'main 10.0.0.1 6379 10.0.0.2 6380');
    say(1, 'main 10.0.0.1 6379 10.0.0.2 6380');
    expect(switched).toEqual(['10.0.0.2:6380', '10.0.0.2:6380']);
    watch.close();
    expect(clients.map(({ disconnects }) => disconnects)).toEqual([1, 1]);
  });
});
