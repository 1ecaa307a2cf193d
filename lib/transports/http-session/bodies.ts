import type { IncomingMessage } from 'node:http';
import type { Clock } from '../../core/ports/clock.js';
import type { Refusal, UnfinishedBytes } from '../../core/ports/transport-host.js';
import { refused } from '../http/handshake-policy.js';
import { TRY_LATER } from '../http/refusal.js';
import { isHttp2 } from '../http/http2.js';

export interface BodyReaderDeps {
  readonly clock: Clock;
  /** Most bytes of a body. */
  readonly maxBytes: number;
  /** How long a body may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly unfinished: UnfinishedBytes;
}

/** Whose body is read, as limits over several connections know it. */
export interface BodySender {
  readonly network: string;
  readonly client: string;
}

/** The body was not read to its end, for nobody is there to be answered. */
export const CUT = 'cut';

const JSON_TYPE = /^application\/json(?:\s*;|$)/i;

/** Looks at what the head of a request says of its body. */
export function judgeBody({ headers }: IncomingMessage, maxBytes: number): Refusal | undefined {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    return refused(415, 'Bodies are taken as they are: leave Content-Encoding out');
  if (!JSON_TYPE.test(headers['content-type'] ?? ''))
    return refused(415, 'Send Content-Type: application/json');
  return Number(headers['content-length'] ?? 0) > maxBytes ? tooLarge(maxBytes) : undefined;
}

/** A stream of HTTP/2 that its client resets ends as if it were whole. */
function isWhole(req: IncomingMessage, bytes: number): boolean {
  const length = req.headers['content-length'];
  const isReset = isHttp2(req) && req.stream.rstCode !== 0;
  return req.complete && !isReset && (length === undefined || Number(length) === bytes);
}

function tooLarge(maxBytes: number): Refusal {
  return refused(413, `A body has at most ${maxBytes} bytes (maxFrameBytes)`);
}

/** Reads bodies: bounded in size and time, and counted with all else that clients have begun to send (G16). */
export class BodyReader {
  private readonly reading = new Set<() => void>();

  constructor(private readonly deps: BodyReaderDeps) {}

  read(req: IncomingMessage, { network, client }: BodySender): Promise<Buffer | Refusal | typeof CUT> {
    const { clock, maxBytes, timeoutMs, unfinished } = this.deps;
    const sender = { network, client, shed: () => req.socket.destroy() };
    const chunks: Buffer[] = [];
    let bytes = 0;
    return new Promise((resolve) => {
      const settle = (outcome: Buffer | Refusal | typeof CUT): void => {
        timer.cancel();
        this.reading.delete(stop);
        req.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
        // What still comes is dropped, and must not end the process.
        req.on('error', () => undefined);
        unfinished.note(sender, 0);
        resolve(outcome);
      };
      const onData = (chunk: Buffer): void => {
        bytes += chunk.length;
        if (bytes > maxBytes) return settle(tooLarge(maxBytes));
        chunks.push(chunk);
        unfinished.note(sender, bytes);
      };
      const onEnd = (): void => settle(isWhole(req, bytes) ? Buffer.concat(chunks) : CUT);
      const onClose = (): void => settle(CUT);
      const stop = (): void => settle(TRY_LATER);
      const timer = clock.schedule(timeoutMs, stop);
      this.reading.add(stop);
      if (req.socket.destroyed) return settle(CUT);
      req.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
    });
  }

  /** Gives up what is being read. */
  close(): void {
    for (const stop of [...this.reading]) stop();
  }
}
