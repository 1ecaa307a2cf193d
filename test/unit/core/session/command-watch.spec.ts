import { beforeEach, describe, expect, it } from '@jest/globals';
import { CommandWatch } from '../../../../lib/core/session/command-watch.js';
import type { RealtimeConnection } from '../../../../lib/core/ports/realtime-connection.js';
import type { ClientCommand } from '../../../../lib/protocol/commands.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const CONNECTION = { id: 'c1' } as RealtimeConnection;
const OTHER = { id: 'c2' } as RealtimeConnection;
const request = (id: string): ClientCommand => ({ type: 'request', id, event: 'asked' });

describe('commands that are followed from their start to their answer', () => {
  let clock: ManualClock;
  let ends: string[];
  let watch: CommandWatch;
  const start = (id: string, connection = CONNECTION) =>
    watch.start(connection, request(id), clock.monotonic());

  beforeEach(() => {
    clock = new ManualClock();
    ends = [];
    const onCommandEnd = (
      connection: RealtimeConnection,
      { id }: { id: string },
      outcome: string,
      ms: number,
    ) => void ends.push(`${connection.id} ${id} ${outcome} ${ms}`);
    watch = new CommandWatch({ onCommandEnd }, clock, () => undefined);
  });

  it.each([
    ['first', ['a', 'b', 'c']],
    ['in the middle', ['b', 'a', 'c']],
    ['last', ['c', 'b', 'a']],
  ])('end once each, when the one that is answered first started %s', (_, order) => {
    for (const id of ['a', 'b', 'c']) {
      start(id);
      clock.advance(10);
    }
    const startedAt: Record<string, number> = { a: 30, b: 20, c: 10 };
    for (const id of order) watch.end(CONNECTION, id, 'ok');
    for (const id of order) watch.end(CONNECTION, id, 'ok');
    watch.closed(CONNECTION);
    expect(ends).toEqual(order.map((id) => `c1 ${id} ok ${startedAt[id]}`));
  });

  it('are followed again once there was none', () => {
    start('a');
    watch.end(CONNECTION, 'a', 'ok');
    start('b');
    start('c');
    watch.end(CONNECTION, 'c', 'ok');
    start('d');
    watch.closed(CONNECTION);
    expect(ends).toEqual(['c1 a ok 0', 'c1 c ok 0', 'c1 b closed 0', 'c1 d closed 0']);
  });

  it('of one id end in the order of their starts', () => {
    start('a');
    clock.advance(5);
    start('a');
    watch.end(CONNECTION, 'a', 'bad_request');
    watch.end(CONNECTION, 'a', 'ok');
    expect(ends).toEqual(['c1 a bad_request 5', 'c1 a ok 0']);
  });

  it('end with their own connection only, once', () => {
    start('a');
    start('a', OTHER);
    watch.closed(CONNECTION);
    watch.closed(CONNECTION);
    expect(ends).toEqual(['c1 a closed 0']);
    watch.end(OTHER, 'a', 'ok');
    expect(ends).toEqual(['c1 a closed 0', 'c2 a ok 0']);
  });

  it('give observers what the client said, and nothing of how they are followed', () => {
    expect({ ...start('a') }).toEqual({
      type: 'request',
      id: 'a',
      channel: undefined,
      event: 'asked',
      trace: undefined,
    });
    expect(watch.start(CONNECTION, { type: 'ping', id: 'p' }, 0)).toBeUndefined();
  });
});
