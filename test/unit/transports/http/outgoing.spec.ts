import { describe, expect, it } from '@jest/globals';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { writeAnswer, type SessionExchange } from '../../../../lib/transports/http-session/exchange.js';
import { UnreadAnswers } from '../../../../lib/transports/http-session/unread-answers.js';
import { Outgoing } from '../../../../lib/transports/http/outgoing.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { FakeHost } from '../support/fake-host.js';

function response(destroyed = false): ServerResponse {
  const res = Object.assign(new EventEmitter(), {
    destroyed,
    headersSent: false,
    writableLength: 0,
    writeHead: () => res,
    write: () => true,
    end: () => res,
  });
  return res as unknown as ServerResponse;
}

/** Whether nothing is waited for. */
async function isLeft(outgoing: Outgoing): Promise<boolean> {
  let left = false;
  void outgoing.whenLeft().then(() => (left = true));
  await settle();
  return left;
}

describe('answers that have ended', () => {
  it('are cut where there is no time for them, and each is counted once (G18)', async () => {
    const outgoing = new Outgoing();
    const destroyed: string[] = [];
    const res = Object.assign(response(), { destroy: () => void destroyed.push('answer') });
    const connection = { destroy: () => void destroyed.push('connection') };
    outgoing.add(res);
    outgoing.leaves(connection);
    outgoing.leaves(connection);
    expect(outgoing.cut()).toBe(2);
    expect(destroyed).toEqual(['answer', 'connection']);
    res.emit('close');
    expect(await isLeft(outgoing)).toBe(false);
    outgoing.left(connection);
    outgoing.left(connection);
    expect(await isLeft(outgoing)).toBe(true);
    expect(outgoing.cut()).toBe(0);
  });

  it('are waited for until the last of them has left, however often (G18)', async () => {
    const outgoing = new Outgoing();
    expect(await isLeft(outgoing)).toBe(true);
    const [first, second] = [response(), response()];
    outgoing.add(first);
    outgoing.add(second);
    outgoing.add(response(true));
    let resolved = 0;
    const waits = [outgoing.whenLeft(), outgoing.whenLeft()].map((wait) => wait.then(() => resolved++));
    first.emit('close');
    expect(await isLeft(outgoing)).toBe(false);
    expect(resolved).toBe(0);
    second.emit('close');
    await Promise.all(waits);
    expect(await isLeft(outgoing)).toBe(true);
    const third = response();
    outgoing.add(third);
    expect(await isLeft(outgoing)).toBe(false);
  });

  it('include those to polls and bodies (G18)', async () => {
    const [outgoing, clock, { relayed }] = [new Outgoing(), new ManualClock(), new FakeHost()];
    const res = response();
    const exchange = { req: { complete: true }, res, cors: {}, allow: 'POST' } as unknown as SessionExchange;
    const unread = new UnreadAnswers(clock, 1_000);
    const rules = { clock, maxBytes: 1, ends: true, closing: true, network: '', unread, outgoing, relayed };
    writeAnswer(exchange, { status: 200, headers: {}, body: [Buffer.from('[]')] }, rules);
    expect(await isLeft(outgoing)).toBe(false);
    res.emit('close');
    expect(await isLeft(outgoing)).toBe(true);
  });
});
