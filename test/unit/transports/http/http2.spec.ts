import { EventEmitter } from 'node:events';
import type { Http2Session } from 'node:http2';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { endUnlessAlive } from '../../../../lib/transports/http/http2.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const WITHIN_MS = 5_000;

type OnPong = (error: Error | null) => void;

let clock: ManualClock;

beforeEach(() => {
  clock = new ManualClock();
});

/** A connection whose pings the test answers. */
class Connection extends EventEmitter {
  readonly pings: OnPong[] = [];
  readonly socket = Object.assign(new EventEmitter(), { destroy: () => (this.cut = true) });
  destroyed = false;
  cut = false;
  takesPings = true;

  ping(onPong: OnPong): boolean {
    if (this.takesPings) this.pings.push(onPong);
    return this.takesPings;
  }

  /** As Node does: what waits for a pong is told. */
  close(): void {
    this.destroyed = true;
    for (const onPong of this.pings.splice(0)) onPong(new Error('cancelled'));
    this.emit('close');
  }

  probe(): void {
    endUnlessAlive(this as unknown as Http2Session, clock, WITHIN_MS);
  }
}

describe('a connection of HTTP/2 of which a stream had to be ended', () => {
  it('is ended when it answers no ping in time, and is asked once for all of its streams', () => {
    const connection = new Connection();
    connection.probe();
    connection.probe();
    expect(connection.pings).toHaveLength(1);
    clock.advance(WITHIN_MS - 1);
    expect(connection.cut).toBe(false);
    clock.advance(1);
    expect(connection.cut).toBe(true);
  });

  it('stays when it answers, and is asked again the next time', () => {
    const connection = new Connection();
    for (let time = 0; time < 2; time++) {
      connection.probe();
      expect(connection.pings).toHaveLength(1);
      connection.pings.shift()?.(null);
      clock.advance(WITHIN_MS);
    }
    expect([connection.cut, clock.pending, connection.listenerCount('close')]).toEqual([false, 0, 0]);
  });

  it('is forgotten when it closes', () => {
    const connection = new Connection();
    connection.probe();
    connection.close();
    expect(clock.pending).toBe(0);
    connection.probe();
    expect(clock.pending).toBe(0);
    expect(() => endUnlessAlive(undefined, clock, WITHIN_MS)).not.toThrow();
  });

  it('stays where its application has as many pings under way as may be', () => {
    const connection = new Connection();
    connection.takesPings = false;
    connection.probe();
    clock.advance(WITHIN_MS);
    expect([connection.cut, clock.pending]).toEqual([false, 0]);
  });
});
