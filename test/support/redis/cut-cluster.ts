import { Cluster } from 'ioredis';
import { until } from '../until.js';
import type { RedisClusterDeployment } from './cluster.js';
import { CutRelay } from './cut-relay.js';
import type { RedisProcess } from './process.js';

/** Where a server of a Cluster that is cut off from the others connects from, so that its connections are known. */
const OUTSIDE = '127.0.0.2';
const BUS = 10_000;

/** A Cluster one server of which can be cut off from the others, with who is beside it. */
export interface CutCluster {
  /** A client on the side of the one, not connected yet: it reaches the others only while nothing is cut. */
  near(): Cluster;
  cut(): void;
  heal(): void;
  close(): Promise<void>;
}

/** Has the servers of a Cluster reach one of them, and that one the others, by ways that can be cut. */
export async function cutCluster(cluster: RedisClusterDeployment, one: RedisProcess): Promise<CutCluster> {
  const relays: CutRelay[] = [];
  const way = async (port: number, from?: string): Promise<number> => {
    const relay = await CutRelay.start(port, from);
    relays.push(relay);
    return relay.port;
  };
  const own = await way(one.port);
  const natMap: Record<string, { readonly host: string; readonly port: number }> = {
    [`127.0.0.1:${own}`]: { host: '127.0.0.1', port: one.port },
  };
  const set = (server: RedisProcess, ...settings: readonly (string | number)[]) =>
    cluster.cli('-p', String(server.port), 'CONFIG', 'SET', ...settings.map(String));
  const announced: string[] = [];
  await set(one, 'bind-source-addr', OUTSIDE, 'cluster-announce-port', own);
  for (const server of cluster.servers) {
    const bus = await way(server.port + BUS, server === one ? undefined : OUTSIDE);
    // Otherwise the others would take the address that it connects from.
    await set(server, 'cluster-announce-ip', '127.0.0.1', 'cluster-announce-bus-port', bus);
    announced.push(`127.0.0.1:${server === one ? own : server.port}@${bus}`);
    if (server !== one)
      natMap[`127.0.0.1:${server.port}`] = { host: '127.0.0.1', port: await way(server.port) };
  }
  // Who learns of another address makes another connection.
  await until('every server to know the ways', async () => {
    for (const { port } of cluster.servers) {
      const nodes = await cluster.cli('-p', String(port), 'CLUSTER', 'NODES');
      if (!announced.every((address) => nodes.includes(` ${address}`))) return false;
    }
    return true;
  });
  await until('the Cluster to be whole by the ways', async () => {
    for (const { port } of cluster.servers) {
      const nodes = await cluster.cli('-p', String(port), 'CLUSTER', 'NODES');
      if ((nodes.match(/ connected/g) ?? []).length !== announced.length || /fail/.test(nodes)) return false;
    }
    return true;
  });
  return {
    near: () => new Cluster([{ host: '127.0.0.1', port: one.port }], { natMap, lazyConnect: true }),
    cut: () => relays.forEach((relay) => relay.cut()),
    heal: () => relays.forEach((relay) => relay.heal()),
    close: async () => void (await Promise.all(relays.map((relay) => relay.close()))),
  };
}
