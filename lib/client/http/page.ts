/** What of a page the ladder looks at. Workers have less, Node nothing. */
interface Page extends Partial<EventTarget> {
  readonly document?: EventTarget & { readonly visibilityState?: string };
  readonly navigator?: {
    readonly onLine?: boolean;
    readonly connection?: Partial<EventTarget> & { readonly type?: string };
  };
  readonly location?: { readonly origin?: string };
  readonly performance?: {
    getEntriesByType?(type: string): readonly { readonly name?: string; readonly nextHopProtocol?: string }[];
  };
}

const page = (): Page => globalThis;

/** Whether the page cannot be seen. */
export function isHidden(): boolean {
  return page().document?.visibilityState === 'hidden';
}

/** Calls `onChange` when the page is hidden or shown. @returns Ends it. */
export function watchVisibility(onChange: () => void): () => void {
  const { document } = page();
  document?.addEventListener('visibilitychange', onChange);
  return () => document?.removeEventListener('visibilitychange', onChange);
}

/** The network as far as the page knows it: what changes with it is another one. `undefined` while there is none. */
export function networkOf(): string | undefined {
  const { navigator } = page();
  return navigator?.onLine === false ? undefined : (navigator?.connection?.type ?? '');
}

/** Calls `onChange` when the network may be another one. @returns Ends it. */
export function watchNetwork(onChange: () => void): () => void {
  const target = page();
  const { connection } = target.navigator ?? {};
  target.addEventListener?.('offline', onChange);
  target.addEventListener?.('online', onChange);
  connection?.addEventListener?.('change', onChange);
  return () => {
    target.removeEventListener?.('offline', onChange);
    target.removeEventListener?.('online', onChange);
    connection?.removeEventListener?.('change', onChange);
  };
}

/**
 * Whether requests to the server go by HTTP/1.1, of which a browser opens six connections to a server, for all of its tabs together.
 *
 * @param url Of the server, `ws(s)` or `http(s)`.
 */
export function hasFewConnections(url: string): boolean {
  const { performance, location } = page();
  const origin = originOf(url);
  const entries = (type: string) => performance?.getEntriesByType?.(type) ?? [];
  const request =
    entries('resource')
      .filter(({ name = '' }) => name.startsWith(`${origin}/`))
      .at(-1) ?? (location?.origin === origin ? entries('navigation')[0] : undefined);
  // A page may not read it of every other origin. Without TLS no browser speaks anything else.
  const protocol = request?.nextHopProtocol || '';
  return protocol === '' ? /^http:/i.test(origin) : protocol.startsWith('http/1');
}

/** Whether this is a page, or a worker of one, of another origin than the server's. */
export function isForeign(url: string): boolean {
  const { origin } = page().location ?? {};
  return origin !== undefined && origin !== originOf(url);
}

/** As `location.origin` has it. */
function originOf(url: string): string {
  const [origin = url] = /^https?:\/\/[^/?#]+/i.exec(url.replace(/^ws/i, 'http')) ?? [];
  return origin;
}
