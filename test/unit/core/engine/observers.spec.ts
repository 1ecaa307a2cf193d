import { describe, expect, it } from '@jest/globals';
import { combineObservers } from '../../../../lib/core/engine/observers.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';
import type { HandlerCall } from '../../../../lib/core/ports/channel-definition.js';
import type { Observer } from '../../../../lib/core/ports/observer.js';

describe('combined observers', () => {
  it('have no method that none of them has, so that nothing is called or made for it', () => {
    expect(Object.values(combineObservers([], new RecordingLogger())).filter(Boolean)).toEqual([]);
    expect(Object.values(combineObservers([{}, {}], new RecordingLogger())).filter(Boolean)).toEqual([]);
    const some = combineObservers([{}, { onGap: () => undefined }], new RecordingLogger());
    expect(Object.entries(some).filter(([, method]) => Boolean(method))).toHaveLength(1);
  });

  it('have the same shape whatever is installed, so that callers stay fast', () => {
    const some = combineObservers(
      [{ onReset: () => undefined, onAct: () => undefined }],
      new RecordingLogger(),
    );
    expect(Object.keys(some)).toEqual(Object.keys(combineObservers([], new RecordingLogger())));
  });

  it('are called as methods of their own objects, in the order of installation', () => {
    class Counter implements Observer {
      static readonly order: string[] = [];
      constructor(private readonly name: string) {}
      onGap(pattern: string): void {
        Counter.order.push(`${this.name} ${pattern}`);
      }
    }
    const both = combineObservers([new Counter('first'), new Counter('second')], new RecordingLogger());
    both.onGap?.('rooms.:room', 'overflow', 1, 'drop-oldest');
    expect(Counter.order).toEqual(['first rooms.:room', 'second rooms.:room']);
  });

  it('hand on all details of the method that has most', () => {
    const heard: unknown[][] = [];
    const { onAuthorization } = combineObservers(
      [{ onAuthorization: (...details) => void heard.push(details) }],
      new RecordingLogger(),
    );
    const call = {} as HandlerCall;
    onAuthorization?.(call, 'rooms.:room', 'publish', 'ok', 12);
    expect(heard).toEqual([[call, 'rooms.:room', 'publish', 'ok', 12]]);
  });
});
