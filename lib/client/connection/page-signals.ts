/** Part of a page, or of what stands for one: workers have fewer of them, Node and React Native none. */
interface Target {
  addEventListener?(name: string, listener: (event: Signal) => void): void;
  removeEventListener?(name: string, listener: (event: Signal) => void): void;
}

interface Signal {
  /** Of `pageshow`: the page comes out of the browser's cache. */
  readonly persisted?: boolean;
}

interface Page extends Target {
  readonly document?: Target & { readonly visibilityState?: string };
  readonly navigator?: {
    readonly connection?: Target & { readonly type?: string; readonly effectiveType?: string };
  };
}

/**
 * Listens to what a page says about its network and its sleep.
 *
 * @param onSignal `lost`: the network is gone · `back`: there is a network, another one, or the page is in use again.
 * @returns Removes the listeners.
 */
export function watchPage(onSignal: (signal: 'lost' | 'back') => void): () => void {
  const page = globalThis as Page;
  const { document, navigator } = page;
  const connection = navigator?.connection;
  const removals: (() => void)[] = [];
  const listen = (target: Target | undefined, name: string, listener: (event: Signal) => void): void => {
    target?.addEventListener?.(name, listener);
    removals.push(() => target?.removeEventListener?.(name, listener));
  };
  const back = (): void => onSignal('back');
  const network = (): string => `${connection?.type} ${connection?.effectiveType}`;
  let last = network();

  listen(page, 'offline', () => onSignal('lost'));
  listen(page, 'online', back);
  listen(page, 'pageshow', ({ persisted }) => {
    // Every page is shown once when it loads.
    if (persisted === true) back();
  });
  listen(document, 'resume', back);
  listen(document, 'visibilitychange', () => {
    if (document?.visibilityState === 'visible') back();
  });
  listen(connection, 'change', () => {
    // It also fires for each new estimate of the speed.
    if (last === (last = network())) return;
    back();
  });
  return () => {
    for (const remove of removals) remove();
  };
}
