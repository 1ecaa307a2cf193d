import { isDeepStrictEqual } from 'node:util';
import { UpgradeRefused, WireClient, type WireEnvelope } from './client.js';

/** One line of a transcript; `connection` is the number behind `C` or `S`, empty for the first. */
export interface TranscriptStep {
  readonly line: number;
  readonly connection: string;
  readonly action:
    'open' | 'accept' | 'refuse' | 'send' | 'frame' | 'receive' | 'receive-any' | 'cut' | 'close';
  readonly text: string;
}

const ACTIONS: Readonly<Record<string, TranscriptStep['action']>> = {
  'C-OPEN': 'open',
  'S-OPEN': 'accept',
  'S-REFUSE': 'refuse',
  'C:': 'send',
  'C-FRAME': 'frame',
  'S:': 'receive',
  'S~:': 'receive-any',
  'C-CUT': 'cut',
  'S-CLOSE': 'close',
};

/**
 * Reads the ```` ```transcript ```` blocks of a Markdown document. Line numbers are those of the document.
 *
 * @throws Error naming the line that is none.
 */
export function readTranscript(markdown: string): TranscriptStep[] {
  const steps: TranscriptStep[] = [];
  let inside = false;
  markdown.split('\n').forEach((text, index) => {
    if (text.startsWith('```')) {
      inside = text.trim() === '```transcript';
      return;
    }
    if (!inside || text.trim() === '' || text.startsWith('#')) return;
    const match = /^([CS])(\d*)(~?:|-[A-Z]+)\s*(.*)$/.exec(text);
    const action = match === null ? undefined : ACTIONS[`${match[1]}${match[3]}`];
    if (match === null || action === undefined) throw new Error(`Line ${index + 1} is no step: ${text}`);
    steps.push({ line: index + 1, connection: match[2] ?? '', action, text: match[4] ?? '' });
  });
  return steps;
}

/** Plays a transcript against a server, line by line; fails at the first line that the server does not keep to. */
export class TranscriptPlayer {
  private readonly connections = new Map<string, WireClient>();
  private readonly refusals = new Map<string, UpgradeRefused>();
  private captured: Record<string, unknown> = {};

  constructor(private readonly url: string) {}

  async play(steps: readonly TranscriptStep[]): Promise<void> {
    for (let index = 0; index < steps.length; index++) {
      const step = steps[index] as TranscriptStep;
      // Neighbours that may come in any order are one step.
      const group = [step];
      if (step.action === 'receive-any') {
        for (let next = steps[index + 1]; isSameGroup(step, next); next = steps[++index + 1])
          group.push(next);
      }
      try {
        await this.run(step, group);
      } catch (error) {
        throw new Error(`Line ${step.line}: ${step.text}\n${(error as Error).message}`, { cause: error });
      }
    }
  }

  /** Cuts what is open. */
  end(): void {
    for (const client of this.connections.values()) client.terminate();
  }

  /** What the server sent and the transcript did not mention. */
  get unmentioned(): readonly WireEnvelope[] {
    return [...this.connections.values()].flatMap((client) => client.pending);
  }

  private async run(step: TranscriptStep, group: readonly TranscriptStep[]): Promise<void> {
    const { action, text } = step;
    if (action === 'open') return await this.open(step);
    if (action === 'refuse') {
      const status = this.refusals.get(step.connection)?.status;
      if (String(status) !== text) throw new Error(`The upgrade was answered with ${status ?? 'success'}`);
      return;
    }
    const client = this.connections.get(step.connection);
    if (client === undefined) throw new Error('There is no such connection');
    switch (action) {
      case 'accept':
        if (client.protocol !== text) throw new Error(`The server echoed "${client.protocol}"`);
        return;
      case 'send':
        return client.send(this.fill(JSON.parse(text)) as Record<string, unknown>);
      case 'frame':
        return client.send(text);
      case 'cut':
        return client.terminate();
      case 'close': {
        const { code, reason } = await client.expectClose();
        if (`${code} ${reason}` !== text) throw new Error(`It closed with ${code} ${reason}`);
        return;
      }
      case 'receive':
        return this.expectMatch(await client.next(), step);
      case 'receive-any':
        return await this.receiveGroup(client, group);
    }
  }

  private async open({ connection, text }: TranscriptStep): Promise<void> {
    const protocols = (this.fill(text) as string).split(' ').filter((name) => name !== '');
    try {
      this.connections.set(
        connection,
        await WireClient.open(this.url, { protocols, name: `S${connection}` }),
      );
    } catch (error) {
      if (!(error instanceof UpgradeRefused)) throw error;
      this.refusals.set(connection, error);
    }
  }

  private expectMatch(actual: WireEnvelope, step: TranscriptStep): void {
    const found = match(JSON.parse(step.text), actual, this.captured);
    if (found === undefined) throw new Error(`The server sent ${JSON.stringify(actual)}`);
    this.captured = found;
  }

  private async receiveGroup(client: WireClient, group: readonly TranscriptStep[]): Promise<void> {
    const left = [...group];
    while (left.length > 0) {
      const actual = await client.next();
      const index = left.findIndex(
        ({ text }) => match(JSON.parse(text), actual, this.captured) !== undefined,
      );
      const [step] = index === -1 ? [] : left.splice(index, 1);
      if (step === undefined) throw new Error(`The server sent ${JSON.stringify(actual)}`);
      this.expectMatch(actual, step);
    }
  }

  /** Puts what was captured in place of its `<$name>`. */
  private fill(value: unknown): unknown {
    if (typeof value === 'string') {
      const whole = /^<\$(\w+)>$/.exec(value)?.[1];
      if (whole !== undefined) return this.valueOf(whole);
      return value.replace(/<\$(\w+)>/g, (_, name: string) => String(this.valueOf(name)));
    }
    if (Array.isArray(value)) return value.map((entry) => this.fill(entry));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, this.fill(entry)]));
  }

  private valueOf(name: string): unknown {
    if (!Object.hasOwn(this.captured, name)) throw new Error(`Nothing was captured as <$${name}>`);
    return this.captured[name];
  }
}

function isSameGroup(step: TranscriptStep, next: TranscriptStep | undefined): next is TranscriptStep {
  return next?.action === 'receive-any' && next.connection === step.connection;
}

/** What is captured after `actual` was compared with `pattern`; `undefined` when they differ. Every field counts. */
export function match(
  pattern: unknown,
  actual: unknown,
  captured: Readonly<Record<string, unknown>>,
): Record<string, unknown> | undefined {
  if (typeof pattern === 'string') {
    const any = /^<any:(string|number)>$/.exec(pattern)?.[1];
    if (any !== undefined) return typeof actual === any ? { ...captured } : undefined;
    const name = /^<\$(\w+)>$/.exec(pattern)?.[1];
    if (name === undefined) return pattern === actual ? { ...captured } : undefined;
    if (!Object.hasOwn(captured, name)) return { ...captured, [name]: actual };
    return isDeepStrictEqual(captured[name], actual) ? { ...captured } : undefined;
  }
  if (typeof pattern !== 'object' || pattern === null)
    return pattern === actual ? { ...captured } : undefined;
  if (typeof actual !== 'object' || actual === null || Array.isArray(actual) !== Array.isArray(pattern))
    return undefined;
  const keys = Object.keys(pattern);
  if (keys.length !== Object.keys(actual).length) return undefined;
  let found: Record<string, unknown> | undefined = { ...captured };
  for (const key of keys) {
    if (!Object.hasOwn(actual, key)) return undefined;
    found = match((pattern as Record<string, unknown>)[key], (actual as Record<string, unknown>)[key], found);
    if (found === undefined) return undefined;
  }
  return found;
}
