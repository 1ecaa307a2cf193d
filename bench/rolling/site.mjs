import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Child } from '../floods/child.mjs';
import { startRedis } from '../support/redis-server.mjs';

const POLL_MS = 100;
const CONNECT_MS = 120_000;
/** How long clients may take to come back. */
const RETURN_MS = 60_000;
/** How long events may take to their last clients, and publishes to their end. */
const SETTLE_MS = 20_000;
const STOP_MS = 150_000;

/** @param folder URL of this folder in a checkout, which may be one of another version. */
const script = (name, folder = import.meta.url) => new URL(name, folder).href;
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Redis, nodes behind a balancer, a service that publishes, and clients that publish too: each a process of its own, the clients two.
 *
 * @typedef {{ child: Child, port: number, exited?: Promise<unknown> }} RollingNode
 */
export class RollingSite {
  /** @type {RollingNode[]} */
  nodes = [];
  #children = [];
  #clients = [];

  /**
   * @param {import('./site.mjs').SiteSettings} settings
   */
  constructor(settings) {
    this.settings = settings;
  }

  static async start(settings) {
    const site = new RollingSite(settings);
    try {
      await site.#start();
    } catch (error) {
      await site.stop();
      throw error;
    }
    return site;
  }

  async #start() {
    const { contender, clients, clientProcesses, rooms, ticksPerSecond, saidPerSecond, nodes } =
      this.settings;
    this.redis = await startRedis();
    this.balancer = await this.#add('balancer.process.mjs', {});
    for (let node = 0; node < nodes; node++) await this.addNode(this.settings.versions?.[0]);
    this.source = await this.#add(`sources/${contender}.process.mjs`, {
      redis: this.redis.url,
      rooms,
      perSecond: ticksPerSecond * rooms,
    });
    const share = Math.ceil(clients / clientProcesses);
    for (let first = 0; first < clients; first += share) {
      this.#clients.push(
        await this.#add('clients.process.mjs', {
          contender,
          port: this.balancer.ready.port,
          rooms,
          first,
          count: Math.min(share, clients - first),
          clients,
          saidPerSecond,
        }),
      );
    }
  }

  /** Starts a node and lets the balancer have it. @param version Where its scripts are, when not here. */
  async addNode(version) {
    const name = `nodes/${this.settings.contender}.process.mjs`;
    const child = await this.#add(name, { redis: this.redis.url, options: this.settings.options }, version);
    const { port } = child.ready;
    await this.#ask(this.balancer, 'add', { node: port });
    const node = { child, port };
    this.nodes.push(node);
    return node;
  }

  /**
   * Ends a node as an orchestrator does: no new connections, SIGTERM, the end.
   *
   * @returns its exit code (or signal) and how long it took, in milliseconds.
   */
  async endNode(node) {
    this.nodes.splice(this.nodes.indexOf(node), 1);
    await this.#ask(this.balancer, 'remove', { node: node.port });
    const began = performance.now();
    const exit = once(node.child.child, 'exit');
    node.child.child.kill('SIGTERM');
    const [code, signal] = await exit;
    return { exit: signal ?? code, tookMs: performance.now() - began };
  }

  /** Opens all clients, and waits until they are subscribed. */
  async connect() {
    await Promise.all(this.#clients.map((child) => this.#ask(child, 'connect', {}, CONNECT_MS)));
    if ((await this.allLive()) > 0) throw new Error('Not all clients could connect');
  }

  async publish() {
    await Promise.all([this.source, ...this.#clients].map((child) => this.#ask(child, 'start')));
  }

  /**
   * Waits until all clients are subscribed.
   *
   * @returns how many are not, after a minute.
   */
  async allLive() {
    const deadline = performance.now() + RETURN_MS;
    for (;;) {
      const absent = this.settings.clients - (await this.#sum('live'));
      if (absent === 0 || performance.now() > deadline) return absent;
      await pause(POLL_MS);
    }
  }

  /** Connections of the nodes that are there, in the order in which they came. */
  async connectionsOfNodes() {
    const { counts } = await this.#ask(this.balancer, 'counts');
    return this.nodes.map(({ port }) => counts[port]);
  }

  /** What happened since it was last asked: what each client saw, when connections came, and the CPU of each process. */
  async measure() {
    const answers = await Promise.all(this.#clients.map((child) => this.#ask(child, 'measure')));
    const { accepted, refused } = await this.#ask(this.balancer, 'accepted');
    return { clients: answers.flatMap(({ figures }) => figures), accepted, refused };
  }

  /** CPU of each kind of process so far, in milliseconds; the most of one process where there are several. */
  cpu() {
    const largest = (children) => Math.max(...children.map(({ pid }) => cpuMsOf(pid)));
    return {
      at: performance.now(),
      nodes: this.nodes.map(({ child }) => cpuMsOf(child.pid)),
      balancer: cpuMsOf(this.balancer.pid),
      source: cpuMsOf(this.source.pid),
      clients: largest(this.#clients),
    };
  }

  /** Ends the load, and compares what each client has with what was acknowledged. */
  async settle() {
    const { rooms } = this.settings;
    const [source, ...writers] = await Promise.all(
      [this.source, ...this.#clients].map((child) => this.#ask(child, 'stop', {}, STOP_MS)),
    );
    const said = Array.from({ length: rooms }, () => []);
    for (const { acknowledged } of writers) for (const [room, numbers] of acknowledged) said[room] = numbers;
    const message = { ticks: source.acknowledged, said, withinMs: SETTLE_MS };
    const results = await Promise.all(
      this.#clients.map((child) => this.#ask(child, 'settle', message, 2 * SETTLE_MS)),
    );
    const total = (name) => results.reduce((sum, result) => sum + result[name], 0);
    const recoveries = {};
    for (const result of results)
      for (const [kind, times] of Object.entries(result.recoveries))
        recoveries[kind] = (recoveries[kind] ?? 0) + times;
    return {
      published: [...source.acknowledged, ...said].reduce((sum, { length }) => sum + length, 0),
      publishedByClients: said.reduce((sum, { length }) => sum + length, 0),
      failed: [...source.failed, ...writers.flatMap(({ failed }) => failed)],
      latencies: writers.flatMap(({ latencies }) => latencies),
      expected: total('expected'),
      lost: total('lost'),
      losers: total('losers'),
      doubled: total('doubled'),
      disordered: total('disordered'),
      gaps: total('gaps'),
      recoveries,
    };
  }

  /** What the processes wrote, which should be nothing. */
  get lines() {
    return this.#children.flatMap(({ lines }) => lines);
  }

  async stop() {
    await Promise.all(this.#children.map((child) => child.stop()));
    await this.redis?.stop();
  }

  async #sum(name) {
    const answers = await Promise.all(this.#clients.map((child) => this.#ask(child, name)));
    return answers.reduce((sum, answer) => sum + answer[name], 0);
  }

  async #ask(child, ...message) {
    const answer = await child.ask(...message);
    if (answer === undefined)
      throw new Error(`A process did not answer "${message[0]}": ${this.lines.slice(-20).join('\n')}`);
    return answer;
  }

  async #add(name, settings, folder) {
    const child = await Child.start(script(name, folder), settings);
    this.#children.push(child);
    return child;
  }
}

/** CPU that a process has used, in milliseconds, where the system says it. */
function cpuMsOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return Number.NaN;
  }
}
