import { CLOSE_CODES, type CloseName } from '../../protocol/close-codes.js';
import type { Encoded } from '../../protocol/codecs/codec.js';
import { PROTOCOL_VERSION, type Envelope, type FrameLimits } from '../../protocol/envelope.js';
import type { ByePayload } from '../../protocol/messages.js';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import type { ClientTimer } from '../clock.js';
import { errorFromPayload } from '../errors.js';
import type { ClientSettings } from '../options.js';
import { durationOf, recordOf } from '../received.js';
import type { Counts, ErrorContext } from '../state.js';
import type { OpenTransport, Transport } from '../transport/websocket.js';
import { FrameBatcher, HelloFrame } from './frames.js';
import { readWelcome, type Greeting, type Welcome } from './handshake.js';
import { DOUBT_MS, HeartbeatWatch } from './heartbeat-watch.js';
import type { ConnectionEnd } from './reconnect-policy.js';

/** What a connection needs. `connectTimeoutMs` is from the start to `welcome`. */
export interface ServerConnectionDeps
  extends Greeting, Pick<ClientSettings, 'codec' | 'clock' | 'ids' | 'connectTimeoutMs'> {
  readonly open: OpenTransport;
  readonly url: string;
  readonly counts: Counts;
  /** The limits of what may be sent together with `hello`; `undefined`: nothing before `welcome`. */
  readonly early: FrameLimits | undefined;
}

/** What a connection reports. Nothing follows `ended`. */
export interface ServerConnectionEvents {
  /** `hello` waits to be sent in this turn, and commands may be added to its frame. */
  greeting(frame: HelloFrame): void;
  welcomed(welcome: Welcome, wire: Wire): void;
  /** Every message after `welcome` but `ping` and `bye`; before it, errors of commands that went with `hello`. */
  message(envelope: Envelope): void;
  /** Called once, unless `leave` was called before. */
  ended(end: ConnectionEnd): void;
  /** The server sent something that is not protocol; the connection ends. */
  error(error: unknown, source: ErrorContext['source']): void;
}

/** A welcomed connection, as the queues that send commands see it. */
export type Wire = Pick<ServerConnection, 'accepting' | 'send'>;

/**
 * One attempt to connect and the connection that it becomes: open, `hello`, `welcome`, live, end. It owns its timers and
 * never outlives its end, so nothing of an old connection can touch a new one.
 */
export class ServerConnection {
  private readonly transport: Transport;
  private readonly helloId: string;
  private phase: 'opening' | 'greeting' | 'live' | 'ended' = 'opening';
  private opened = false;
  private welcome: Welcome | undefined;
  private timer: ClientTimer | undefined;
  private watch: HeartbeatWatch | undefined;
  private helloFrame: HelloFrame | undefined;
  private batcher: FrameBatcher | undefined;
  private bye: ByePayload | undefined;
  private detail: string | undefined;
  private welcomeBy = 0;
  private helloAt = 0;
  private prompt = false;
  private onLeft: (() => void) | undefined;

  constructor(
    private readonly deps: ServerConnectionDeps,
    private readonly events: ServerConnectionEvents,
  ) {
    this.helloId = deps.ids();
    this.welcomeWithin(deps.connectTimeoutMs, false);
    try {
      this.transport = deps.open(deps.url, deps.protocols, {
        opened: (protocol) => this.onOpen(protocol),
        frame: (frame) => this.onFrame(frame),
        closed: (code, reason, failure) => {
          this.onLeft?.();
          this.end(code, reason, failure);
        },
      });
    } catch (error) {
      this.finish();
      throw error;
    }
  }

  /** Whether commands may be sent. False once the server said `bye`: it may never read them. */
  get accepting(): boolean {
    return this.phase === 'live' && this.bye === undefined;
  }

  /** Of the last ping, or of `hello`. */
  get roundTripMs(): number | undefined {
    return this.watch?.roundTripMs;
  }

  /**
   * Queues one envelope for the frame of this turn (P4).
   *
   * @throws RealtimeError `message_too_large` or `bad_request`; nothing is sent then.
   */
  send(envelope: Envelope): void {
    this.batcher?.add(envelope);
  }

  /**
   * The network, or the page, is not what it was: the connection has two seconds to prove itself. Otherwise it ends, and
   * the next attempt need not wait.
   */
  check(): void {
    this.watch?.check();
    const left = this.welcomeBy - this.deps.clock.monotonic();
    if (this.watch === undefined && left > DOUBT_MS) this.welcomeWithin(DOUBT_MS, true);
  }

  /** Leaves on purpose: `bye`, then close 1000. `onLeft` is called when the transport has closed. */
  leave(onLeft: () => void): void {
    this.onLeft = onLeft;
    if (this.phase === 'live') {
      this.send({ type: 'bye', id: this.deps.ids() });
      this.batcher?.flush();
    }
    this.finish();
    this.transport.close(CLOSE_CODES.normal.code, 'normal');
  }

  private welcomeWithin(delayMs: number, prompt: boolean): void {
    const { clock } = this.deps;
    this.timer?.cancel();
    this.welcomeBy = clock.monotonic() + delayMs;
    this.timer = clock.schedule(delayMs, () => {
      this.prompt = prompt;
      this.fail('heartbeat_timeout', 1006, `No welcome within ${delayMs} ms`);
    });
  }

  private onOpen(protocol: string): void {
    if (this.phase !== 'opening') return;
    const { codec, early, hello } = this.deps;
    this.opened = true;
    this.phase = 'greeting';
    if (protocol !== codec.subprotocol && !(protocol === '' && !codec.binary)) {
      this.fail(
        'unsupported_version',
        CLOSE_CODES.unsupported_version.code,
        `The server chose the subprotocol "${protocol}", not "${codec.subprotocol}": check the option "codec"`,
      );
      return;
    }
    const encoded = codec.encode({ type: 'hello', id: this.helloId, payload: hello });
    this.helloAt = this.deps.clock.monotonic();
    if (early === undefined) {
      this.write(encoded, 1);
      return;
    }
    this.helloFrame = new HelloFrame(codec, early, encoded, this.write);
    this.events.greeting(this.helloFrame);
  }

  private readonly write = (frame: Encoded, messages: number): void => {
    if (this.hasEnded()) return;
    this.deps.counts.sent += messages;
    this.transport.send(frame);
  };

  private onFrame(frame: Encoded): void {
    if (this.phase === 'opening' || this.phase === 'ended') return;
    this.watch?.heard();
    let values: unknown[];
    try {
      values = this.deps.codec.decode(frame);
    } catch (error) {
      this.events.error(error, 'protocol');
      // A reconnect resumes; to continue after the frame could skip an event unnoticed (G3).
      this.fail('protocol_error', 1006, 'The server sent a frame that cannot be read');
      return;
    }
    this.deps.counts.received += values.length;
    for (const value of values) {
      // A listener may have closed the client.
      if (this.hasEnded()) return;
      if (isEnvelope(value)) this.onEnvelope(value);
    }
  }

  private onEnvelope(envelope: Envelope): void {
    const { type, id, ref, payload } = envelope;
    switch (type) {
      case 'welcome':
        if (this.phase === 'greeting') this.onWelcome(readWelcome(payload));
        return;
      case 'ping':
        // Answered at once (P8).
        this.send(omitUndefined({ type: 'pong', ref: id }));
        return;
      case 'pong':
        this.watch?.answered(ref);
        break;
      case 'bye':
        this.onBye(payload);
        return;
    }
    // Before `welcome` an error refuses `hello`, or a command that went with it.
    if (this.phase !== 'live' && type !== 'error') return;
    if (this.phase === 'live' || (ref !== undefined && ref !== this.helloId)) this.events.message(envelope);
    else this.detail = errorFromPayload(payload).message;
  }

  private onWelcome(welcome: Welcome): void {
    const { clock, codec, ids } = this.deps;
    if (welcome.version !== PROTOCOL_VERSION) {
      const detail = `The server chose version ${welcome.version}, which this client does not speak: update the client`;
      this.fail('unsupported_version', CLOSE_CODES.unsupported_version.code, detail);
      return;
    }
    this.timer?.cancel();
    this.phase = 'live';
    this.welcome = welcome;
    this.batcher = new FrameBatcher(codec, welcome.limits, this.write);
    this.watch = new HeartbeatWatch(clock, welcome.heartbeat, {
      ping: () => {
        const id = ids();
        this.send({ type: 'ping', id });
        return id;
      },
      dead: (doubted) => {
        this.prompt = doubted;
        this.fail('heartbeat_timeout', 1006, 'Nothing was heard from the server');
      },
    });
    this.watch.roundTripMs = clock.monotonic() - this.helloAt;
    this.events.welcomed(welcome, this);
  }

  private onBye(payload: unknown): void {
    const { code, retryAfterMs, spreadMs } = recordOf(payload);
    this.bye = {
      code: typeof code === 'number' ? code : CLOSE_CODES.drain.code,
      retryAfterMs: durationOf(retryAfterMs) ?? 0,
      spreadMs: durationOf(spreadMs) ?? 0,
    };
    // The server closes next. If it does not, the client must not wait for ever on a connection that takes no commands.
    const { intervalMs = 0, timeoutMs = 0 } = this.welcome?.heartbeat ?? {};
    const { clock, connectTimeoutMs } = this.deps;
    this.timer?.cancel();
    this.timer = clock.schedule(Math.max(connectTimeoutMs, intervalMs + timeoutMs), () =>
      this.fail('drain', 1006, 'The server said bye and did not close'),
    );
  }

  /**
   * Ends a connection whose peer may no longer answer, without waiting for its close frame: on a half-open connection
   * that takes minutes.
   *
   * @param name Tells the server why, if it still listens.
   * @param code The close code that counts on this side.
   */
  private fail(name: CloseName, code: number, detail: string): void {
    this.detail = detail;
    this.transport.close(CLOSE_CODES[name].code, name);
    this.end(code, '');
  }

  private end(code: number, reason: string, failure?: string): void {
    if (this.hasEnded()) return;
    const { opened, helloFrame, bye, detail, prompt } = this;
    this.finish();
    this.events.ended(
      omitUndefined({
        code,
        reason,
        opened,
        welcomed: this.welcome !== undefined,
        // A server that refused `hello` said why.
        early: helloFrame?.isUsed === true && detail === undefined,
        bye,
        prompt,
        detail: detail ?? failure,
      }),
    );
  }

  private finish(): void {
    this.phase = 'ended';
    this.timer?.cancel();
    this.watch?.stop();
  }

  // A method, as the compiler does not know that a call in between may change `phase`.
  private hasEnded(): boolean {
    return this.phase === 'ended';
  }
}

/** Anything else, or a type that a later version adds, is ignored (P6). */
function isEnvelope(value: unknown): value is Envelope {
  return typeof recordOf(value)['type'] === 'string';
}
