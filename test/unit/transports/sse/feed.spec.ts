import { describe, expect, it } from '@jest/globals';
import type { Handshake } from '../../../../lib/core/ports/connection.js';
import type { Envelope } from '../../../../lib/protocol/envelope.js';
import { BlockVariants } from '../../../../lib/transports/sse/blocks.js';
import type { EventStream } from '../../../../lib/transports/sse/event-stream.js';
import { Feed, type FeedDeps } from '../../../../lib/transports/sse/feed.js';
import { spread } from '../../../../lib/transports/sse/pace.js';

const EPOCH = 'e';

/** A stream that is live, and whose engine answers nothing by itself. */
function feedOf(channels: readonly string[], lastEventId?: string) {
  const texts: string[] = [];
  const writes: Buffer[] = [];
  const behind: [string, Buffer][] = [];
  const ended: string[] = [];
  const socket = { bufferedBytes: 0, destroyed: false };
  let paced = 0;
  const stream = {
    chunked: false,
    own: () => undefined,
    begin: () => undefined,
    end: (text: string) => void ended.push(text),
    destroy: () => (socket.destroyed = true),
    get bufferedBytes() {
      return socket.bufferedBytes;
    },
    writeText: (text: string) => texts.push(text) > 0,
    write: (frame: Buffer) => writes.push(frame) > 0,
    writeBehind: (lines: string, frame: Buffer) => behind.push([lines, frame]) > 0,
  } as unknown as EventStream;
  const timers: (() => void)[] = [];
  const deps = {
    clock: {
      now: () => 1,
      monotonic: () => 1,
      schedule: (_: number, run: () => void) => {
        timers.push(run);
        return { cancel: () => undefined };
      },
    },
    random: () => 0.5,
    retry: { baseMs: 1, maxMs: 10, firstSpreadMs: 10 },
    variants: new BlockVariants(),
    ids: { add: () => void paced++ },
    beats: { stamp: 0, add: () => undefined, remove: () => undefined },
    onError: (error: unknown) => {
      throw error;
    },
  } as unknown as FeedDeps;
  const plan = { channels, named: false, lastEventId, headers: {}, refuse: () => undefined };
  const feed = new Feed({} as Handshake, plan, stream, deps);
  const positions = new Map<string, { epoch: string; seq: number }>();
  feed.start(() => ({
    client: 'c',
    onFrame: () => ({ outcome: 'accepted' }),
    positions: () => positions,
    onExcess: () => undefined,
    onPart: () => undefined,
    onMuch: () => false,
    onRepeat: () => 0,
    onDrain: () => undefined,
    onClose: () => undefined,
  }));
  feed.translate({ type: 'welcome' });
  const encode = (envelope: Envelope): Buffer | undefined => {
    const sent = feed.translate(envelope);
    return sent && Buffer.from(feed.variant.codec.encode(sent) as string);
  };
  const answer = (index: number, seq: number, recovery = 'new'): Buffer =>
    encode({
      type: 'reply',
      ref: `s${index}`,
      ts: 1,
      payload: { position: { epoch: EPOCH, seq }, recovery },
    }) as Buffer;
  const paces = (): number => paced;
  return { feed, encode, answer, positions, texts, writes, behind, timers, ended, socket, paces };
}

const error = (code: string, retryable: boolean, ref = 's0'): Envelope => ({
  type: 'error',
  ref,
  ts: 1,
  payload: { code, message: '', retryable },
});

describe('an answer that was queued', () => {
  it('moves the client when it is written, and not before (P20)', () => {
    const { feed, answer } = feedOf(['a', 'b']);
    const late = answer(0, 7);
    const first = answer(1, 9);
    expect(feed.frame([first]).toString()).toMatch(/^id: [\w-]{8}~~e\.9\ndata: \{"type":"subscribed"/);
    expect(feed.frame([late]).toString()).toMatch(/^id: [\w-]{8}~e\.7~e\.9\ndata: /);
  });

  it('leaves what stands beside it in its frame as it is', () => {
    const { feed, answer } = feedOf(['a', 'b']);
    const event = Buffer.from('data: {"type":"event","payload":"id: ?0 move 1 e"}\n\n');
    const text = feed.frame([event, answer(0, 7), event]).toString();
    expect(text.split(event.toString())).toHaveLength(3);
    expect(text).not.toContain('id: ?0 move 7');
  });

  it('keeps the place of the client where nothing was lost (P14)', () => {
    const { feed, answer } = feedOf(['a'], undefined);
    feed.frame([answer(0, 7)]);
    expect(feed.frame([answer(0, 30, 'complete')]).toString()).toMatch(/~e\.7\n/);
  });

  it.each([
    [21, 20],
    [31, 30],
  ])('moves it to what is missing, and not over what follows (%i…30, P14)', (from, place) => {
    const { feed, encode } = feedOf(['a', 'b']);
    const payload = { position: { epoch: EPOCH, seq: 30 }, recovery: 'truncated', from, to: 30 };
    const written = encode({ type: 'reply', ref: 's0', ts: 1, payload }) as Buffer;
    expect(feed.frame([written]).toString()).toMatch(new RegExp(`~e\\.${place}~\n`));
    const resumed = encode({ type: 'resumed', channel: 'a', epoch: EPOCH, seq: 30, ts: 1 }) as Buffer;
    expect(feed.frame([resumed]).toString()).toMatch(/~e\.30~\n/);
  });

  it('tells of an id that nobody can read until that was written, and not again (P20, G3)', () => {
    const { feed, answer } = feedOf(['a', 'b'], 'of-another-list~x.5');
    expect(answer(0, 9).toString()).toContain('"recovery":"lost"');
    const written = answer(0, 9);
    expect(written.toString()).toContain('"reason":"unreadable"');
    feed.frame([written]);
    expect(answer(0, 9).toString()).toContain('"recovery":"new"');
    expect(answer(1, 9).toString()).toContain('"recovery":"lost"');
  });
});

describe('what was written without an id', () => {
  it('is claimed by the id of a reset that loses nothing (P14, P20)', () => {
    const { feed, encode, answer, positions } = feedOf(['a', 'b']);
    feed.frame([answer(0, 1)]);
    positions.set('a', { epoch: EPOCH, seq: 4 });
    const payload = { position: { epoch: 'f', seq: 9 }, recovery: 'complete' };
    const reset = encode({ type: 'reset', channel: 'a', ts: 1, payload }) as Buffer;
    positions.clear();
    expect(feed.frame([reset]).toString()).toMatch(/~f\.4~\n/);
  });

  it('is claimed by the last id, although the engine knows nothing of the session by then', () => {
    const { feed, answer, positions, ended } = feedOf(['a', 'b']);
    feed.frame([answer(0, 1)]);
    positions.set('a', { epoch: EPOCH, seq: 5 });
    feed.onEnding();
    positions.clear();
    feed.close(4001, '');
    expect(ended).toEqual([expect.stringMatching(/^id: [\w-]{8}~e\.5~\nretry: /)]);
  });
});

describe('a stream whose socket holds bytes back', () => {
  it('is sent no comments, and is ended once none of them left in a whole interval (P20g)', () => {
    const { feed, texts, socket } = feedOf(['a', 'b']);
    const before = texts.length;
    feed.beat();
    expect(texts.slice(before)).toEqual([':\n\n']);
    socket.bufferedBytes = 100;
    feed.beat();
    socket.bufferedBytes = 90;
    feed.beat();
    expect([texts.slice(before), socket.destroyed]).toEqual([[':\n\n'], false]);
    feed.beat();
    expect([texts.slice(before), socket.destroyed]).toEqual([[':\n\n'], true]);
  });

  it('lives where something was written since: it took what was before that', () => {
    const { feed, socket } = feedOf(['a', 'b']);
    socket.bufferedBytes = 100;
    feed.beat();
    feed.write(Buffer.from('data: 1\n\n'));
    feed.beat();
    expect(socket.destroyed).toBe(false);
    feed.beat();
    expect(socket.destroyed).toBe(true);
  });
});

describe('an id that is due', () => {
  const ids = (texts: readonly string[]): number => texts.filter((text) => text.startsWith('id: ')).length;

  it('comes early behind 64 KiB, once, and the one that is paced comes too', async () => {
    const { feed, answer, positions, texts, paces } = feedOf(['a', 'b']);
    feed.frame([answer(0, 1)]);
    const write = (bytes: number, seq: number): Promise<void> => {
      positions.set('a', { epoch: EPOCH, seq });
      feed.write(Buffer.alloc(bytes));
      return Promise.resolve();
    };
    await write(40_000, 2);
    expect([paces(), ids(texts)]).toEqual([1, 0]);
    await write(30_000, 3);
    expect([paces(), ids(texts)]).toEqual([1, 1]);
    await write(30_000, 4);
    expect([paces(), ids(texts)]).toEqual([1, 1]);
    feed.writeId();
    expect([paces(), ids(texts)]).toEqual([1, 2]);
    // Nothing moved, nothing is said.
    feed.writeId();
    await write(1, 5);
    expect([paces(), ids(texts)]).toEqual([2, 2]);
  });
});

describe('an id that proxies would refuse', () => {
  it('ends the stream in its place, once (P20)', async () => {
    const { feed, encode } = feedOf(['a', 'b', 'c']);
    const epoch = '%'.repeat(128).repeat(6);
    const large = (index: number): Buffer =>
      encode({
        type: 'reply',
        ref: `s${index}`,
        ts: 1,
        payload: { position: { epoch, seq: 1 }, recovery: 'new' },
      }) as Buffer;
    feed.frame([large(0)]);
    const text = feed.frame([large(1), large(2)]).toString();
    expect(text.match(/^id: stop$/gm)).toHaveLength(1);
    expect(text).toContain('message_too_large');
    await Promise.resolve();
  });
});

describe('an id that stood in a block of its own', () => {
  it('comes again before the next frame, which is not copied', () => {
    const { feed, answer, positions, texts, behind, writes } = feedOf(['a', 'b']);
    feed.write(feed.frame([answer(0, 1)]));
    positions.set('a', { epoch: EPOCH, seq: 2 });
    feed.writeId();
    const line = texts.at(-1)?.slice(0, -1) ?? '';
    const frame = Buffer.from('data: 1\n\n');
    feed.write(frame);
    feed.write(frame);
    expect(behind).toEqual([[line, frame]]);
    expect(behind[0]?.[1]).toBe(frame);
    expect(writes.at(-1)).toBe(frame);
  });
});

describe('a channel whose answer was taken back', () => {
  it.each([true, false])('is announced once (retryable: %s)', (retryable) => {
    const { encode, answer, timers } = feedOf(['a', 'b']);
    answer(0, 1);
    const code = retryable ? 'unavailable' : 'forbidden';
    const told = [
      encode(error(code, retryable)),
      encode({ type: 'unsubscribed', channel: 'a', ts: 1, payload: { code, message: '', retryable } }),
    ];
    expect(told.filter((one) => one !== undefined)).toHaveLength(retryable ? 0 : 1);
    expect(timers).toHaveLength(retryable ? 1 : 0);
  });

  it('is announced with its end where the answer was sent', () => {
    const { encode, answer } = feedOf(['a', 'b']);
    answer(0, 1);
    const payload = { code: 'forbidden', message: '', retryable: false };
    expect(encode({ type: 'unsubscribed', channel: 'a', ts: 1, payload })?.toString()).toContain(
      'unsubscribed',
    );
  });
});

describe('a random wait', () => {
  it('is never nothing', () => {
    expect(spread(() => 0, 1_000)).toBe(50);
    expect(spread(() => 0.5, 1_000)).toBe(500);
  });
});
