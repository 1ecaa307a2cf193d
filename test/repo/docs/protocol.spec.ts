import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { ENGINE_DEFAULTS } from '../../../lib/core/ports/settings-defaults.js';
import { isChannelName, MAX_CHANNEL_LENGTH, userChannel } from '../../../lib/protocol/channel-name.js';
import { CLOSE_CODES } from '../../../lib/protocol/close-codes.js';
import type { ClientCommand } from '../../../lib/protocol/commands.js';
import {
  MAX_DEPTH,
  MAX_EVENT_LENGTH,
  MAX_ID_LENGTH,
  MAX_KEY_LENGTH,
} from '../../../lib/protocol/envelope.js';
import { ERROR_CODES } from '../../../lib/protocol/error-codes.js';
import { COMMAND_SCHEMAS, MAX_PAGE } from '../../../lib/protocol/validation/command-schemas.js';
import { validateCommand } from '../../../lib/protocol/validation/validate-command.js';

/** The closed set of P5, written down by hand: no code of the server needs the list. */
const SERVER_MESSAGE_TYPES = [
  'welcome',
  'reply',
  'error',
  'event',
  'signal',
  'presence',
  'resumed',
  'gap',
  'reset',
  'unsubscribed',
  'auth_required',
  'ping',
  'pong',
  'bye',
];

const document = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');
const section = (heading: string): string => {
  const start = document.indexOf(`\n## ${heading}`);
  const end = document.indexOf('\n## ', start + 1);
  return document.slice(start, end === -1 ? undefined : end);
};

function examples(side: 'client' | 'server'): Record<string, unknown>[] {
  return [...document.matchAll(/^\s*```json (\w+)\n([\s\S]*?)^\s*```$/gm)]
    .filter(([, language]) => language === side)
    .map(([, , text]) => JSON.parse(String(text)) as Record<string, unknown>);
}

describe('docs/protocol.md', () => {
  it('has a valid example of every client command (P5)', () => {
    const shown = examples('client');
    for (const example of shown) {
      const result = validateCommand(example);
      expect('command' in result ? [] : [example, result]).toEqual([]);
    }
    const types = new Set(shown.map(({ type }) => type));
    expect(Object.keys(COMMAND_SCHEMAS).filter((type) => !types.has(type))).toEqual([]);
  });

  it('uses only fields of the protocol in its examples', () => {
    for (const example of examples('client')) {
      const schema = COMMAND_SCHEMAS[example['type'] as ClientCommand['type']];
      const top = schema.top.map(([name]) => name);
      expect(Object.keys(example).filter((name) => ![...top, 'type', 'payload'].includes(name))).toEqual([]);
      if (schema.payload === undefined) continue;
      const fields = schema.payload.map(([name]) => name);
      expect(Object.keys(example['payload'] ?? {}).filter((name) => !fields.includes(name))).toEqual([]);
    }
  });

  it('describes every field of every command', () => {
    for (const [type, { payload = [] }] of Object.entries(COMMAND_SCHEMAS)) {
      const start = document.indexOf(`#### \`${type}\``);
      const text = document.slice(start, document.indexOf('\n#### ', start + 1));
      const missing = payload.map(([name]) => name).filter((name) => !text.includes(`\`${name}\``));
      expect({ type, missing }).toEqual({ type, missing: [] });
    }
  });

  it('has an example of every server message', () => {
    const types = new Set(examples('server').map(({ type }) => type));
    expect(SERVER_MESSAGE_TYPES.filter((type) => !types.has(type))).toEqual([]);
    expect([...types].filter((type) => !SERVER_MESSAGE_TYPES.includes(String(type)))).toEqual([]);
  });

  it('lists the error codes and close codes of the catalogues', () => {
    const listed = [...section('6. Errors').matchAll(/`(\w+)` ?(?:·|$)/gm)].map(([, code]) => code);
    expect(listed).toEqual(Object.keys(ERROR_CODES));
    const rows = [...section('7. Closing').matchAll(/^\| (\d{4}) +\| `(\w+)`/gm)];
    expect(rows.map(([, code, name]) => [name, Number(code)])).toEqual(
      Object.entries(CLOSE_CODES).map(([name, { code }]) => [name, code]),
    );
  });

  it('states the defaults of the engine', () => {
    const rows = [...section('10. Limits').matchAll(/^\| `([\w.]+)` +\| (\d+)/gm)];
    expect(rows.length).toBeGreaterThan(25);
    for (const [, path, value] of rows) {
      const found = String(path)
        .split('.')
        .reduce<unknown>((group, name) => (group as Record<string, unknown>)[name], ENGINE_DEFAULTS);
      expect([path, found]).toEqual([path, Number(value)]);
    }
  });

  it('states the fixed limits of the code', () => {
    expect([
      MAX_ID_LENGTH,
      MAX_EVENT_LENGTH,
      MAX_KEY_LENGTH,
      MAX_CHANNEL_LENGTH,
      MAX_DEPTH,
      MAX_PAGE,
    ]).toEqual([64, 128, 128, 200, 128, 1000]);
    expect(document).toContain(
      'an id of 64 characters, an event name and a key of 128, a channel name of 200, a nesting of 128, a page of 1 000',
    );
  });

  it('has a correct example of an own channel (P23c)', () => {
    const [, id, name] = /so `([^`]+)` has the channel `([^`]+)`/.exec(document) ?? [];
    expect(userChannel(String(id))).toBe(name);
    expect(isChannelName(name)).toBe(true);
  });
});
