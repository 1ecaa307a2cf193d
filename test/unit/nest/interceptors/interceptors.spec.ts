import { describe, expect, it } from '@jest/globals';
import type { CallHandler, ExecutionContext } from '@nestjs/common';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { WsException } from '@nestjs/websockets';
import { lastValueFrom, NEVER, of, Subject, throwError, type Observable } from 'rxjs';
import { isEngineStage } from '../../../../lib/nest/enhancers/handler-compiler.js';
import { DedupeInterceptor, EnvelopeInterceptor, SequenceInterceptor } from '../../../../lib/nest/index.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

function message(client: object, data: unknown, type = 'ws'): ExecutionContext {
  const context = new ExecutionContextHost([client, data, 'event']);
  context.setType(type);
  return context;
}

const answering = (value: unknown): CallHandler => ({ handle: () => of(value) });
const collect = (stream: Observable<unknown>): unknown[] => {
  const values: unknown[] = [];
  stream.subscribe({ next: (value) => values.push(value), error: (error) => values.push(error) });
  return values;
};

describe('DedupeInterceptor', () => {
  const clock = new ManualClock();
  const client = {};
  const run = (interceptor: DedupeInterceptor, id: unknown, who: object = client) =>
    collect(interceptor.intercept(message(who, { id }), answering(id)));

  it('forgets an id after the window', () => {
    const dedupe = new DedupeInterceptor({ window: '1s', clock });
    expect(run(dedupe, 'a')).toEqual(['a']);
    clock.advance(999);
    expect(run(dedupe, 'a')).toEqual([]);
    clock.advance(1);
    expect(run(dedupe, 'a')).toEqual(['a']);
  });

  it('remembers at most max ids, and drops the oldest', () => {
    const dedupe = new DedupeInterceptor({ max: 2, clock });
    for (const id of ['a', 'b', 'c']) run(dedupe, id);
    expect(run(dedupe, 'c')).toEqual([]);
    expect(run(dedupe, 'a')).toEqual(['a']);
  });

  it('passes messages without an id, after a failure, of other connections and of other contexts', () => {
    const dedupe = new DedupeInterceptor({ clock });
    for (const id of [undefined, '', 5]) {
      expect(run(dedupe, id)).toEqual([id]);
      expect(run(dedupe, id)).toEqual([id]);
    }
    const failing = { handle: () => throwError(() => new Error('x')) };
    expect(collect(dedupe.intercept(message(client, { id: 'f' }), failing))).toHaveLength(1);
    expect(run(dedupe, 'f')).toEqual(['f']);
    expect(run(dedupe, 'f', {})).toEqual(['f']);
    expect(collect(dedupe.intercept(message(client, { id: 'f' }, 'http'), answering(1)))).toEqual([1]);
  });

  it('accepts only a duration', () => {
    expect(() => new DedupeInterceptor({ window: 'soon' as never })).toThrow(
      'DedupeInterceptor: window: not a duration.',
    );
  });
});

describe('SequenceInterceptor', () => {
  it('starts the next message when the one before ends, is unsubscribed or fails', async () => {
    const sequence = new SequenceInterceptor();
    const client = {};
    const first = new Subject<unknown>();
    const begun: string[] = [];
    const next = (name: string, stream: Observable<unknown>): CallHandler => ({
      handle: () => {
        begun.push(name);
        return stream;
      },
    });
    const one = collect(sequence.intercept(message(client, 1), next('one', first)));
    const givenUp = sequence.intercept(message(client, 2), next('waiting', of(2))).subscribe();
    const running = sequence.intercept(message(client, 3), next('running', NEVER)).subscribe();
    const last = lastValueFrom(sequence.intercept(message(client, 4), next('last', of('text'))));
    expect(begun).toEqual(['one']);
    givenUp.unsubscribe();
    first.next({ a: 1 });
    first.complete();
    await Promise.resolve();
    expect(begun).toEqual(['one', 'running']);
    running.unsubscribe();
    await expect(last).resolves.toEqual({ payload: 'text', seq: 2 });
    expect(one).toEqual([{ a: 1, seq: 1 }]);
  });

  it('bounds the waiting messages, and a long queue does not overflow the stack', async () => {
    const sequence = new SequenceInterceptor({ maxPending: 20_000 });
    const client = {};
    const gate = new Subject<unknown>();
    sequence.intercept(message(client, 0), { handle: () => gate }).subscribe();
    let done = 0;
    for (let index = 0; index < 20_000; index++) {
      sequence.intercept(message(client, index), answering(index)).subscribe(() => done++);
    }
    expect(() => sequence.intercept(message(client, 'more'), answering(1))).toThrow(WsException);
    gate.complete();
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(20_000);
  });
});

describe('interceptors that the engine replaces', () => {
  it('the engine replaces exactly these classes, and no subclass of an application', () => {
    class Own extends DedupeInterceptor {}
    expect([EnvelopeInterceptor, DedupeInterceptor, new SequenceInterceptor()].every(isEngineStage)).toBe(
      true,
    );
    expect([Own, new Own(), {}, null, undefined, 'x'].some(isEngineStage)).toBe(false);
  });
});

describe('replies of ordinary gateways (P29)', () => {
  class Account {
    readonly id = 7;
    readonly passwordHash = 'secret';
    toJSON(): unknown {
      return { id: this.id };
    }
  }
  const envelope = { type: 'ask', id: 'm1', ts: 1, payload: null };
  const sequenced = (reply: unknown): unknown[] =>
    collect(new SequenceInterceptor().intercept(message({}, {}), answering(reply)));
  const enveloped = (reply: unknown): unknown[] =>
    collect(new EnvelopeInterceptor().intercept(message({}, { ...envelope }), answering(reply)));

  it('show nothing that toJSON hides, numbered or in an envelope', () => {
    expect(sequenced(new Account())).toEqual([{ id: 7, seq: 1 }]);
    expect(JSON.stringify(enveloped(new Account()))).toContain('"payload":{"id":7}');
    expect(JSON.stringify(enveloped([new Account()]))).not.toContain('secret');
  });

  it('keep bytes, and refuse what would arrive empty', () => {
    expect(JSON.stringify(enveloped({ file: Buffer.from([1]) }))).toContain(
      '"payload":{"file":{"$bytes":"AQ=="}}',
    );
    expect(sequenced({ tags: new Map() })).toEqual([expect.objectContaining({ code: 'bad_request' })]);
    expect(enveloped(new Set([1]))).toEqual([
      expect.objectContaining({ message: expect.stringContaining('reply is of the class Set') }),
    ]);
  });

  it('are fixed at once', () => {
    const reply = { list: [1] };
    const [first] = enveloped(reply) as { payload: unknown }[];
    reply.list.push(2);
    expect(first?.payload).toEqual({ list: [1] });
  });
});
