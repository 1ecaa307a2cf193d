import type { RealtimeError } from '../../../protocol/realtime-error.js';
import type { Clock, Scheduled } from '../../ports/clock.js';
import type { NodeQuestions } from './node-questions.js';

const PROBE = 'nodes.probe';
/** How long the probe of a node that was asked may take, and how long it counts, in milliseconds. */
const PEER_PROBE_MS = 1_000;
/** Most nodes that are asked: a few tell whether it is the fault of one. */
const MAX_PEERS = 5;
/** Shortest time that they have, in milliseconds. */
const LEAST_PEERS_MS = 100;

/**
 * What the other nodes say of their own path: it `works` for one of them at least; it `fails` for each that answered; none answered
 * (`silent`); or there is `none`. Where the broker itself `refused`, neither of the last two is known: the others may be unable to
 * answer, or to show that they are there.
 */
export type PeerPaths = 'works' | 'fails' | 'silent' | 'none' | 'refused';

/** What was found of the path of events to this node (G20). */
export type PathReport = { readonly roundTripMs: number } | BrokenPath;

/** The probe did not return. */
export interface BrokenPath {
  /** Why, for people. */
  readonly cause: string;
  readonly peers: PeerPaths;
}

export interface PathCheckDeps {
  readonly questions: Pick<NodeQuestions, 'serve' | 'nodes' | 'ask' | 'nodeId'>;
  /** A round trip through the normal publish path, in milliseconds. */
  readonly probe: (timeoutMs: number) => Promise<number>;
  readonly clock: Clock;
}

/**
 * Finds out whether events reach this node and, where they do not, whether they reach others: only then is it a fault of this node
 * (G20). The others are asked once half of the time is over, so the answer is there in time.
 */
export class PathCheck {
  /** The last probe for another node: however many ask, there is one at a time. */
  private last: { readonly at: number; readonly works: Promise<boolean> } | undefined;

  constructor(private readonly deps: PathCheckDeps) {
    deps.questions.serve(PROBE, async () => ({ works: await this.works() }));
  }

  /** @param timeoutMs within which the probe returns, or the report is there. Never rejects. */
  async run(timeoutMs: number): Promise<PathReport> {
    const { clock, probe } = this.deps;
    const startedAt = clock.monotonic();
    const leftMs = (): number => timeoutMs - (clock.monotonic() - startedAt);
    let peers: Promise<PeerPaths> | undefined;
    const askOthers = (): Promise<PeerPaths> =>
      (peers ??= this.askOthers(Math.max(LEAST_PEERS_MS, leftMs())));
    const doubt: Scheduled = clock.schedule(timeoutMs / 2, () => void askOthers());
    try {
      return { roundTripMs: await probe(timeoutMs) };
    } catch (error) {
      const cause = error instanceof Error ? error.message : 'unknown';
      const peers = await askOthers();
      const unknown = peers === 'silent' || peers === 'none';
      return { cause, peers: unknown && isRefusal(error) ? 'refused' : peers };
    } finally {
      doubt.cancel();
    }
  }

  private async askOthers(timeoutMs: number): Promise<PeerPaths> {
    const { questions } = this.deps;
    try {
      const others = (await questions.nodes(timeoutMs)).filter((node) => node !== questions.nodeId);
      if (others.length === 0) return 'none';
      const nodes = others.slice(0, MAX_PEERS);
      const { byNode } = await questions.ask(PROBE, {}, { nodes, timeoutMs, read: readWorks });
      if (byNode.size === 0) return 'silent';
      return [...byNode.values()].includes(true) ? 'works' : 'fails';
    } catch {
      // The nodes cannot be known: then the way to them is broken too.
      return 'silent';
    }
  }

  private works(): Promise<boolean> {
    const now = this.deps.clock.monotonic();
    if (this.last !== undefined && now - this.last.at < PEER_PROBE_MS) return this.last.works;
    const works = this.deps.probe(PEER_PROBE_MS).then(
      () => true,
      () => false,
    );
    this.last = { at: now, works };
    return works;
  }
}

/** A broker that answers that it does not take the probe is reached: that is no fault of this node. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && (error as Partial<RealtimeError>).code === 'unavailable';
}

function readWorks(answer: unknown): boolean | undefined {
  const works = (answer as { works?: unknown } | null | undefined)?.works;
  return typeof works === 'boolean' ? works : undefined;
}
