import type { AppendOutcome, AppendRequest, BrokerCapabilities, LogPolicy } from '../../core/ports/broker.js';
import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { Position } from '../../protocol/position.js';
import type {
  BrokerBound,
  BrokerFaults,
  BrokerHarness,
  BrokerHarnessFactory,
  ContractNode,
  ContractWindows,
} from './harness.js';
import type { ContractSettings } from './options.js';
import { checkProperty, type Property } from './property.js';
import type { ContractExpect, ContractRunner } from './runner.js';

/** For ids that must be remembered, however long the test and a restart of the server take. */
const LONG_DEDUPE_MS = 600_000;

/** Between two attempts of an assertion that does not hold yet, in milliseconds. */
const RETRY_MS = 2;

/** What the themes of the contract share: the runner, the harness of the running test, and short ways to ask. */
export class ContractContext {
  /** Registers a test of the suite, with the suite's time-out. */
  readonly it: (title: string, body: () => Promise<void>) => void;
  readonly expect: ContractExpect;
  private current: BrokerHarness | undefined;
  private counter = 0;
  /** Keeps the channels of two runs over one real broker apart. */
  private readonly run = crypto.randomUUID().slice(0, 8);

  constructor(
    runner: ContractRunner,
    private readonly factory: BrokerHarnessFactory,
    private readonly settings: ContractSettings,
  ) {
    this.it = (title, body) => runner.it(title, body, settings.timeoutMs);
    this.expect = runner.expect;
  }

  get capabilities(): BrokerCapabilities {
    return this.factory.capabilities;
  }

  get harness(): BrokerHarness {
    if (this.current === undefined) throw new Error('The harness exists only while a test runs');
    return this.current;
  }

  get windows(): ContractWindows {
    return this.harness.windows;
  }

  /** Whether nodes can send one another bytes. */
  get messages(): boolean {
    return this.factory.messages === true;
  }

  /** Whether tests of this fault are to be registered. */
  can(fault: keyof BrokerFaults): boolean {
    return this.factory.faults.includes(fault);
  }

  /** Whether tests of this bound are to be registered. */
  keeps(bound: BrokerBound): boolean {
    return this.factory.bounds?.includes(bound) === true;
  }

  /** A node with room for few ids. */
  async crowdedNode(): Promise<ContractNode> {
    const make = this.harness.crowdedNode;
    if (make === undefined)
      throw new Error('The factory declares the bound idsOfProducer, its harness lacks crowdedNode');
    return make.call(this.harness);
  }

  fault<Name extends keyof BrokerFaults>(name: Name): BrokerFaults[Name] {
    const { faults } = this.harness;
    const hook = faults[name];
    if (hook === undefined) throw new Error(`The factory declares the fault ${name}, its harness lacks it`);
    // A harness may be a class, whose methods need `this`.
    return hook.bind(faults) as BrokerFaults[Name];
  }

  /** For what takes longer than an arrival, a multiple of it. */
  get patienceMs(): number {
    return this.settings.patienceMs;
  }

  async open(): Promise<void> {
    this.current = await this.factory.create();
  }

  async dispose(): Promise<void> {
    const harness = this.current;
    this.current = undefined;
    await harness?.dispose();
  }

  /** A channel that no other test uses. */
  channel(hint = 'room'): string {
    this.counter += 1;
    return `${hint}.${this.run}.${this.counter}`;
  }

  async node(): Promise<ContractNode> {
    return this.harness.node();
  }

  async twoNodes(): Promise<readonly [ContractNode, ContractNode]> {
    return [await this.harness.node(), await this.harness.node()];
  }

  policy(change: Partial<LogPolicy> = {}): LogPolicy {
    return {
      retain: true,
      size: 1_000,
      maxBytes: 8_388_608,
      ttlMs: 3_600_000,
      dedupeMs: LONG_DEDUPE_MS,
      ...change,
    };
  }

  /** One append; its fingerprint follows from its content, as the engine makes it. */
  request(
    channel: string,
    id: string,
    change: {
      readonly producer?: string;
      readonly after?: string;
      readonly payload?: unknown;
      readonly event?: string;
      readonly bytes?: number;
      readonly policy?: Partial<LogPolicy>;
    } = {},
  ): AppendRequest {
    const { producer = 'u1', after, event = 'message', policy } = change;
    const payload = 'payload' in change ? change.payload : { id };
    const draft = { id, event, payload };
    return {
      channel,
      producer,
      fingerprint: JSON.stringify([event, payload ?? null]),
      ...(after === undefined ? {} : { after }),
      event: draft,
      bytes: change.bytes ?? JSON.stringify(draft).length,
      policy: this.policy(policy),
    };
  }

  /** Appends events with these ids, one call, and gives their positions. */
  async append(
    node: ContractNode,
    channel: string,
    ids: readonly string[],
    policy?: Partial<LogPolicy>,
  ): Promise<readonly Position[]> {
    const requests = ids.map((id) => this.request(channel, id, policy === undefined ? {} : { policy }));
    return positionsOf(await node.broker.log.appendMany(requests));
  }

  /** The whole log that a node can read, by pages: a broker may bound a single answer. */
  async log(node: ContractNode, channel: string): Promise<readonly ChannelEvent[]> {
    const events: ChannelEvent[] = [];
    for (let from = 1; ;) {
      const page = (await node.broker.log.read({ channel, from, limit: 250 })).events;
      const last = page.at(-1);
      if (last === undefined) return events;
      if (last.seq < from) throw new Error(`read() from ${from} on ended with the event ${last.seq}`);
      events.push(...page);
      from = last.seq + 1;
    }
  }

  async tip(node: ContractNode, channel: string): Promise<Position> {
    const [tip] = await node.broker.log.tips([channel]);
    if (tip === undefined) throw new Error('tips() answered nothing');
    return tip;
  }

  /** Repeats an assertion until it holds; its last failure is the test's. */
  async eventually(assertion: () => void | Promise<void>, timeoutMs = this.patienceMs): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      try {
        await assertion();
        return;
      } catch (error) {
        if (performance.now() >= deadline) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** Checks cases from the suite's seed: by default as many as the harness wants. */
  async check<Case>(property: Property<Case>, runs = this.harness.runs): Promise<void> {
    await checkProperty(property, { seed: this.settings.seed, runs });
  }
}

/** Positions of appends that all succeeded. */
export function positionsOf(outcomes: readonly AppendOutcome[]): readonly Position[] {
  return outcomes.map((outcome) => {
    if (!outcome.ok) throw new Error(`An append failed with ${outcome.code}`);
    return outcome.position;
  });
}

/** `first…last`, ascending. */
export function range(first: number, last: number): readonly number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}

/** Ids `prefix1…prefixN`. */
export function ids(prefix: string, count: number): readonly string[] {
  return range(1, count).map((number) => `${prefix}${number}`);
}
