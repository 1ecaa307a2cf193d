import { UnfinishedMessages } from '../../../../lib/core/session/unfinished-messages.js';
import type { Encoded } from '../../../../lib/protocol/codecs/codec.js';
import type { Opening, Refusal, TransportHost } from '../../../../lib/core/ports/transport-host.js';
import {
  ACCEPTED,
  type Connection,
  type ConnectionHandler,
  type FrameVerdict,
  type Handshake,
} from '../../../../lib/core/ports/connection.js';
import type { Position } from '../../../../lib/protocol/position.js';
import type { Credentials, Verified } from '../../../../lib/core/ports/identity.js';

/** What the engine would keep of one client: here, everything that the transport told. */
export class FakeSession implements ConnectionHandler {
  client = '\n127.0.0.1';
  readonly frames: Encoded[] = [];
  readonly closes: number[] = [];
  readonly excess: number[] = [];
  drains = 0;
  parts = 0;
  /** Bytes of which the transport asked whether they must wait, and what it gave to be called for them. */
  readonly asked: number[] = [];
  readonly reads: (() => void)[] = [];
  /** Whether they must. */
  isBusy = false;
  onEachFrame: (frame: Encoded) => void = () => undefined;
  private readonly waiting: (() => void)[] = [];

  constructor(
    readonly connection: Connection,
    readonly opening: Opening,
  ) {}

  onFrame(frame: Encoded): FrameVerdict {
    this.frames.push(frame);
    this.wake();
    this.onEachFrame(frame);
    return ACCEPTED;
  }

  positions(): ReadonlyMap<string, Position> {
    return new Map<string, Position>();
  }

  onPart(): void {
    this.parts++;
  }

  onMuch(bytes: number, read: () => void): boolean {
    this.asked.push(bytes);
    if (!this.isBusy) return false;
    this.reads.push(read);
    this.wake();
    return true;
  }

  onRepeat(): number {
    return 0;
  }

  onExcess(waitMs: number): void {
    this.excess.push(waitMs);
    this.wake();
  }

  onDrain(): void {
    this.drains++;
    this.wake();
  }

  onClose(code: number): void {
    this.closes.push(code);
    this.wake();
  }

  /** Sends envelopes of text as the engine would. */
  send(...envelopes: string[]): boolean {
    return this.connection.write(
      this.connection.variant.frame(envelopes.map((envelope) => Buffer.from(envelope))),
    );
  }

  /** Resolves once `condition` holds; it is looked at whenever the transport calls. */
  async until(condition: (session: this) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

/** An engine that says yes, and remembers. */
export class FakeHost implements TransportHost {
  readonly nodeId = 'node-1';
  readonly nodes = undefined;
  readonly sessions: FakeSession[] = [];
  readonly asked: Credentials[] = [];
  readonly admitted: Handshake[] = [];
  readonly refused: [Refusal, ip: string][] = [];
  readonly requestsRefused: [status: number, ip: string][] = [];
  admit: (handshake: Handshake) => Refusal | undefined = (handshake) => {
    this.admitted.push(handshake);
    return undefined;
  };
  enter: TransportHost['enter'] = () => undefined;
  enterAtOnce: TransportHost['enterAtOnce'] = () => undefined;
  readonly left: Handshake[] = [];
  verify: (credentials: Credentials) => Promise<Partial<Verified>> = async ({ token }) => ({
    user: { id: token ?? '' },
  });
  onOpen: (session: FakeSession) => void = () => undefined;
  private readonly waiting: ((session: FakeSession) => void)[] = [];
  private taken = 0;

  /** Far above what any test of the transport sends; a test of the bound sets its own. */
  frames = { perSecond: 1e6, burst: 1e6, control: 1 };

  maxUnfinishedBytes = 32 * 1024 * 1024;
  /** Addresses of the connections that were ended to free memory. */
  readonly shed: string[] = [];

  readonly maxFirstBytes = 64 * 1024;

  constructor(readonly maxFrameBytes = 256 * 1024) {}

  get unfinished(): UnfinishedMessages {
    return new UnfinishedMessages(this.maxUnfinishedBytes, (ip) => this.shed.push(ip));
  }

  readonly relayed = new UnfinishedMessages(16 * 1024 * 1024);

  async authenticate(credentials: Credentials): Promise<Verified> {
    this.asked.push(credentials);
    return { endsAt: Infinity, ...(await this.verify(credentials)) };
  }

  leave(handshake: Handshake): void {
    this.left.push(handshake);
  }

  networkOf(ip: string): string {
    return ip;
  }

  onRequestRefused(status: number, ip: string): void {
    this.requestsRefused.push([status, ip]);
  }

  readonly erasedListeners: ((seqs: readonly number[]) => void)[] = [];

  onErased(listener: (seqs: readonly number[]) => void): void {
    this.erasedListeners.push(listener);
  }

  onRefused(refusal: Refusal, ip: string): void {
    this.refused.push([refusal, ip]);
  }

  open(connection: Connection, opening: Opening): ConnectionHandler {
    const session = new FakeSession(connection, opening);
    this.onOpen(session);
    this.sessions.push(session);
    this.waiting.shift()?.(session);
    return session;
  }

  /** The next connection that was opened and not yet asked for. */
  async next(): Promise<FakeSession> {
    const session = this.sessions[this.taken++];
    return session ?? new Promise((resolve) => this.waiting.push(resolve));
  }
}
