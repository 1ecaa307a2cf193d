import { createHash } from 'node:crypto';
import type { Entropy } from '../../core/ports/entropy.js';

const KEY_CHARACTERS = 11;
const SEPARATOR = '.';

/** The name of a node in the ids of its sessions, which tells clients nothing of the node. */
export function nodeKeyOf(nodeId: string): string {
  return createHash('sha256').update(nodeId).digest('base64url').slice(0, KEY_CHARACTERS);
}

/** The node that an id names; `undefined` for what is no id. */
export function nodeKeyIn(id: string): string | undefined {
  return id.indexOf(SEPARATOR) === KEY_CHARACTERS ? id.slice(0, KEY_CHARACTERS) : undefined;
}

/**
 * The ids of a node's sessions. An id is the only proof of a session (P21), so it is a secret: not the id that applications and logs
 * see.
 */
export class SessionIds {
  private readonly nodeKey: string;

  constructor(
    nodeId: string,
    private readonly entropy: Pick<Entropy, 'id' | 'token'>,
  ) {
    this.nodeKey = nodeKeyOf(nodeId);
  }

  /** With 120 random bits, and another 72. */
  next(): string {
    return `${this.nodeKey}${SEPARATOR}${this.entropy.id()}${this.entropy.token()}`;
  }

  /** Whether no other node can hold a session of this id. */
  isOwn(id: string): boolean {
    const key = nodeKeyIn(id);
    return key === undefined || key === this.nodeKey;
  }
}
