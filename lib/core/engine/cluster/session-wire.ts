import { isUserId } from '../../ports/user-id.js';
import type { SessionInfo } from './local-sessions.js';

const MAX_TEXT = 128;

/** Reads a session that another node sent; fields of a newer version are left out. @returns `undefined` for what is none. */
export function readSession(value: unknown): SessionInfo | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { id, lineage, node, user, ip, transport, connectedAt, channels } = value as Readonly<
    Record<string, unknown>
  >;
  if (!isText(id) || !isText(node) || !isText(ip) || !isText(transport)) return undefined;
  if (!isNumber(connectedAt) || !isNumber(channels)) return undefined;
  if (user !== undefined && !isUserId(user)) return undefined;
  if (lineage !== undefined && !isText(lineage)) return undefined;
  const known = {
    id,
    ...(lineage === undefined ? {} : { lineage }),
    node,
    ip,
    transport,
    connectedAt,
    channels,
  };
  return user === undefined ? known : { ...known, user };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT;
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && value >= 0;
}
