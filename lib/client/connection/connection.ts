import { CLOSE_CODES, type CloseName } from '../../protocol/close-codes.js';
import type { Codec, Encoded } from '../../protocol/codecs/codec.js';
import type { HelloCommand } from '../../protocol/commands.js';
import { PROTOCOL_VERSION, type Envelope } from '../../protocol/envelope.js';
import type { FrameLimits } from '../../protocol/limits.js';
import type { ByePayload } from '../../protocol/messages.js';
import type { ClientClock, ClientTimer } from '../clock.js';
import { errorFromFrame } from '../errors.js';
import type { OpenTransport, Transport } from '../transport/transport.js';
import type { ConnectionEnd } from './reconnect-policy.js';
import { EarlyOutbox } from './early-outbox.js';
import { HeartbeatWatch } from './heartbeat-watch.js';
import { Outbox } from './outbox.js';
import { isDuration, readWelcome, recordOf, type Welcome } from './welcome.js';
import type { EarlyWire, Wire } from './wire.js';

/** What a connection needs. */
export interface ConnectionSetup {
  readonly open: OpenTransport;
  readonly protocols: readonly string[];
  readonly codec: Codec;
  readonly clock: ClientClock;
  readonly hello: HelloCommand['payload'];
  /** What may be sent behind `hello`, together with it; `undefined`: nothing before `welcome`. */
  readonly early: FrameLimits | undefined;
  readonly ids: () => string;
  /** From the start to `welcome`. */
  readonly timeoutMs: number;
}

/** What a connection tells. Nothing follows `ended`. */
export interface ConnectionEvents {
  /** `hello` is on its way, and more may be sent in its frame. */
  greeting(wire: EarlyWire): void;
  welcomed(welcome: Welcome, wire: Wire): void;
  /** Every message after `welcome` but `ping` and `bye`; before it, errors of commands that went with `hello`. */
  message(envelope: Envelope): void;
  /** Once, unless `leave` or `discard` was called before. */
  ended(end: ConnectionEnd): void;
  /** The server sent what is not protocol; the connection ends. */
  malformed(error: unknown): void;
}

/**
 * One attempt and what becomes of it: open, `hello`, `welcome`, live, end. It owns its timers and never outlives
 * its end, so nothing of an old connection can touch a new one.
 */
export class Connection {
  private readonly transport: Transport;
  private readonly helloId: string;
  private phase: 'opening' | 'greeting' | 'live' | 'ended' = 'opening';
  private opened = false;
  private welcome: Welcome | undefined;
  private timer: ClientTimer | undefined;
  private watch: HeartbeatWatch | undefined;
  private early: EarlyOutbox | undefined;
  private outbox: Outbox | undefined;
  private bye: ByePayload | undefined;
  private detail: string | undefined;
  private gone: (() => void) | undefined;

  constructor(
    private readonly setup: ConnectionSetup,
    private readonly events: ConnectionEvents,
  ) {
    this.helloId = setup.ids();
    this.timer = setup.clock.schedule(setup.timeoutMs, () =>
      this.fail('heartbeat_timeout', 1006, `No welcome within ${setup.timeoutMs} ms`),
    );
    try {
      this.transport = setup.open(setup.protocols, {
        opened: (protocol) => this.onOpen(protocol),
        frame: (frame) => this.onFrame(frame),
        closed: (code, reason) => this.onClosed(code, reason),
      });
    } catch (error) {
      this.timer.cancel();
      throw error;
    }
  }

  /** Leaves on purpose: `bye`, then close 1000. `gone` is called when the transport has closed. */
  leave(gone: () => void): void {
    this.gone = gone;
    if (this.phase === 'live') {
      this.outbox?.add({ type: 'bye', id: this.setup.ids() });
      this.outbox?.flush();
    }
    this.finish();
    this.transport.close(CLOSE_CODES.normal.code, 'normal');
  }

  private onOpen(protocol: string): void {
    if (this.phase !== 'opening') return;
    const { codec } = this.setup;
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
    const hello = codec.encode({ type: 'hello', id: this.helloId, payload: this.setup.hello });
    const { early } = this.setup;
    if (early === undefined) this.transport.send(hello);
    else this.events.greeting((this.early = new EarlyOutbox(codec, early, hello, this.write)));
  }

  private readonly write = (frame: Encoded): void => {
    if (!this.hasEnded()) this.transport.send(frame);
  };

  private onFrame(frame: Encoded): void {
    if (this.phase === 'opening' || this.phase === 'ended') return;
    this.watch?.sign();
    let values: unknown[];
    try {
      values = this.setup.codec.decode(frame);
    } catch (error) {
      this.events.malformed(error);
      // Reconnecting resumes; reading on could skip an event unnoticed (G3).
      this.fail('protocol_error', 1006, 'The server sent a frame that cannot be read');
      return;
    }
    for (const value of values) {
      // A handler may have closed the client.
      if (this.hasEnded()) return;
      if (isEnvelope(value)) this.onEnvelope(value);
    }
  }

  private onEnvelope(envelope: Envelope): void {
    switch (envelope.type) {
      case 'welcome':
        if (this.phase === 'greeting') this.onWelcome(envelope.payload);
        return;
      case 'ping':
        this.answerPing(envelope.id);
        return;
      case 'bye':
        this.onBye(envelope.payload);
        return;
      default:
        if (this.phase === 'live') this.events.message(envelope);
        else if (envelope.type === 'error') this.onEarlyError(envelope);
    }
  }

  /** The refusal of `hello`, or of a command that went with it. */
  private onEarlyError(envelope: Envelope): void {
    const { ref, payload } = envelope;
    if (ref === undefined || ref === this.helloId) this.detail = errorFromFrame(payload).message;
    else this.events.message(envelope);
  }

  private onWelcome(payload: unknown): void {
    const { clock, codec } = this.setup;
    const welcome = readWelcome(payload);
    if (welcome.version !== PROTOCOL_VERSION) {
      const detail = `The server chose version ${welcome.version}, which this client does not speak`;
      this.fail('unsupported_version', CLOSE_CODES.unsupported_version.code, detail);
      return;
    }
    this.timer?.cancel();
    this.phase = 'live';
    this.welcome = welcome;
    const outbox = new Outbox(codec, welcome.limits, this.write);
    this.outbox = outbox;
    this.watch = new HeartbeatWatch(clock, welcome.heartbeat, {
      doubt: () => outbox.add({ type: 'ping', id: this.setup.ids() }),
      dead: () => this.fail('heartbeat_timeout', 1006, 'Nothing was heard from the server'),
    });
    const isAccepting = (): boolean => this.phase === 'live' && this.bye === undefined;
    this.events.welcomed(welcome, {
      limits: welcome.limits,
      get accepting() {
        return isAccepting();
      },
      send: (envelope) => outbox.add(envelope),
    });
  }

  /** P8: each ping of the server is answered, and at once. */
  private answerPing(id: string | undefined): void {
    this.outbox?.add({ type: 'pong', ...(id === undefined ? {} : { ref: id }) });
  }

  private onBye(payload: unknown): void {
    const { code, retryAfterMs, spreadMs } = recordOf(payload);
    this.bye = {
      code: typeof code === 'number' ? code : CLOSE_CODES.drain.code,
      retryAfterMs: isDuration(retryAfterMs) ? retryAfterMs : 0,
      spreadMs: isDuration(spreadMs) ? spreadMs : 0,
    };
    // The server closes. Should it not, this client does not wait for ever on a connection that takes no commands.
    const { intervalMs = 0, timeoutMs = 0 } = this.welcome?.heartbeat ?? {};
    this.timer?.cancel();
    this.timer = this.setup.clock.schedule(Math.max(this.setup.timeoutMs, intervalMs + timeoutMs), () =>
      this.fail('drain', 1006, 'The server said bye and did not close'),
    );
  }

  private onClosed(code: number, reason: string): void {
    this.gone?.();
    this.end(code, reason);
  }

  /**
   * Ends a connection whose peer may no longer answer: without waiting for its close frame, which on a half-open
   * connection takes minutes.
   *
   * @param name What the server is told, should it listen.
   * @param code What the end counts as here.
   */
  private fail(name: CloseName, code: number, detail: string): void {
    this.detail = detail;
    this.transport.close(CLOSE_CODES[name].code, name);
    this.end(code, '');
  }

  private end(code: number, reason: string): void {
    if (this.hasEnded()) return;
    const { opened, early, bye, detail } = this;
    const welcomed = this.welcome !== undefined;
    this.finish();
    this.events.ended({
      code,
      reason,
      opened,
      welcomed,
      // A server that refused `hello` has said why.
      early: early?.isUsed === true && detail === undefined,
      ...(bye === undefined ? {} : { bye }),
      ...(detail === undefined ? {} : { detail }),
    });
  }

  private finish(): void {
    this.phase = 'ended';
    this.timer?.cancel();
    this.watch?.stop();
  }

  private hasEnded(): boolean {
    return this.phase === 'ended';
  }
}

/** P6: what is not an envelope, or of a type that a later version adds, is ignored. */
function isEnvelope(value: unknown): value is Envelope {
  return (
    typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string'
  );
}
