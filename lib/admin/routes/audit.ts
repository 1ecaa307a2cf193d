import { route, type AdminRoute } from '../route.js';
import { choice, described, list, object, text } from '../schema.js';
import { auditEntry, more, page } from './answers.js';

/** Most entries of a page. */
const MAX_ENTRIES = 1_000;

export const AUDIT_ROUTES: readonly AdminRoute[] = [
  route({
    id: 'listAudit',
    method: 'GET',
    path: 'audit',
    authority: 'administer',
    summary: 'Lists what was done to whom and by whom, newest first, of the first sink that can be read',
    input: object(
      {},
      {
        act: described(text(64), 'e.g. `ban`'),
        by: described(text(255), 'who did it'),
        whom: described(text(255), 'id of the user, session or address'),
        channel: text(512),
        result: choice(['applied', 'partial', 'failed', 'refused']),
        ...page(MAX_ENTRIES),
      },
    ),
    answer: object({ entries: list(auditEntry, MAX_ENTRIES) }, { more }),
    example: { act: 'ban', limit: 20 },
    run: async ({ realtime, reads, by }, { cursor, limit, ...filter }) => {
      const reader = by();
      const found = await realtime.audit.list(filter, { cursor, ...(limit === undefined ? {} : { limit }) });
      reads.add('read_audit', reader);
      return found;
    },
  }),
];
