import { describe, expect, it } from '@jest/globals';
import { jsonCodec } from '../../../lib/protocol/codecs/json.js';
import { validateCommand } from '../../../lib/protocol/validation/validate-command.js';
import { COMMAND_FIELDS, WELL_FORMED } from '../../support/wire/command-fields.js';

/** The command as the engine is given it. */
function commandOf(value: unknown): Record<string, unknown> {
  const validation = validateCommand(value);
  if ('command' in validation) return validation.command as unknown as Record<string, unknown>;
  throw new Error(JSON.stringify(validation));
}

/** Adds fields that nobody knows to every object of a command that the protocol defines. */
function withUnknown(value: unknown, path = ''): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || path.endsWith('data'))
    return value;
  const members = Object.entries(value).map(([key, member]) => [key, withUnknown(member, `${path}.${key}`)]);
  return { ...Object.fromEntries(members), unknown: 1, constructor: 2 };
}

describe('a validated command', () => {
  it.each(Object.entries(WELL_FORMED))(
    'has the fields of its type and no other, at every level: %s (P6a)',
    (type, given) => {
      const command = type === 'pong' ? given : { id: 'c1', ...given };
      expect(commandOf(withUnknown(command))).toEqual(
        type === 'publish' || type === 'signal' || type === 'request'
          ? command
          : expect.objectContaining(command),
      );
      const known = new Set([
        'type',
        'payload',
        ...Object.keys(COMMAND_FIELDS[type as keyof typeof COMMAND_FIELDS]),
      ]);
      const every = Object.fromEntries(
        ['seq', 'epoch', 'user', 'key', 'ttl', 'after', 'event', 'channel', 'ref'].map((name) => [name, 1]),
      );
      const result = validateCommand({ ...every, ...command });
      for (const name of Object.keys('command' in result ? result.command : {}))
        expect(known).toContain(name);
    },
  );

  it('has only its own fields, and no prototype of the sender', () => {
    const [value] = jsonCodec.decode('{"type":"ping","id":"1","__proto__":{"meta":{"a":1}},"constructor":1}');
    const command = commandOf(value);
    expect(Object.keys(command)).toEqual(['type', 'id']);
    expect(Object.getPrototypeOf(command)).toBe(Object.prototype);
    expect(command['meta']).toBeUndefined();
  });

  it('leaves out the payload of a command that has none, and gives an empty one where all fields are optional (P5c)', () => {
    expect(commandOf({ type: 'unsubscribe', id: '1', channel: 'a', payload: { a: 1 } })).toEqual({
      type: 'unsubscribe',
      id: '1',
      channel: 'a',
    });
    expect(commandOf({ type: 'history', id: '1', channel: 'a' })).toEqual({
      type: 'history',
      id: '1',
      channel: 'a',
      payload: {},
    });
  });

  it('takes the payload of the application as it is', () => {
    const payload = { unknown: { a: 1 } };
    for (const type of ['publish', 'signal', 'request'])
      expect(commandOf({ type, id: '1', channel: 'a', event: 'e', payload })['payload']).toBe(payload);
    expect(
      commandOf({ type: 'publish', id: '1', channel: 'a', event: 'e', payload: null })['payload'],
    ).toBeNull();
  });

  it.each(['id', 'event', 'key', 'trace'])('refuses half a surrogate pair in %s (P29)', (name) => {
    const command = { type: 'publish', id: '1', channel: 'a', event: 'e', [name]: 'x\ud800' };
    expect(validateCommand(command)).toMatchObject({ details: [{ path: name }] });
    expect(validateCommand({ ...command, [name]: 'x😀' })).toHaveProperty('command');
  });

  it.each([1, 64, 65, 0])('refers to an id of %i characters only where ids may be so long', (length) => {
    const id = 'x'.repeat(length);
    const failed = validateCommand({ type: 'subscribe', id, channel: 1 });
    expect('ref' in failed ? failed.ref : undefined).toBe(length >= 1 && length <= 64 ? id : undefined);
  });

  it('refuses bytes where the protocol has an object', () => {
    const bytes = '{"$bytes":"AQ=="}';
    for (const line of [
      bytes,
      `{"type":"publish","id":"1","channel":"a","event":"e","meta":${bytes}}`,
      `{"type":"subscribe","id":"1","channel":"a","payload":${bytes}}`,
      `{"type":"subscribe","id":"1","channel":"a","payload":{"params":${bytes}}}`,
    ])
      expect(validateCommand(jsonCodec.decode(line)[0])).not.toHaveProperty('command');
  });
});
