import { describeSessionContract } from '../../support/transport/session-contract.js';
import { WEBSOCKET } from '../../support/transport/session-transports.js';

describeSessionContract('without a proxy', WEBSOCKET);
