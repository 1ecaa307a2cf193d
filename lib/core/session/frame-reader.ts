import { decodeFrame, type Encoded } from '../../protocol/codecs/codec.js';
import { validateCommand, type CommandValidation } from '../../protocol/validation/validate-command.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { TimerWheel } from '../async/timer-wheel.js';
import type { TrafficCounts } from '../outbox/traffic.js';
import type { Turns } from '../async/turns.js';
import type { Clock } from '../ports/clock.js';
import type { Connection } from '../ports/connection.js';
import type { EngineSettings } from '../ports/settings.js';
import type { UnfinishedBytes, UnfinishedSender } from '../ports/transport-host.js';
import { structureOf } from '../ports/value-weight.js';
import type { CommandFlow } from './command-flow.js';
import type { InboundLimiter, LimitedSession } from './inbound-limiter.js';
import type { ReadingPause } from './reading-pause.js';
import { UnparsedFrames, type UnparsedFrame } from './unparsed-frames.js';

/** A larger frame waits if this turn of the event loop has taken long enough: so many clients may send one at the same moment. */
const SMALL_BYTES = 1024;
/** A larger one is paid before it is parsed: that may take a millisecond. */
const MEDIUM_BYTES = 4 * 1024;
/** A larger one waits behind the work of others. */
const LARGE_BYTES = 16 * 1024;
/** Most bytes of a piece that say how long it takes. */
const MAX_EXPECTED_BYTES = 64 * 1024;
/** Bytes that take about a millisecond, where nothing is known of them. */
const BYTES_PER_MS = 16 * 1024;
/** A larger frame is no `ping` or `pong`. */
const HEARTBEAT_BYTES = 256;
const HEARTBEAT = /"p[io]ng"/;
/** When a client whose frames find no turn may try again, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

export interface FrameReaderDeps {
  readonly settings: Pick<EngineSettings, 'limits' | 'handlerTimeoutMs'>;
  readonly clock: Clock;
  readonly wheel: Pick<TimerWheel, 'schedule'>;
  readonly turns: Turns;
  readonly journal: ThrottledLog;
  /** What came before `welcome`, or waits to be parsed, of all sessions. */
  readonly unfinished: UnfinishedBytes;
}

/** A session whose frames are parsed. */
export interface FrameSession extends LimitedSession, UnfinishedSender {
  readonly client: string;
  readonly network: string;
  readonly isClosed: boolean;
  /** Whether `hello` has yet to come. */
  readonly awaitsHello: boolean;
  readonly connection: Pick<Connection, 'variant'>;
  readonly outbox: { readonly traffic: Pick<TrafficCounts, 'framesIn' | 'bytesIn'> };
  readonly reading: Pick<
    ReadingPause,
    'throttle' | 'hold' | 'endHold' | 'holdWithin' | 'endHoldWithin' | 'holdMuch' | 'endHoldMuch'
  >;
  readonly inbound: InboundLimiter;
  readonly flow: Pick<CommandFlow, 'take'>;
  /** While there is some, what comes waits behind it. Only the {@link FrameReader} sets it. */
  unparsed: UnparsedFrames | undefined;
  /** Takes the first envelope. */
  greet(first: CommandValidation): void;
}

/**
 * Parses what clients send: a small frame at once, a larger one when its client has paid for what it sent before, in pieces, each in
 * a turn of the event loop where others wait too (G16). For all sessions, so that an idle one has no object for it.
 */
export class FrameReader {
  constructor(private readonly deps: FrameReaderDeps) {}

  read(session: FrameSession, frame: Encoded, size: number | undefined): void {
    const { limits } = this.deps.settings;
    const bytes = size ?? (typeof frame === 'string' ? Buffer.byteLength(frame) : frame.length);
    const { traffic } = session.outbox;
    traffic.framesIn++;
    traffic.bytesIn += bytes;
    // For a client that is not known yet the node parses one message, and no more.
    const max = session.awaitsHello ? limits.maxMessageBytes : limits.maxFrameBytes;
    if (bytes > max) return session.close('message_too_large');
    if (session.unparsed === undefined) {
      const isSmall = bytes <= SMALL_BYTES || (bytes <= MEDIUM_BYTES && !this.deps.turns.isOver(false));
      if (isSmall) return this.parseAtOnce(session, frame, bytes);
      this.defer(session);
    } else if (this.takeHeartbeat(session, frame, bytes)) {
      return;
    }
    if (session.unparsed?.pushFrame(frame, bytes) !== true) return session.close('protocol_error');
    this.run(session);
    holdBack(session);
  }

  /**
   * Part of a large message came. Where this turn of the event loop took long the rest of it is read in turns: of many clients that
   * send one at the same moment, else all that they sent would be read, put together and unmasked in one.
   */
  part(session: FrameSession): void {
    const { turns } = this.deps;
    if (session.isClosed || !turns.isOver(true) || !session.reading.holdWithin()) return;
    const onTurn = (): void => session.reading.endHoldWithin();
    if (!turns.add({ owner: session, isRead: true, onTurn })) session.close('overloaded', RETRY_AFTER_MS);
  }

  /**
   * Much came at once. Where this turn of the event loop took long, or others wait, it is parsed in turns: of many clients that send all
   * they can, else all that is in their sockets would be parsed in one.
   *
   * @returns whether it waits until `onTurn` is called.
   */
  much(session: FrameSession, bytes: number, onTurn: () => void): boolean {
    const { turns } = this.deps;
    const isRead = bytes > LARGE_BYTES;
    if (session.isClosed || !turns.isOver(isRead)) return false;
    const onMuchTurn = (): void => {
      onTurn();
      session.reading.endHoldMuch();
    };
    if (turns.add({ owner: session, isRead, onTurn: onMuchTurn })) {
      // A pong may be behind it: a client that is not read from is not silent (P8).
      session.reading.holdMuch();
      return true;
    }
    session.close('overloaded', RETRY_AFTER_MS);
    return false;
  }

  /** What comes from now on waits until {@link welcome}, or until it is parsed. */
  defer(session: FrameSession): void {
    if (session.unparsed !== undefined) return;
    const { unfinished, settings } = this.deps;
    session.unparsed = new UnparsedFrames(session, unfinished, settings.limits.maxEnvelopesPerFrame);
    if (session.isLive) session.unparsed.welcome();
  }

  /** Called after `welcome`: runs what waited for it, in its order (P3). */
  welcome(session: FrameSession): void {
    session.unparsed?.welcome();
    // Counted only now: until `welcome` nobody knows whose rate they belong to.
    for (const received of session.unparsed?.takeCommands() ?? []) {
      if (!session.isLive) return;
      session.flow.take(received, this.deps.clock.monotonic());
    }
    this.run(session);
  }

  private parseAtOnce(session: FrameSession, frame: Encoded, bytes: number): void {
    const { limits } = this.deps.settings;
    const values = decodeFrame(session.connection.variant.codec, frame, limits);
    if (typeof values === 'string') return session.close(values);
    const now = this.deps.clock.monotonic();
    const structures = values.map(structureOf);
    this.handle(
      session,
      values,
      structures,
      bytes,
      session.inbound.countFrame(bytes, structures, session, now),
      now,
    );
  }

  /** Parses what waits, until there is nothing, or it has to wait again. */
  private run(session: FrameSession): void {
    const { unparsed } = session;
    if (unparsed === undefined || unparsed.isBusy) return;
    while (session.isLive || session.awaitsHello) {
      const { next } = unparsed;
      if (next === undefined) return this.finish(session, unparsed);
      const now = this.deps.clock.monotonic();
      if (this.hasToPay(session, unparsed, next, now)) return;
      if (this.deps.turns.isOver(next.bytes > LARGE_BYTES, now))
        return this.awaitTurn(session, unparsed, next, now);
      this.parse(session, unparsed, next, now);
    }
  }

  private finish(session: FrameSession, unparsed: UnparsedFrames): void {
    if (!unparsed.isEmpty) return;
    session.unparsed = undefined;
    unparsed.end();
    session.reading.endHold();
  }

  /** Whether it waits until the client has paid for what it sent before, or others of its address for theirs. */
  private hasToPay(
    session: FrameSession,
    unparsed: UnparsedFrames,
    next: UnparsedFrame,
    now: number,
  ): boolean {
    const { inbound } = session;
    const ownMs = next.isBegun ? 0 : inbound.waitForRate(next.bytes, session, now);
    const waitMs = next.bytes <= MEDIUM_BYTES ? ownMs : Math.max(ownMs, inbound.parsingDebtMs(session, now));
    if (waitMs === 0) return false;
    unparsed.isBusy = true;
    // What a client owes itself is no reason to end it.
    if (ownMs > 0) {
      unparsed.waitsSince = now + ownMs;
      next.isOverRate = true;
    }
    this.watch(session, unparsed, now);
    session.reading.hold();
    unparsed.timer = this.deps.clock.schedule(Math.ceil(waitMs), () => {
      unparsed.isBusy = false;
      this.run(session);
    });
    return true;
  }

  private awaitTurn(session: FrameSession, unparsed: UnparsedFrames, next: UnparsedFrame, now: number): void {
    unparsed.isBusy = true;
    this.watch(session, unparsed, now);
    const onTurn = (): void => {
      unparsed.isBusy = false;
      if (session.isClosed) return;
      const at = this.deps.clock.monotonic();
      if (!this.hasToPay(session, unparsed, next, at)) {
        this.parse(session, unparsed, next, at);
        this.run(session);
      }
    };
    const isRead = next.bytes > LARGE_BYTES;
    const expectedMs = Math.min(next.bytes, MAX_EXPECTED_BYTES) / BYTES_PER_MS;
    if (!this.deps.turns.add({ owner: session, isRead, expectedMs, onTurn }))
      session.close('overloaded', RETRY_AFTER_MS);
    else holdBack(session);
  }

  private parse(
    session: FrameSession,
    unparsed: UnparsedFrames,
    next: UnparsedFrame,
    startedAt: number,
  ): void {
    const { clock, settings } = this.deps;
    // A session that its own `hello` makes live comes here again while that frame is being parsed.
    unparsed.isBusy = true;
    const problem = unparsed.parseNext(session.connection.variant.codec, settings.limits);
    if (problem !== undefined) session.close(problem);
    // The node may have ended it for what it holds.
    if (session.isClosed) return;
    const now = clock.monotonic();
    if (next.bytes > MEDIUM_BYTES) session.inbound.chargeParsing(now - startedAt, session, now);
    if (next.isParsed) {
      const { values, structures, bytes } = next;
      if (session.isLive && !unparsed.count(values.length)) return session.close('protocol_error');
      session.inbound.countFrame(bytes, structures, session, now, true);
      // No client sends so much of nothing.
      if (values.length === 0 && next.isOverRate) session.inbound.admit(undefined, bytes, session, now);
      this.handle(session, values, structures, bytes, 0, now);
    }
    unparsed.isBusy = false;
  }

  private handle(
    session: FrameSession,
    values: readonly unknown[],
    structures: readonly number[],
    bytes: number,
    overBytes: number,
    parsedAt: number,
  ): void {
    const share = Math.ceil(bytes / values.length);
    for (let index = 0; index < values.length; index++) {
      if (session.isClosed) return;
      const weight = share + (structures[index] as number);
      const received = { validation: validateCommand(values[index]), weight, overBytes };
      if (session.awaitsHello) session.greet(received.validation);
      // The work of those before it took time.
      else if (session.isLive)
        session.flow.take(received, index === 0 ? parsedAt : this.deps.clock.monotonic());
      else session.unparsed?.pushCommand(received);
    }
    holdBack(session);
  }

  /** A connection lives by these: they do not wait behind what its client has sent and the node has no time to parse. */
  private takeHeartbeat(session: FrameSession, frame: Encoded, bytes: number): boolean {
    if (!session.isLive || bytes > HEARTBEAT_BYTES) return false;
    if (typeof frame === 'string' && !HEARTBEAT.test(frame)) return false;
    const values = decodeFrame(session.connection.variant.codec, frame, this.deps.settings.limits);
    if (typeof values === 'string' || values.length === 0 || !values.every(isHeartbeat)) return false;
    const now = this.deps.clock.monotonic();
    this.handle(
      session,
      values,
      values.map(() => 0),
      bytes,
      session.inbound.countFrame(bytes, [0], session, now),
      now,
    );
    return true;
  }

  /** Ends it when the next frame has waited for others for as long as a handler may run. */
  private watch(session: FrameSession, unparsed: UnparsedFrames, now: number): void {
    unparsed.waitsSince ??= now;
    if (unparsed.deadline !== undefined) return;
    const { settings, wheel, clock } = this.deps;
    const onTimer = (): void => {
      unparsed.deadline = undefined;
      const { waitsSince } = unparsed;
      if (session.isClosed || waitsSince === undefined) return;
      const at = clock.monotonic();
      if (at - waitsSince >= settings.handlerTimeoutMs) this.giveUp(session);
      else this.watch(session, unparsed, at);
    };
    const leftMs = unparsed.waitsSince + settings.handlerTimeoutMs - now;
    unparsed.deadline = wheel.schedule(Math.max(0, leftMs), { onTimer });
  }

  private giveUp(session: FrameSession): void {
    const { journal, settings } = this.deps;
    journal.warn(
      'unparsed_frames',
      () =>
        `A connection of ${session.client} was closed with overloaded: a frame has waited ` +
        `${settings.handlerTimeoutMs} ms (handlerTimeout) to be parsed. Others, or other clients of its address, send more than this node has time for`,
      session.view.about,
    );
    session.close('overloaded', RETRY_AFTER_MS);
  }
}

/** Too much for now: reading pauses. */
function holdBack(session: FrameSession): void {
  if (session.unparsed?.isFull === true) session.reading.hold();
}

function isHeartbeat(value: unknown): boolean {
  const validation = validateCommand(value);
  return (
    'command' in validation && (validation.command.type === 'ping' || validation.command.type === 'pong')
  );
}
