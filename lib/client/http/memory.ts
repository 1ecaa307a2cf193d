import { type TransportName } from '../transport/fallback.js';

/** The part of `localStorage` that remembers a transport for the next page. */
export interface TransportStore {
  /** What is kept under the key; `null` for nothing. */
  getItem(key: string): string | null;
  /** Keeps a text of at most 60 characters. */
  setItem(key: string, value: string): void;
  /** Forgets it. */
  removeItem(key: string): void;
}

/** A store, or what gives it: to read `localStorage` throws in a page that may not store anything. */
export type Remember = TransportStore | (() => TransportStore | null | undefined) | null;

const KEY = 'nestjs-realtime.transport';
/** How long an entry holds, in milliseconds: then a network that was mended is tried from the top. */
const HOLDS_MS = 3_600_000;

/**
 * The transport that worked in the last page, as a place to begin at and for nothing else. One entry of at most 60 characters. A store
 * that throws, or has something else, is as none.
 */
export class TransportMemory {
  private isRead = false;
  /** What the entry names, as far as this page knows. */
  private kept: TransportName | undefined;

  /** @param wallMs the time that pages share. */
  constructor(
    private readonly remember: Remember | undefined,
    private readonly wallMs: () => number = Date.now,
  ) {}

  /** What worked before in this network; `undefined` from the second time on. */
  read(network: string): TransportName | undefined {
    if (this.isRead) return undefined;
    this.isRead = true;
    let entry: unknown;
    this.use((store) => (entry = store.getItem(KEY)));
    const [, name, until, where] = /^1 (sse|polling) (\d{1,15}) (\w{0,20})$/.exec(String(entry)) ?? [];
    const leftMs = Number(until) - this.wallMs();
    // More than that is of a clock that was set back.
    if (where !== network || !(leftMs > 0 && leftMs <= HOLDS_MS)) return undefined;
    return (this.kept = name as TransportName);
  }

  /** This transport works. An entry that names it keeps its end, so that better ones are tried again. */
  works(name: TransportName, isBest: boolean, network: string): void {
    if (name === this.kept) return;
    if (isBest) return this.forget();
    this.kept = name;
    this.use((store) => store.setItem(KEY, `1 ${name} ${this.wallMs() + HOLDS_MS} ${network}`));
  }

  forget(): void {
    if (this.kept === undefined) return;
    this.kept = undefined;
    this.use((store) => store.removeItem(KEY));
  }

  private use(step: (store: TransportStore) => unknown): void {
    const { remember } = this;
    try {
      const store = typeof remember === 'function' ? remember() : remember;
      // Also one whose methods are asynchronous, against their types.
      if (store) void Promise.resolve(step(store)).catch(() => undefined);
    } catch {
      // It is only a hint.
    }
  }
}
