import type { Server } from 'node:http';

/** Kept on a handler that only refuses by now: called when another takes its path over. */
const YIELD = Symbol.for('nestjs-realtime.yield');
type Leaving = object & { [YIELD]?: (() => void) | undefined };

/** A path that was claimed on a server. */
export interface Claim {
  readonly handler: object;
  readonly release: () => void;
}

/**
 * Leaves paths whose handlers refuse everything from now on. They stay claimed until the server has closed, as it serves the
 * connections that are open until then: without a handler the application's 404 would be the answer, which a client takes for the word
 * that there is nothing. Another handler may claim them before that.
 */
export function leave(server: Server, claims: readonly Claim[]): void {
  const rest = new Set(claims);
  const release = (claim: Claim): void => {
    rest.delete(claim);
    delete (claim.handler as Leaving)[YIELD];
    claim.release();
    if (rest.size === 0) server.removeListener('close', releaseAll);
  };
  const releaseAll = (): void => {
    for (const claim of rest) release(claim);
  };
  server.on('close', releaseAll);
  for (const claim of claims) (claim.handler as Leaving)[YIELD] = () => release(claim);
  // No 'close' follows.
  if (!server.listening) server.getConnections((_error, count) => count === 0 && releaseAll());
}

/** Whether others may take the path of this handler over, who call {@link giveWay} then. */
export function isLeaving(handler: object | undefined): boolean {
  return (handler as Leaving | undefined)?.[YIELD] !== undefined;
}

/** The path of this handler has another one now. */
export function giveWay(handler: object | undefined): void {
  (handler as Leaving | undefined)?.[YIELD]?.();
}
