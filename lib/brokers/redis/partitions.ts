import type { RedisCommands } from './connection/commands.js';
import { CONTROL_CHANNEL, type RedisKeys } from './keys.js';
import { DEPLOYMENT } from './scripts/deployment.js';
import { MAX_PARTITIONS, NEW_PARTITIONS, type RedisSettings } from './settings.js';

/** Between two looks whether nodes that run have stored theirs, in milliseconds. */
const LOOK_MS = 50;

/**
 * Into how many parts the channels of this deployment are divided, as its first node stored it; where there is none, what this node
 * will store with its first heartbeat. That heartbeat compares it, so what cannot be read here is refused there.
 *
 * Where the data were lost, nodes that run store theirs with their next heartbeat, and this one must not be faster: they could not
 * work any more. So it waits for that where some listen, and where a server has only just started, as they may be about to come back.
 *
 * @throws RealtimeError `unavailable` or `timeout`.
 */
export async function partitionsOfDeployment(
  commands: Pick<RedisCommands, 'run'>,
  keys: RedisKeys,
  { clock, heartbeatMs, maxReconnectMs }: Pick<RedisSettings, 'clock' | 'heartbeatMs' | 'maxReconnectMs'>,
): Promise<number> {
  const names = [...new Set(['', keys.topicsName])];
  const asked = [keys.meta, ...names.map((name) => keys.topic(CONTROL_CHANNEL, name))];
  const backMs = 2 * maxReconnectMs;
  const until = clock.monotonic() + backMs + 2 * heartbeatMs;
  for (;;) {
    const answer = await commands.run(DEPLOYMENT, keys.partitionOf(CONTROL_CHANNEL), asked, []);
    const [text, listening, seconds] = answer as readonly [string, number, number];
    const stored = Number(text);
    if (text !== '')
      return Number.isInteger(stored) && stored > 0 && stored <= MAX_PARTITIONS ? stored : NEW_PARTITIONS;
    const isAlone = Number(listening) === 0 && 1_000 * Number(seconds) >= backMs;
    if (isAlone || clock.monotonic() >= until) return NEW_PARTITIONS;
    await new Promise<void>((resolve) => clock.schedule(LOOK_MS, resolve));
  }
}

/** Most partitions with nothing in them that one look asks for. */
const MAX_QUIET = 256;
/** Most partitions in one script call, so that Redis does not stand still for it. */
const BATCH = 128;

/**
 * At which partitions a look looks, where all of them are looked at again and again: always at those in which there was something,
 * and at few of the others, which take turns. So a deployment in which little happens costs little, however finely it is divided.
 */
export class PartitionRounds {
  private readonly busy = new Set<number>();
  /** With which a look begins. */
  private first = 0;
  /** With which of those where there was nothing the next look continues. */
  private turn = 0;

  constructor(
    private readonly keys: Pick<RedisKeys, 'partitions'>,
    private readonly commands: Pick<RedisCommands, 'clustered'>,
  ) {}

  /** @param isBusy whether there was something in it, so that every look looks at it. */
  note(partition: number, isBusy: boolean): void {
    if (isBusy) this.busy.add(partition);
    else this.busy.delete(partition);
  }

  /** Lets looks begin behind this partition, which filled one: those behind it are not left without room. */
  beginAfter(partition: number): void {
    this.first = (partition + 1) % this.keys.partitions;
  }

  /** The partitions of the next look, by call; in a Cluster each has a call of its own. */
  next(): readonly (readonly number[])[] {
    const { partitions } = this.keys;
    const quiet = this.nextQuiet();
    const inOrder = Array.from({ length: partitions }, (_, place) => (this.first + place) % partitions);
    return this.callsOf(inOrder.filter((partition) => this.busy.has(partition) || quiet.has(partition)));
  }

  /** These, by call. */
  callsOf(partitions: Iterable<number>): readonly (readonly number[])[] {
    const most = this.commands.clustered ? 1 : BATCH;
    const calls: number[][] = [];
    for (const partition of partitions) {
      const call = calls.at(-1);
      if (call === undefined || call.length === most) calls.push([partition]);
      else call.push(partition);
    }
    return calls;
  }

  private nextQuiet(): ReadonlySet<number> {
    const { partitions } = this.keys;
    const quiet = new Set<number>();
    for (let count = 0; count < partitions && quiet.size < MAX_QUIET; count += 1) {
      if (!this.busy.has(this.turn)) quiet.add(this.turn);
      this.turn = (this.turn + 1) % partitions;
    }
    return quiet;
  }
}
