import { afterAll, afterEach, beforeAll, describe } from '@jest/globals';
import type { ConnectionRequest } from '../../../lib/core/ports/channel-definition.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { wireChannel } from '../wire/channel.js';
import type { WireServerOptions } from '../wire/server.js';
import { describeCommands } from './session-contract/commands.js';
import { describeEnds } from './session-contract/ends.js';
import { describeOverflow } from './session-contract/overflow.js';
import { describePositions } from './session-contract/positions.js';
import type { Stage } from './session-contract/stage.js';
import { describeTakeover } from './session-contract/takeover.js';
import { oneNode, Visit, type MakeSite } from './session-site.js';
import { SESSION_TRANSPORTS, type SessionTransport } from './session-transports.js';
import { NO_RATES } from '../wire/no-rates.js';

export const ORIGIN = 'https://app.example.com';

const REQUESTS = new Map<string, ConnectionRequest>([
  ['echo', { authorize: 'public', handle: ({ payload }) => payload }],
  ['nothing', { authorize: 'public', handle: () => undefined }],
  [
    'full',
    {
      authorize: 'public',
      handle: () => {
        throw new RealtimeError('refused', 'The room is full', { reason: 'full' });
      },
    },
  ],
]);

const OPTIONS: WireServerOptions = {
  channels: [
    wireChannel('rooms.:room', {
      presence: { graceMs: 1_000 },
      publish: ['said'],
      signals: ['typing'],
      behaviour: { requests: new Map([['echo', ({ payload }) => payload]]) },
    }),
    wireChannel('short.:name', { log: { size: 3 } }),
    wireChannel('state.:name', {
      publish: ['said'],
      behaviour: { snapshot: { shareable: true, run: () => ({ state: { title: 'Tea' } }) } },
    }),
    wireChannel('closed.:name', {
      behaviour: { authorize: { subscribe: ({ user }) => user?.id.startsWith('alice') === true } },
    }),
  ],
  requests: REQUESTS,
  settings: { anonymous: true, limits: NO_RATES, retry: { firstSpreadMs: 1_000 } },
  transport: { allowedOrigins: ORIGIN },
};

/**
 * What a session promises, whatever carries it. Each call makes a suite of its own, which starts its servers.
 *
 * @param others Transports between which sessions are taken over: those that reach the site.
 *
 * @example describeSessionContract('directly', SSE, oneNode());
 */
export function describeSessionContract(
  name: string,
  transport: SessionTransport,
  makeSite: MakeSite = oneNode(),
  others: readonly SessionTransport[] = SESSION_TRANSPORTS,
): void {
  describe(`a session over ${transport.name}, ${name},`, () => {
    let visit: Visit;
    const extras: Visit[] = [];
    let users = 0;
    const stage: Stage = {
      transport,
      others,
      get visit() {
        return visit;
      },
      async start(options) {
        const extra = new Visit(await makeSite({ ...OPTIONS, ...options }));
        extras.push(extra);
        return extra;
      },
      unique: (word) => `${word}${++users}`,
      publish: async (channel, ...payloads) => {
        for (const payload of payloads)
          await visit.server.engine.application.publish(channel, 'said', payload);
      },
    };

    beforeAll(async () => {
      visit = new Visit(await makeSite(OPTIONS));
    });
    afterEach(async () => {
      for (const extra of extras.splice(0)) await extra.close();
    });
    afterAll(() => visit.close());

    describeCommands(stage);
    describePositions(stage);
    describeOverflow(stage);
    describeEnds(stage);
    describeTakeover(stage);
  });
}
