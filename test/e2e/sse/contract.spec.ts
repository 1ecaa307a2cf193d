import { describeSseContract } from '../../support/transport/sse-contract.js';

describeSseContract('without a proxy');
