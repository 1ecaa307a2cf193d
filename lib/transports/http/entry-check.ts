import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/ports/clock.js';
import type { Handshake } from '../../core/ports/connection.js';
import { attempt, isPromise, type MaybePromise } from '../../core/ports/maybe-promise.js';
import { LEAVING, type Opening, type Refusal, type TransportHost } from '../../core/ports/transport-host.js';
import { anonymousOf } from '../../core/ports/user-id.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { AcceptedHandshake, Purpose } from './handshake-policy.js';
import { refusalOf, TRY_LATER } from './refusal.js';

/** What a check needs. */
export interface EntryCheckSettings {
  readonly clock: Clock;
  readonly handshakeTimeoutMs: number;
  readonly onError: (error: unknown) => void;
}

/** The client of a request. */
export interface Applicant {
  readonly socket: Duplex;
  /** Bytes of the request, as far as they are kept while it waits. */
  readonly bytes: number;
  /** The socket of a probe belongs to the HTTP server, which reads it. */
  readonly purpose: Purpose;
}

/**
 * The way of an accepted request to its connection: its turn among the new connections of its address, and the verification of
 * the credentials that came with it. Bounded in time: an authenticator that hangs holds a socket for no longer than the timeout.
 * How many may wait or be verified is the host's to say, whose bound covers the tokens of `hello` and `auth` too (G16).
 */
export class EntryCheck {
  private readonly pending = new Set<(outcome: Refusal) => void>();

  constructor(
    private readonly host: TransportHost,
    private readonly settings: EntryCheckSettings,
  ) {}

  /** Synchronous when nothing has to be waited for. Neither throws nor rejects. */
  run(request: AcceptedHandshake, applicant: Applicant): MaybePromise<Opening | Refusal> {
    const outcome = attempt(
      () =>
        applicant.purpose === 'probe'
          ? this.host.enterAtOnce(request.handshake)
          : this.host.enter(request.handshake, applicant.bytes, request.ticket),
      (refusal) => refusal ?? this.verify(request),
      (error) => this.refuse(error),
    );
    return isPromise(outcome) ? this.follow(outcome, request.handshake, applicant) : outcome;
  }

  private verify({ credentials }: AcceptedHandshake): MaybePromise<Opening | Refusal> {
    if (credentials === undefined) return {};
    return attempt<Opening['authentication'], Opening | Refusal>(
      () => this.host.authenticate(credentials),
      (authentication) => ({ authentication, token: credentials.token }),
      (error) => this.refuse(error),
    );
  }

  private follow(
    work: Promise<Opening | Refusal>,
    handshake: Handshake,
    { socket, bytes, purpose }: Applicant,
  ): Promise<Opening | Refusal> {
    const { clock, handshakeTimeoutMs } = this.settings;
    const { network } = handshake;
    const sender = { network, client: anonymousOf(network), shed: () => socket.destroy() };
    const { unfinished } = this.host;
    // A client should wait for the answer before it sends more (RFC 6455 §4.1). What it sends nevertheless stays in the socket.
    const onReadable = (): void => unfinished.note(sender, bytes + socket.readableLength);
    const leave = (): unknown => socket.destroy();
    return new Promise((resolve) => {
      const settle = (outcome: Opening | Refusal): void => {
        timer.cancel();
        this.pending.delete(settle);
        socket.removeListener('close', onGone);
        if (purpose === 'upgrade') socket.removeListener('readable', onReadable).removeListener('end', leave);
        unfinished.note(sender, 0);
        // Where it was not for its turn or its verification that the wait is over.
        this.host.leave(handshake);
        resolve(outcome);
      };
      const onGone = (): void => settle(TRY_LATER);
      const timer = clock.schedule(handshakeTimeoutMs, () => settle(TRY_LATER));
      this.pending.add(settle);
      socket.on('close', onGone);
      if (purpose === 'upgrade') socket.on('readable', onReadable).on('end', leave);
      work.then(settle, (error: unknown) => settle(this.refuse(error)));
    });
  }

  /** Refuses what is still under way. */
  close(): void {
    for (const settle of this.pending) settle(LEAVING);
  }

  private refuse(error: unknown): Refusal {
    if (error instanceof RealtimeError) return refusalOf(error);
    this.settings.onError(error);
    return TRY_LATER;
  }
}
