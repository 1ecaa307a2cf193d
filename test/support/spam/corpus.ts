import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// Both corpora were written by a script with a seeded generator: phrases that somebody made up, put together by chance, at times that
// were drawn as well. They are no recordings of people. The script is not kept: the files are what the tests are about.

/** One publish of a corpus. */
export interface ChatLine {
  /** Milliseconds since the first. */
  readonly at: number;
  readonly user: string;
  /** Which of the user's sessions. */
  readonly session: string;
  readonly channel: string;
  readonly text: string;
}

/** Publishes of one user that are spam. */
export interface Flood {
  readonly name: string;
  readonly publishes: readonly ChatLine[];
}

/** Some two thousand lines of forty users, a moderator and a bot, in the course of an hour and a half. None of them is spam. */
export function ordinaryChat(): readonly ChatLine[] {
  return linesOf('ordinary-chat.jsonl').map((line) => {
    const [at, user, channel, text] = line as [number, string, string, string];
    return { at, user, session: '1', channel, text };
  });
}

/** Kinds of floods, one of each. */
export function floods(): readonly Flood[] {
  return linesOf('floods.jsonl').map((line) => {
    const { flood, publishes } = line as {
      flood: string;
      publishes: [number, string, string, string, string][];
    };
    return {
      name: flood,
      publishes: publishes.map(([at, user, session, channel, text]) => ({
        at,
        user,
        session,
        channel,
        text,
      })),
    };
  });
}

function linesOf(name: string): unknown[] {
  const file = fileURLToPath(new URL(name, import.meta.url));
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);
}
