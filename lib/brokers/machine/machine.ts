import type { AppendRequest, EraseResult, ReadRequest, ReadResult } from '../../core/ports/broker.js';
import type { ControlMessage } from '../../core/ports/control.js';
import type { PresencePage } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import { Appends } from './appends.js';
import type { MachineChannel } from './channel.js';
import { Channels, type ChannelsState } from './channels.js';
import type { Command, Moment, Outcome, OutcomeMap, StateCommandKind } from './commands.js';
import type { Digest } from './digest.js';
import type { ChannelFeed } from './feed.js';
import { DONE, FULL } from './full.js';
import { IdMemory, type IdMemoryState, type IdWindow } from './ids.js';
import { Ledger, type LedgerState } from './ledger.js';
import { Losses } from './losses.js';
import { NodeLeases, type NodeLease, type NodeLeasesState } from './nodes.js';
import { Presence, type PresenceState } from './presence.js';
import { Restrictions, type RestrictionsState } from './restrictions.js';
import type { MachineSettings } from './settings.js';
import { Transitions, type TransitionsState } from './transitions.js';

/** A {@link Machine} in a checkpoint. */
export interface MachineState {
  readonly time: number | null;
  readonly ledger: LedgerState;
  readonly nodes: NodeLeasesState;
  readonly channels: ChannelsState;
  readonly ids: IdMemoryState;
  readonly presence: PresenceState;
  readonly transitions: TransitionsState;
  readonly restrictions: RestrictionsState;
}

type Handlers = {
  readonly [K in StateCommandKind]: (command: Command<K>, at: Moment) => OutcomeMap[K];
};

/**
 * The state of one partition: its channels with their logs, remembered ids and members, what is held, the leases of nodes, and the
 * restrictions in force. The same commands at the same moments give the same outcomes and the same state, on every node and in every
 * process: it has no clock, no randomness, no timers and no I/O, and nothing that only one process knows decides anything. Reads
 * and feeds change nothing.
 *
 * A moment is never before the last one. What ends does so at its own time, whichever command or `advance` notices it.
 */
export class Machine {
  /** What it dropped and refused for lack of room. */
  readonly losses = new Losses();
  private readonly ledger: Ledger;
  private readonly channels: Channels;
  private readonly ids: IdMemory<MachineChannel>;
  private readonly appends: Appends;
  private readonly nodes = new NodeLeases();
  private readonly presence: Presence;
  private readonly transitions: Transitions;
  private readonly restrictions = new Restrictions();
  private readonly handlers: Handlers;
  /** Up to when everything has ended that had to. */
  private last = -Infinity;

  /** @param token Begins the epochs; different for each log that is made, and the same on all nodes that read it. */
  constructor(
    private readonly settings: MachineSettings,
    token: string,
  ) {
    const { maxBytes, maxIdBytes, idShare } = settings;
    const ledger = new Ledger(maxBytes);
    const channels = new Channels(settings, ledger, this.losses, token);
    this.ledger = ledger;
    this.channels = channels;
    this.ids = new IdMemory<MachineChannel>(
      ledger,
      (channel) => channels.settle(channel),
      maxIdBytes,
      idShare,
    );
    this.appends = new Appends(channels, this.ids, this.losses);
    this.presence = new Presence(channels, this.nodes, ledger);
    this.transitions = new Transitions(channels, this.nodes, ledger, channels.epochs);
    this.handlers = this.makeHandlers();
  }

  /** Machine time: of the last moment. */
  get time(): number {
    return this.last;
  }

  /** A time before which nothing ends that anybody could be notified of: no lease and no grace. `Infinity` when none runs. */
  get nextEnd(): number {
    return Math.min(this.presence.next, this.transitions.next);
  }

  /** Bytes of everything that it holds. */
  get bytes(): number {
    return this.ledger.bytes;
  }

  /** Bytes that remembered ids hold. */
  get idBytes(): number {
    return this.ids.bytes;
  }

  /** Channels that it holds, used or idle. */
  get size(): number {
    return this.channels.size;
  }

  /**
   * Ends what is due, and then does what the command asks. It checks before it changes; what throws all the same is skipped, and is a
   * bug.
   */
  apply<K extends StateCommandKind>(command: Command<K>, at: Moment): Outcome<K> {
    try {
      this.advance(at);
      return this.handlers[command.kind](command, at);
    } catch (error) {
      return { ok: false, code: 'skipped', error };
    }
  }

  /** Ends everything that has to have ended by the moment. */
  advance(at: Moment): void {
    const { now } = at;
    if (now <= this.last) return;
    this.last = now;
    this.channels.advance(now);
    this.nodes.expire(now);
    this.ids.expire(now);
    this.channels.expire();
    this.transitions.expire(at);
    this.presence.expire(now);
  }

  /** Hands what happens in a channel to `feed`, or no longer to any. */
  follow(channel: string, feed: ChannelFeed | undefined): void {
    this.channels.follow(channel, feed);
  }

  /** Reads a range of a log, as of the last moment. */
  read(request: ReadRequest): ReadResult {
    return this.channels.read(request);
  }

  /** Tip of a log. */
  positionOf(channel: string): Position {
    return this.channels.positionOf(channel);
  }

  /** Members of a channel, after a place in their order. */
  members(channel: string, after: number, limit: number): PresencePage {
    return this.presence.members(channel, after, limit);
  }

  /** Restrictions that hold, for a node that starts. @param now of the clock that they end by. */
  restrictionsInForce(now: number): readonly ControlMessage[] {
    return this.restrictions.inForce(now);
  }

  /** Nodes with a lease, in the order in which they came. */
  liveNodes(): readonly Pick<NodeLease, 'id' | 'versions'>[] {
    return this.nodes.all();
  }

  /** Begins a term before which nothing was lost (G6): positions stay true up to where each log is. */
  begin(term: number): void {
    this.channels.begin(term);
  }

  /**
   * Begins a term before which the log lost its end (G6): positions that were learned before stay true only as far as they are surely
   * older than `since`, in machine time.
   */
  lose(term: number, since: number): void {
    this.channels.lose(term, since);
  }

  get term(): number {
    return this.channels.epochs.term;
  }

  /** Mixes into a digest what tells the state from another that had the same outcomes. */
  mixInto(digest: Digest): void {
    for (const count of [this.bytes, this.idBytes, this.size, this.term]) digest.number(count);
    for (const part of [this.channels, this.presence, this.transitions]) part.mixInto(digest);
  }

  /** All of it but the events: plain data that JSON keeps as it is, but for bytes in the data of members ({@link readWireValue}). */
  save(): MachineState {
    return {
      time: this.last === -Infinity ? null : this.last,
      ledger: this.ledger.save(),
      nodes: this.nodes.save(),
      channels: this.channels.save(),
      ids: this.ids.save(({ name }) => name),
      presence: this.presence.save(),
      transitions: this.transitions.save(),
      restrictions: this.restrictions.save(),
    };
  }

  /**
   * Into a new machine of the same settings and token. Its events are still missing: `fill` with what is read from the log again, then
   * `fillRest`, before the first command.
   */
  restore(state: MachineState): void {
    this.last = state.time ?? -Infinity;
    this.nodes.restore(state.nodes);
    this.channels.restore(state.channels, this.last);
    this.ids.restore(state.ids, (name) => this.windowOf(name));
    this.presence.restore(state.presence);
    this.transitions.restore(state.transitions);
    this.restrictions.restore(state.restrictions);
    this.channels.restored(state.channels);
    this.ledger.restore(state.ledger);
  }

  /** Puts an event where it is missing. @param place As in the {@link Moment} of its append. @returns Whether it was. */
  fill(request: AppendRequest, place: number, { ts, local }: Pick<Moment, 'ts' | 'local'>): boolean {
    return this.channels.find(request.channel)?.log.fill(request, place, ts, local) ?? false;
  }

  /** Place of the first event that is missing; `undefined` where none is. */
  get oldestMissing(): number | undefined {
    let oldest = Infinity;
    for (const { log } of this.channels.all()) oldest = Math.min(oldest, log.oldestMissing);
    return oldest === Infinity ? undefined : oldest;
  }

  /** Puts what cannot be read in the places of events that are still missing. @returns How many were. */
  fillRest(): number {
    let missing = 0;
    for (const { log } of this.channels.all()) missing += log.fillRest();
    return missing;
  }

  private windowOf(name: string): IdWindow<MachineChannel> {
    const channel = this.channels.find(name);
    if (channel === undefined) throw new Error('A checkpoint has ids of a channel that it does not have');
    return channel.ids;
  }

  private makeHandlers(): Handlers {
    const { channels, presence, transitions, restrictions, nodes } = this;
    return {
      append: ({ requests }, at) => {
        const { ts } = at;
        return requests.map((request, index) => this.appends.append(request, ts, at, index));
      },
      erase: (command) => this.erase(command),
      clear: ({ channel }) => {
        channels.clear(channel);
        return DONE;
      },
      cut: (command) => this.cut(command),
      pin: ({ channel, always = false }) => (channels.pin(channel, always) ? DONE : FULL),
      unpin: ({ channel }) => {
        channels.unpin(channel);
        return DONE;
      },
      enter: (command, at) => presence.enter(command, at),
      update: (command) => presence.update(command),
      leave: (command, at) => presence.leave(command, at),
      renew: (command, at) => presence.renew(command, at),
      hold: (command, at) => transitions.hold(command, at),
      release: (command, at) => transitions.release(command, at),
      take: (command, at) => transitions.take(command, at),
      done: (command) => transitions.done(command),
      control: ({ message }, at) => {
        restrictions.control(message, at[this.settings.restrictionsEndBy]);
        return DONE;
      },
      heartbeat: (command, { now }) => ({ ok: true, isNew: nodes.heartbeat(command, now) }),
      goodbye: ({ node }, { now }) => {
        nodes.goodbye(node, now);
        transitions.nodeEnded(node);
        presence.nodeEnded();
        return DONE;
      },
      tick: () => DONE,
    };
  }

  private erase({ channel, seqs }: Command<'erase'>): EraseResult {
    const log = this.channels.find(channel)?.log;
    const kept = seqs.filter((seq) => log?.erase(seq) === true);
    return { tip: this.channels.positionOf(channel), seqs: kept };
  }

  private cut({ channel, keep }: Command<'cut'>): OutcomeMap['cut'] {
    const found = this.channels.cut(channel, keep);
    if (found === undefined) return DONE;
    this.ids.forgetAfter(found.ids, keep);
    this.channels.settle(found);
    return DONE;
  }
}
