import { afterEach, describe, expect, it } from '@jest/globals';
import type { HandlerCall } from '../../../../lib/core/ports/channel-definition.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';

const ENVELOPE = { trace: '00-trace', meta: { tenant: 'a' } };
const HINTS = { key: 'k', ttl: 5_000 };
const ROOM = 'rooms.1';

let harness: EngineHarness;
afterEach(() => harness.stop());

/** Sends one command, with its envelope and hints, and gives what the handler was called with. */
async function calledWith(command: object): Promise<HandlerCall | undefined> {
  const calls: HandlerCall[] = [];
  const note = (call: HandlerCall): true => {
    calls.push(call);
    return true;
  };
  const authorize = {
    subscribe: note,
    publish: note,
    signal: note,
    request: note,
    history: note,
    presence: note,
  };
  const policy = { presence: {} };
  const requests = new Map([['ask', () => null]]);
  harness = await EngineHarness.start(
    [channel('rooms.:room', { policy, behaviour: { authorize, requests } })],
    {
      requests: new Map([['ask', { authorize: note, handle: () => null }]]),
    },
  );
  const connection = await harness.greet('user:ada');
  connection.send({ id: 'c1', ...ENVELOPE, ...HINTS, ...command });
  await quiet();
  expect(connection.take('error')).toEqual([]);
  return calls[0];
}

describe('the call of a handler', () => {
  it('has trace, meta, key and ttl of a publish', async () => {
    const call = await calledWith({ type: 'publish', channel: ROOM, event: 'said', payload: 1 });
    expect(call).toMatchObject({ id: 'c1', event: 'said', payload: 1, ...ENVELOPE, ...HINTS });
  });

  it.each([
    ['signal', { channel: ROOM, event: 'typing' }, 'typing'],
    ['request', { channel: ROOM, event: 'ask' }, 'ask'],
    ['request', { event: 'ask' }, 'ask'],
    ['subscribe', { channel: ROOM }, ''],
    ['history', { channel: ROOM }, ''],
    ['presence', { channel: ROOM }, ''],
  ])(
    'has trace and meta of a %s %j, and nothing that the command does not have',
    async (type, fields, event) => {
      const call = await calledWith({ type, ...fields });
      expect(call).toMatchObject({ id: 'c1', event, ...ENVELOPE });
      expect([call?.key, call?.ttl]).toEqual([undefined, undefined]);
    },
  );

  it('takes no event from a command that has none: nobody has validated it', async () => {
    expect(await calledWith({ type: 'subscribe', channel: ROOM, event: 7 })).toMatchObject({ event: '' });
  });
});
