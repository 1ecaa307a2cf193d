import type { WireServerOptions } from '../../wire/server.js';
import type { SessionClient, WireEnvelope } from '../../wire/session-client.js';
import type { Visit } from '../session-site.js';
import type { SessionTransport } from '../session-transports.js';

/** What the tests of the contract share. */
export interface Stage {
  readonly transport: SessionTransport;
  /** Transports that reach the servers. */
  readonly others: readonly SessionTransport[];
  /** Servers that all tests use. */
  readonly visit: Visit;
  /** Servers of a test's own, which differ from the others by these options. */
  start(options: WireServerOptions): Promise<Visit>;
  /** A name that no other test has. */
  unique(word: string): string;
  /** The application says something in a channel. */
  publish(channel: string, ...payloads: unknown[]): Promise<void>;
}

/** A frame of `hello`, as a test that looks at its answer writes it. */
export const hello = (payload: object = {}): Record<string, unknown> => ({
  type: 'hello',
  id: 'h1',
  payload: { versions: [1], ...payload },
});

/** A publish of a client. */
export const say = (channel: string, id: string, payload: unknown = id): Record<string, unknown> => ({
  type: 'publish',
  id,
  channel,
  event: 'said',
  payload,
});

/** The payloads of the next events, which nothing else may come between. */
export async function payloads(client: SessionClient, count: number): Promise<unknown[]> {
  return (await client.nextAll(count, 'event')).map(({ payload }) => payload as unknown);
}

/** Everything that was sent before this call is here when it resolves. */
export async function settled(client: SessionClient): Promise<readonly WireEnvelope[]> {
  await client.call({ type: 'ping' });
  return client.pending;
}
