import { describeSessionContract } from '../../support/transport/session-contract.js';
import { SESSION_TRANSPORTS } from '../../support/transport/session-transports.js';

for (const transport of SESSION_TRANSPORTS) describeSessionContract('without a proxy', transport);
