import type { Server } from 'node:http';
import type { Clock } from '../../core/ports/clock.js';
import type { EngineLogger } from '../../core/ports/logger.js';
import { compileTrust, type TrustProxy } from '../../transports/http/client-address.js';

/** How long most proxies and load balancers keep an idle connection to a node, in milliseconds: nginx, AWS ALB. */
export const USUAL_REUSE_MS = 60_000;
/** After it listens: `main.ts` may set the time behind `app.listen()`. */
const LOOK_AFTER_MS = 1_000;

/** What to write in `main.ts`. */
export const KEEP_ALIVE_REMEDY = 'app.getHttpServer().keepAliveTimeout = 65_000';

/** Whether the server ends idle connections that a proxy may use in that moment: it then answers with 502. 0 is for never. */
export function endsTooSoon(keepAliveMs: number): boolean {
  return keepAliveMs > 0 && keepAliveMs <= USUAL_REUSE_MS;
}

/** Warns once the server listens, where the options name a proxy. A server of HTTP/2 has no such time. */
export function warnOfKeepAlive(
  server: Server,
  trustProxy: TrustProxy | undefined,
  clock: Pick<Clock, 'schedule'>,
  logger: Pick<EngineLogger, 'warn'>,
): void {
  if (compileTrust(trustProxy ?? false) === false) return;
  server.once('listening', () => {
    clock.schedule(LOOK_AFTER_MS, () => {
      const { keepAliveTimeout: ms } = server as Partial<Server>;
      if (ms === undefined || !endsTooSoon(ms)) return;
      logger.warn(
        `The HTTP server ends idle connections after ${ms} ms (keepAliveTimeout), and most proxies reuse theirs for ${USUAL_REUSE_MS} ms: ` +
          `what they send in that moment is answered with 502. Write ${KEEP_ALIVE_REMEDY} before it listens, above the time of your ` +
          'proxies (trustProxy names them)',
      );
    });
  });
}
