import type { IncomingMessage } from 'node:http';
import type { Refusal } from '../../core/ports/transport-host.js';
import { refused } from '../http/handshake-policy.js';

/** The most that a body may have. */
export interface BodyBound {
  readonly bytes: number;
  /** The option that says so. */
  readonly option: 'maxFrameBytes' | 'maxMessageBytes';
}

const JSON_TYPE = /^application\/json\s*(?:;|$)/i;
const CHARSET = /;\s*charset\s*=\s*"?([^\s;"]*)/i;

/** Looks at what the head of a request says of its body. */
export function judgeBody({ headers }: IncomingMessage, bound: BodyBound): Refusal | undefined {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    return refused(415, 'Bodies are taken as they are: leave Content-Encoding out');
  const type = headers['content-type'] ?? '';
  if (!JSON_TYPE.test(type)) return refused(415, 'A body is application/json');
  if (!/^utf-?8$/i.test(CHARSET.exec(type)?.[1] ?? 'utf-8')) return refused(415, 'A body is in UTF-8');
  return Number(headers['content-length'] ?? 0) > bound.bytes ? tooLarge(bound) : undefined;
}

export function tooLarge({ bytes, option }: BodyBound): Refusal {
  return refused(413, `A body has at most ${bytes} bytes here (${option})`);
}
