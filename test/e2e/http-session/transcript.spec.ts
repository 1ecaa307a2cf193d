import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { startWireServer, type WireServer } from '../../support/wire/server.js';
import type { EventReader } from '../../support/wire/event-reader.js';
import { wireChannel } from '../../support/wire/channel.js';
import { match } from '../../support/wire/transcript.js';
import { ask, openStream, type RawAnswer } from './raw.js';

const DOCUMENT = new URL('../../../docs/protocol.md', import.meta.url);

/** The lines of the blocks of a document, without comments. */
function linesOf(markdown: string): readonly string[] {
  const blocks = [...markdown.matchAll(/^```http-transcript\n([^]*?)^```/gm)].map(([, text = '']) => text);
  return blocks.flatMap((text) => text.split('\n')).filter((line) => line !== '' && !line.startsWith('#'));
}

/** Plays the lines against a server; what they capture is known to the lines behind them. */
class HttpTranscript {
  private captured: Record<string, unknown> = {};
  private last: Promise<RawAnswer> | undefined;
  private stream: EventReader | undefined;
  private session = '';

  constructor(private readonly url: string) {}

  async play(line: string): Promise<void> {
    const post = /^C-POST (poll|send|sse)(?: (\d+))?(?: (.+))?$/.exec(line);
    if (post !== null) return this.post(post[1] as string, post[2], post[3]);
    const answer = /^S-ANSWER (\d+)(?: (\d+))?(?: end (\d+))?(?: ([^e].*))?$/.exec(line);
    if (answer !== null) return this.answer(answer);
    const streamed = /^S-STREAM (.+)$/.exec(line)?.[1];
    if (streamed !== undefined) return this.expect(await this.stream?.next(), streamed);
    expect(line).toBe('S-END');
    await this.stream?.ended();
  }

  private async post(path: string, number: string | undefined, body: string | undefined): Promise<void> {
    if (path === 'sse') {
      this.stream = await openStream(this.url, body);
      return;
    }
    const isOpening = number === undefined;
    const name = path === 'send' ? 'Realtime-Send' : 'Realtime-Ack';
    const headers = isOpening ? {} : { 'Realtime-Session': this.session, [name]: number };
    this.last = ask(`${this.url}/${path}`, body, { headers: headers as Record<string, string> });
    await this.last;
  }

  private async answer([, status, number, end, body]: RegExpExecArray): Promise<void> {
    const { status: was, headers, text } = (await this.last) as RawAnswer;
    const { 'realtime-answer': ownNumber, 'realtime-end': ownEnd } = headers;
    expect([String(was), ownNumber, ownEnd, text === '']).toEqual([status, number, end, body === undefined]);
    if (body !== undefined) this.expect(JSON.parse(text), body);
  }

  private expect(actual: unknown, pattern: string): void {
    const found = match(JSON.parse(pattern), actual, this.captured);
    if (found === undefined) throw new Error(`The server sent ${JSON.stringify(actual)}`);
    this.captured = found;
    this.session = (found['stream'] ?? found['connection'] ?? '') as string;
  }
}

describe('the transcripts over HTTP of docs/protocol.md', () => {
  it('a raw client receives them line by line (P21)', async () => {
    const lines = linesOf(readFileSync(DOCUMENT, 'utf8'));
    expect(lines.length).toBeGreaterThan(20);
    const server: WireServer = await startWireServer({
      channels: [wireChannel('rooms.:room', { presence: true, publish: ['message.created'] })],
    });
    const transcript = new HttpTranscript(server.httpUrl);
    try {
      for (const line of lines) {
        try {
          await transcript.play(line);
        } catch (error) {
          throw new Error(`${line}\n${(error as Error).message}`, { cause: error });
        }
      }
    } finally {
      await server.close();
    }
  });
});
