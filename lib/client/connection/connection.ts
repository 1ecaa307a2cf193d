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
import { batchFrames, frameOfHello, type FrameBatcher, type HelloFrame } from './frames.js';
import { readWelcome, type Greeting, type Welcome } from './handshake.js';
import { DOUBT_MS, watchHeartbeat, type HeartbeatWatch } from './heartbeat-watch.js';
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
export interface Wire {
  /** Whether commands may be sent. False once the server said `bye`: it may never read them. */
  readonly accepting: boolean;
  /**
   * Queues one envelope for the frame of this turn (P4).
   *
   * @throws RealtimeError `message_too_large` or `bad_request`; nothing is sent then.
   */
  send(envelope: Envelope): void;
}

/** One attempt to connect, and the connection that it becomes. */
export interface ServerConnection extends Wire {
  /** Of the last ping, or of `hello`. */
  readonly roundTripMs: number | undefined;
  /**
   * The network, or the page, is not what it was: the connection has two seconds to prove itself. Otherwise it ends, and
   * the next attempt need not wait.
   */
  check(): void;
  /** Leaves on purpose: `bye`, then close 1000. `onLeft` is called when the transport has closed. */
  leave(onLeft: () => void): void;
}

type Phase = 'opening' | 'greeting' | 'live' | 'ended';

/**
 * One attempt to connect and the connection that it becomes: open, `hello`, `welcome`, live, end. It owns its timers and
 * never outlives its end, so nothing of an old connection can touch a new one.
 */
export function openConnection(deps: ServerConnectionDeps, events: ServerConnectionEvents): ServerConnection {
  const { clock, codec, counts, ids, connectTimeoutMs } = deps;
  const helloId = ids();
  let phase: Phase = 'opening';
  let opened = false;
  let welcome: Welcome | undefined;
  let timer: ClientTimer | undefined;
  let watch: HeartbeatWatch | undefined;
  let helloFrame: HelloFrame | undefined;
  let batcher: FrameBatcher | undefined;
  let bye: ByePayload | undefined;
  let detail: string | undefined;
  let welcomeBy = 0;
  let helloAt = 0;
  let roundTripMs: number | undefined;
  let prompt = false;
  let left = (): void => undefined;

  const connection: ServerConnection = {
    get accepting() {
      return is('live') && bye === undefined;
    },
    get roundTripMs() {
      return roundTripMs;
    },
    send,
    check() {
      watch?.check();
      if (watch === undefined && welcomeBy - clock.monotonic() > DOUBT_MS) welcomeWithin(DOUBT_MS, true);
    },
    leave(onLeft) {
      left = onLeft;
      if (is('live')) {
        send({ type: 'bye', id: ids() });
        batcher?.flush();
      }
      finish();
      transport.close(CLOSE_CODES.normal.code, 'normal');
    },
  };

  // A function, as the compiler does not know that a call in between may change `phase`.
  function is(expected: Phase): boolean {
    return phase === expected;
  }

  function send(envelope: Envelope): void {
    batcher?.add(envelope);
  }

  function write(frame: Encoded, messages: number): void {
    if (is('ended')) return;
    counts.sent += messages;
    transport.send(frame);
  }

  function failIn(delayMs: number, name: CloseName, why: string, isPrompt = false): void {
    timer?.cancel();
    timer = clock.schedule(delayMs, () => {
      prompt = isPrompt;
      fail(name, why);
    });
  }

  function welcomeWithin(delayMs: number, isPrompt: boolean): void {
    welcomeBy = clock.monotonic() + delayMs;
    failIn(delayMs, 'heartbeat_timeout', `No welcome within ${delayMs} ms`, isPrompt);
  }

  function onOpen(protocol: string): void {
    if (!is('opening')) return;
    opened = true;
    phase = 'greeting';
    if (protocol !== codec.subprotocol && !(protocol === '' && !codec.binary)) {
      fail(
        'unsupported_version',
        `The server chose "${protocol}", not "${codec.subprotocol}": check the option "codec"`,
      );
      return;
    }
    const hello = codec.encode({ type: 'hello', id: helloId, payload: deps.hello });
    helloAt = clock.monotonic();
    if (deps.early === undefined) {
      write(hello, 1);
      return;
    }
    helloFrame = frameOfHello(codec, deps.early, hello, write);
    events.greeting(helloFrame);
  }

  function onFrame(frame: Encoded): void {
    if (is('opening') || is('ended')) return;
    watch?.heard();
    let values: unknown[];
    try {
      values = codec.decode(frame);
    } catch (error) {
      events.error(error, 'protocol');
      // A reconnect resumes; to continue after the frame could skip an event unnoticed (G3).
      fail('protocol_error', 'A frame cannot be read');
      return;
    }
    counts.received += values.length;
    for (const value of values) {
      // A listener may have closed the client.
      if (is('ended')) return;
      // Anything else, or a type that a later version adds, is ignored (P6).
      if (typeof recordOf(value)['type'] === 'string') onEnvelope(value as Envelope);
    }
  }

  function onEnvelope(envelope: Envelope): void {
    const { type, id, ref, payload } = envelope;
    switch (type) {
      case 'welcome':
        if (is('greeting')) onWelcome(readWelcome(payload));
        return;
      case 'ping':
        // Answered at once (P8).
        send(omitUndefined({ type: 'pong', ref: id }));
        return;
      case 'pong':
        roundTripMs = watch?.answered(ref) ?? roundTripMs;
        break;
      case 'bye':
        onBye(payload);
        return;
    }
    // Before `welcome` an error refuses `hello`, or a command that went with it.
    const isLive = is('live');
    if (!isLive && type !== 'error') return;
    if (isLive || (ref !== undefined && ref !== helloId)) events.message(envelope);
    else detail = errorFromPayload(payload).message;
  }

  function onWelcome(received: Welcome): void {
    const { version, limits, heartbeat } = received;
    if (version !== PROTOCOL_VERSION) {
      fail('unsupported_version', `The server speaks version ${version}: update the client`);
      return;
    }
    timer?.cancel();
    phase = 'live';
    welcome = received;
    batcher = batchFrames(codec, limits, write);
    watch = watchHeartbeat(clock, heartbeat, {
      ping() {
        const id = ids();
        send({ type: 'ping', id });
        return id;
      },
      dead(doubted) {
        prompt = doubted;
        fail('heartbeat_timeout', 'The server is silent');
      },
    });
    roundTripMs = clock.monotonic() - helloAt;
    events.welcomed(received, connection);
  }

  function onBye(payload: unknown): void {
    const { code, retryAfterMs, spreadMs } = recordOf(payload);
    bye = {
      code: typeof code === 'number' ? code : CLOSE_CODES.drain.code,
      retryAfterMs: durationOf(retryAfterMs) ?? 0,
      spreadMs: durationOf(spreadMs) ?? 0,
    };
    // The server closes next. If it does not, the client must not wait for ever on a connection that takes no commands.
    const { intervalMs = 0, timeoutMs = 0 } = welcome?.heartbeat ?? {};
    failIn(
      Math.max(connectTimeoutMs, intervalMs + timeoutMs),
      'drain',
      'The server said bye and is still there',
    );
  }

  /**
   * Ends a connection whose peer may no longer answer, without waiting for its close frame: on a half-open connection
   * that takes minutes.
   *
   * @param name Tells the server why, if it still listens. On this side it counts as a connection that broke, unless no other
   * attempt could end otherwise.
   */
  function fail(name: CloseName, why: string): void {
    const { code } = CLOSE_CODES[name];
    detail = why;
    transport.close(code, name);
    end(name === 'unsupported_version' ? code : 1006, '');
  }

  function end(code: number, reason: string, failure?: string): void {
    if (is('ended')) return;
    finish();
    events.ended(
      omitUndefined({
        code,
        reason,
        opened,
        welcomed: welcome !== undefined,
        // A server that refused `hello` said why.
        early: helloFrame?.isUsed() === true && detail === undefined,
        bye,
        prompt,
        detail: detail ?? failure,
      }),
    );
  }

  function finish(): void {
    phase = 'ended';
    timer?.cancel();
    watch?.stop();
  }

  welcomeWithin(connectTimeoutMs, false);
  let transport: Transport;
  try {
    transport = deps.open(deps.url, deps.protocols, {
      opened: onOpen,
      frame: onFrame,
      closed(code, reason, failure) {
        left();
        end(code, reason, failure);
      },
    });
  } catch (error) {
    finish();
    throw error;
  }
  return connection;
}
