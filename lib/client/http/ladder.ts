import { offerSubprotocols } from '../../protocol/subprotocol.js';
import type { ClientTimer } from '../clock.js';
import type { ConnectionEnd } from '../connection/reconnect-policy.js';
import type { Ladder, LadderDeps, Route, TransportName } from '../transport/fallback.js';
import { probe, type ProbeAnswer } from '../transport/probe.js';
import type { OpenTransport } from '../transport/websocket.js';
import { Climb, type ReadySocket } from './climb.js';
import { hasFewConnections, isHidden, networkOf, watchNetwork, watchVisibility } from './page.js';
import { startPolls } from './poll.js';
import { TransportMemory, type Remember } from './memory.js';
import { below, type HttpDeps } from './request.js';
import { HttpSession, type Blame } from './session.js';
import { SessionCodec } from './session-codec.js';
import { openSocket } from './socket-rung.js';
import { startStream } from './sse.js';
import { tryStream } from './stream-trial.js';

/** Proven failures, one after the other, that end the use of a transport in this network. */
const ENOUGH = 2;
/** How long a session that a hidden page released waits by itself: until it is shown, in practice. */
const REST_MS = 3_600_000;
/** Part of `connectTimeoutMs` in which an event stream must bring something. */
const FIRST_PART = 0.5;
const NO_FETCH = 'There is no fetch here: pass one, httpFallback({ fetch })';

/** The settings of a ladder. */
export interface LadderOptions extends Pick<HttpDeps, 'fetch'> {
  /** `undefined`: whichever works. */
  readonly credentials: HttpDeps['credentials'] | undefined;
  readonly hasFetch: () => boolean;
  /** Best first. */
  readonly transports: readonly TransportName[];
  readonly climbAfterMs: number;
  readonly hiddenAfterMs: number;
  readonly remember: Remember | undefined;
}

/**
 * Which transport each attempt uses: the best that works in this network. It goes down only where the server answers other requests
 * and the transport fails, and tries to come up again in the background.
 */
export class TransportLadder implements Ladder {
  /** Transports that will never work in this page. */
  private readonly impossible = new Set<TransportName>();
  /** The transport in use: an index of `transports`. */
  private index = 0;
  private failures = 0;
  /** Whether the server may be asked with cookies. */
  private credentials: HttpDeps['credentials'];
  /** How each transport failed last, since one worked. */
  private readonly reasons = new Map<TransportName, string>();
  /** What was told already, since a transport worked. */
  private readonly told = new Set<string>();
  /** What is known of the attempt under way. */
  private blame: Blame | undefined;
  /** The network of the last look; `undefined` without one. */
  private network: string | undefined;
  private isOtherNetwork = false;
  private readonly climb: Climb;
  /** What worked in the page before. */
  private readonly memory: TransportMemory;
  /** The transport in use is what that says, and has not worked yet. */
  private isGuess = false;
  /** The next attempt is a try of a better transport. */
  private try: { readonly index: number; readonly socket: ReadySocket | undefined } | undefined;
  /** Where the try under way came from: it returns there at once when it fails. */
  private triedFrom: number | undefined;
  /** A socket that was opened beside a session, for the attempt that begins. */
  private ready: ReadySocket | undefined;
  /** Told when the network is another one while a session over HTTP is live. */
  private onNetworkOfLive: (() => void) | undefined;
  /** Ends what belongs to the connection that is live. */
  private readonly cleanups: (() => void)[] = [];
  /** Of the last socket. */
  private unwatchPolicy: (() => void) | undefined;
  /** Ends the wait for a hidden page to be shown. */
  private endRest: (() => void) | undefined;

  constructor(
    private readonly deps: LadderDeps,
    private readonly options: LadderOptions,
  ) {
    const { clock, random, connectTimeoutMs } = deps;
    this.credentials = options.credentials ?? 'include';
    this.memory = new TransportMemory(options.remember);
    this.climb = new Climb({
      clock,
      random,
      afterMs: options.climbAfterMs,
      limitMs: connectTimeoutMs / 2,
      openSocket: deps.open,
      protocols: () => this.offer(),
    });
  }

  choose(): Route {
    this.endRest?.();
    this.unwatchPolicy?.();
    this.unwatchPolicy = undefined;
    this.cleanUp();
    this.blame = undefined;
    this.begin();
    const transport = this.current;
    if (this.deps.network) this.cleanups.push(watchNetwork(() => this.onNetwork()));
    if (transport === 'websocket') return { transport, codec: this.deps.codec, open: this.openSocket };
    if (!this.options.hasFetch()) throw new TypeError(NO_FETCH);
    const codec = new SessionCodec();
    return { transport, codec, open: this.sessionOpener(transport, codec) };
  }

  ended(end: ConnectionEnd, answer?: ProbeAnswer, reason = 'no reason is known'): void {
    const { triedFrom } = this;
    if (end.welcomed) {
      this.reasons.clear();
      this.told.clear();
    } else {
      this.reasons.set(this.current, reason);
      // Nothing can be proven without it, and nothing else used.
      if (!end.opened && !this.options.hasFetch()) this.tell(NO_FETCH);
    }
    const blame = this.blameFor(end, answer);
    this.cleanUp();
    this.ready = this.triedFrom = undefined;
    if (networkOf() === undefined) this.network = undefined;
    if (end.welcomed) {
      this.failures = 0;
      if (triedFrom !== undefined) this.climb.reset();
    } else if (triedFrom !== undefined) {
      this.climb.failed(true);
      this.move(triedFrom, `${this.current} still does not work`);
    } else if (this.isGuess && blame !== 'unproven') {
      this.isGuess = false;
      this.memory.forget();
      this.move(this.first(), `${this.current} worked before, and does not now`);
    } else if (blame === 'unproven') {
      this.failures = 0;
    } else if (blame === 'impossible' || blame === 'blocked' || ++this.failures >= ENOUGH) {
      this.skip();
    }
  }

  needed(): void {
    if (this.endRest === undefined) return;
    this.endRest();
    this.deps.retryNow();
  }

  private get current(): TransportName {
    return this.options.transports[this.index] ?? 'websocket';
  }

  /** Moves to the transport of the attempt that begins. */
  private begin(): void {
    const { try: planned } = this;
    this.try = undefined;
    this.lookAtNetwork();
    if (planned !== undefined && planned.socket?.isClosed !== true) {
      this.triedFrom = this.index;
      this.ready = planned.socket;
      this.move(planned.index, 'a better transport is tried');
    } else if (this.isOtherNetwork) {
      const hasNone = this.current === 'websocket' && this.isMissing('websocket');
      const before = this.memory.read(this.network ?? '');
      this.move(this.first(), hasNone ? 'there is no WebSocket here' : 'the network is another one');
      this.beginAt(before);
    } else if (this.isMissing(this.current)) {
      this.skip();
    }
    this.isOtherNetwork = false;
  }

  /** Begins at what worked in the page before, where that is a lesser one. */
  private beginAt(before: TransportName | undefined): void {
    const index = this.options.transports.findIndex((name) => name === before);
    this.isGuess = index > this.index;
    if (this.isGuess) this.move(index, 'it worked in this network before');
  }

  private works(): void {
    this.isGuess = false;
    this.memory.works(this.current, this.index <= this.first(), this.network ?? '');
  }

  /** The best transport that this page has. */
  private first(): number {
    return Math.max(
      0,
      this.options.transports.findIndex((name) => !this.isMissing(name)),
    );
  }

  private blameFor({ opened, code }: ConnectionEnd, answer: ProbeAnswer | undefined): Blame {
    if (this.blame !== undefined) return this.blame;
    // The client asked itself why a socket did not open.
    const isSocket = this.current === 'websocket' && !opened && code < 4_000;
    return isSocket && answer?.kind === 'open' ? 'broken' : 'unproven';
  }

  /** Goes to the next transport; behind the last one begins again with the first. */
  private skip(): void {
    const next = this.options.transports.findIndex(
      (name, index) => index > this.index && !this.isMissing(name),
    );
    if (next === -1) {
      const all = [...this.reasons].map(([name, reason]) => `${name} (${reason})`);
      this.tell('No transport works here: ', all.join(', '));
    }
    this.move(next === -1 ? this.first() : next, `${this.current} does not work here`);
  }

  /** Tells the application of a fault, once. */
  private tell(what: string, more = ''): void {
    if (this.told.has(what)) return;
    this.told.add(what);
    this.deps.report(what + more);
  }

  private move(index: number, why: string): void {
    this.failures = 0;
    if (index === this.index) return;
    this.index = index;
    this.deps.log('info', `The next attempt uses ${this.current}: ${why}`);
  }

  private isMissing(name: TransportName): boolean {
    if (this.impossible.has(name)) return true;
    const isThere = this.deps.webSocket !== undefined || 'WebSocket' in globalThis;
    return name === 'websocket' && !isThere && this.options.transports.length > 1;
  }

  private readonly onFailure = (blame: Blame): void => {
    this.blame = blame;
    if (blame === 'impossible') this.impossible.add(this.current);
  };

  private readonly isThere = async (url: string): Promise<boolean> => {
    const { fetch, clock, connectTimeoutMs } = this.deps;
    if (fetch === false) return false;
    const { kind } = await probe(fetch, url.replace(/^ws/i, 'http'), undefined, clock, connectTimeoutMs)
      .answer;
    // This server refuses in its own form: it may ask for the token that this question does not have.
    return kind === 'open' || kind === 'refused';
  };

  private readonly openSocket: OpenTransport = (url, protocols, events) => {
    const { open, clock, connectTimeoutMs } = this.deps;
    const { ready } = this;
    this.ready = undefined;
    return openSocket(
      {
        open: ready === undefined ? open : (_url, _protocols, own) => ready.adopt(own),
        clock,
        connectTimeoutMs,
        isThere: this.isThere,
        onWorks: () => this.works(),
        onFailure: (blame) => {
          if (blame === 'broken') this.climb.suspect();
          this.onFailure(blame);
        },
        // Told late, perhaps when the attempt is over.
        onBlocked: () => {
          this.impossible.add('websocket');
          this.blame = 'impossible';
        },
        onEnd: (unwatch) => {
          this.cleanUp();
          this.unwatchPolicy = unwatch;
        },
      },
      url,
      protocols,
      events,
    );
  };

  private sessionOpener(transport: TransportName, codec: SessionCodec): OpenTransport {
    const { clock, random, connectTimeoutMs } = this.deps;
    const { fetch } = this.options;
    const { credentials } = this;
    const carrier =
      transport === 'sse'
        ? ({ path: 'sse', start: startStream } as const)
        : ({ path: 'poll', start: startPolls } as const);
    return (url, protocols, events) =>
      new HttpSession(
        {
          ...carrier,
          codec,
          clock,
          random,
          fetch,
          credentials,
          firstLimitMs: connectTimeoutMs * FIRST_PART,
          requestLimitMs: connectTimeoutMs,
          isThere: this.isThere,
          onWelcome: (session) => this.onWelcome(url, session),
          onFailure: this.onFailure,
          // The first one may be of a server that is being replaced.
          onMissing: (why) => {
            if (this.failures >= ENOUGH - 1) this.deps.report(why);
          },
          onUnreadable: () => {
            if (this.options.credentials === undefined) this.credentials = 'omit';
            return this.credentials === 'omit';
          },
          onEnd: () => this.cleanUp(),
        },
        url,
        protocols,
        events,
      );
  }

  /** A session over HTTP is live. */
  private onWelcome(url: string, session: HttpSession): void {
    this.works();
    if (this.triedFrom !== undefined) this.climb.reset();
    this.planClimb(url, session, false);
    if (this.deps.network) this.releaseWhenHidden(url, session);
    this.onNetworkOfLive = () => this.planClimb(url, session, true);
    this.cleanups.push(() => {
      this.climb.stop();
      this.onNetworkOfLive = undefined;
    });
  }

  private planClimb(url: string, session: HttpSession, soon: boolean): void {
    const better = this.options.transports.filter(
      (name, index) => index < this.index && !this.impossible.has(name),
    );
    if (better.length === 0) return;
    this.climb.plan(soon, () => {
      const next = (): void => {
        if (better.includes('sse')) this.tryStream(url, session);
        else this.again(url, session);
      };
      if (!better.includes('websocket') || this.isMissing('websocket')) return next();
      this.climb.trySocket(url, (socket) => {
        if (socket === undefined) return next();
        this.handOver(url, session, 'websocket', socket);
      });
    });
  }

  /** The session stands until a stream got through beside it. */
  private tryStream(url: string, session: HttpSession): void {
    const { clock, connectTimeoutMs } = this.deps;
    const { credentials } = this;
    const deps = { fetch: this.options.fetch, clock, credentials };
    const end = tryStream(deps, below(url, 'sse'), connectTimeoutMs * FIRST_PART, (gotThrough) => {
      if (gotThrough) this.handOver(url, session, 'sse');
      else this.again(url, session);
    });
    this.climb.onStop(end);
  }

  private again(url: string, session: HttpSession): void {
    this.climb.failed();
    this.planClimb(url, session, false);
  }

  private handOver(url: string, session: HttpSession, to: TransportName, socket?: ReadySocket): void {
    let isUsed = false;
    const drop = (): void => {
      if (!isUsed) socket?.drop();
      isUsed = true;
    };
    const again = (): void => this.again(url, session);
    const run = (): void => {
      if (socket?.isClosed === true) return again();
      session.handOver(0, `A better transport is tried: ${to}`, () => {
        isUsed = true;
        this.try = { index: this.options.transports.indexOf(to), socket };
      });
    };
    let end = (): void => undefined;
    // The session may end by itself first, or another try begin.
    this.climb.onStop(() => {
      end();
      drop();
    });
    end = session.whenCalm(run, again);
  }

  private releaseWhenHidden(url: string, session: HttpSession): void {
    const { clock, retryNow } = this.deps;
    const { hiddenAfterMs } = this.options;
    let timer: ClientTimer | undefined;
    let endWait: (() => void) | undefined;
    const rest = (): void =>
      session.handOver(
        REST_MS,
        'The page is hidden, and leaves its connection to others until it is shown',
        () => {
          const unwatch = watchVisibility(() => {
            if (isHidden()) return;
            this.endRest?.();
            retryNow();
          });
          this.endRest = () => {
            unwatch();
            this.endRest = undefined;
          };
        },
      );
    const release = (): void => {
      if (!isHidden() || !hasFewConnections(url)) return;
      endWait = session.whenCalm(rest, later);
    };
    const later = (): void => {
      timer = clock.schedule(hiddenAfterMs, release);
    };
    const onVisibility = (): void => {
      timer?.cancel();
      endWait?.();
      if (isHidden()) later();
    };
    const unwatch = watchVisibility(onVisibility);
    this.cleanups.push(() => {
      timer?.cancel();
      unwatch();
    });
    onVisibility();
  }

  private onNetwork(): void {
    if (this.lookAtNetwork()) this.onNetworkOfLive?.();
  }

  /** What worked is remembered for the network in which it did. @returns Whether it is another one now. */
  private lookAtNetwork(): boolean {
    const now = networkOf();
    const isOther = now !== this.network && now !== undefined;
    this.network = now;
    if (!isOther) return false;
    this.climb.forget();
    this.failures = 0;
    this.isOtherNetwork = true;
    return true;
  }

  private async offer(): Promise<readonly string[]> {
    const { codec, tokenIn, token } = this.deps;
    const taken = tokenIn === 'subprotocol' ? await token() : undefined;
    return offerSubprotocols(codec, taken?.token);
  }

  private cleanUp(): void {
    for (const clean of this.cleanups.splice(0)) clean();
  }
}
