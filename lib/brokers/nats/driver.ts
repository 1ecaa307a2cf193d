import type { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { connect, credsAuthenticator } from '@nats-io/transport-node';
import { isMissingPackage } from '../../core/ports/missing-package.js';
import { LogSetupError } from '../replicated/ordered-log.js';

/** The packages of NATS, as far as they make something. */
export interface NatsDriver {
  readonly connect: typeof connect;
  readonly credsAuthenticator: typeof credsAuthenticator;
  readonly jetstream: typeof jetstream;
  readonly jetstreamManager: typeof jetstreamManager;
}

const PACKAGES = ['@nats-io/transport-node', '@nats-io/jetstream'] as const;

/**
 * Loads the client of NATS, which only applications with this broker need to install.
 *
 * @throws LogSetupError that says how to install it
 */
export async function loadNats(
  load: () => Promise<readonly [object, object]> = () =>
    Promise.all([import('@nats-io/transport-node'), import('@nats-io/jetstream')]),
  caller = 'natsBroker',
): Promise<NatsDriver> {
  const [transport, stream] = await load().catch((cause: unknown) => {
    throw PACKAGES.some((name) => isMissingPackage(cause, name))
      ? new LogSetupError(
          `${caller}: needs the packages ${PACKAGES.join(' and ')}. Install them: npm i ${PACKAGES.join(' ')}`,
        )
      : new LogSetupError(
          `${caller}: the packages ${PACKAGES.join(' and ')} cannot be loaded: ${String(cause)}`,
        );
  });
  return { ...transport, ...stream } as NatsDriver;
}
