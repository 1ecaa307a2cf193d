import type { Check } from '../check.js';
import { ACCESS } from './access.js';
import { ATTACHED } from './attached.js';
import { BROKER } from './broker.js';
import { CHANNELS } from './channels.js';
import { LIMITS } from './limits.js';
import { OPERATIONS } from './operations.js';
import { START } from './start.js';
import { TRANSPORT } from './transport.js';

/** The check-list, in the order of its table. docs/doctor.md is made from it. */
export const CHECKS: readonly Check[] = [
  ...START,
  ...TRANSPORT,
  ...ACCESS,
  ...CHANNELS,
  ...BROKER,
  ...LIMITS,
  ...OPERATIONS,
  ...ATTACHED,
];
