import { describe, expect, it } from '@jest/globals';
import { checkHistory, type CheckOptions } from '../support/fault/history-checker.js';
import { HistoryRecorder } from '../support/fault/history-recorder.js';
import type { FinalLog, HistoryAnswer, HistoryRule } from '../support/fault/history-types.js';

const ROOM = 'rooms.1';

const fresh = (seq = 0, epoch = 'a'): HistoryAnswer => ({ recovery: 'new', position: { epoch, seq } });
const complete = (seq: number, epoch = 'b'): HistoryAnswer => ({
  recovery: 'complete',
  position: { epoch, seq },
});
const lost = (seq: number, epoch = 'b'): HistoryAnswer => ({ recovery: 'lost', position: { epoch, seq } });

/** A history with clients `left` and `right`, both subscribed from the start unless said otherwise. */
class Story {
  readonly history = new HistoryRecorder(() => 0);

  constructor(clients: readonly string[] = ['left', 'right']) {
    for (const client of clients) this.history.answer(client, ROOM, fresh());
  }

  /** Publishes `e<seq>` for each place and has it acknowledged there. */
  publish(from: number, to = from, epoch = 'a'): this {
    for (let seq = from; seq <= to; seq++) {
      this.history.invoke('p', ROOM, `e${seq}`);
      this.history.acknowledged(`e${seq}`, { epoch, seq });
    }
    return this;
  }

  give(client: string, seqs: readonly number[], epoch = 'a'): this {
    for (const seq of seqs) this.history.deliver(client, ROOM, { epoch, seq, id: `e${seq}` });
    return this;
  }

  both(seqs: readonly number[], epoch = 'a'): this {
    return this.give('left', seqs, epoch).give('right', seqs, epoch);
  }

  rules(log: FinalLog, options?: CheckOptions): readonly HistoryRule[] {
    return [...new Set(checkHistory(this.history, [log], options).violations.map(({ rule }) => rule))].sort();
  }
}

function log(ids: readonly string[], epoch = 'a', first = 1): FinalLog {
  const events = ids.map((id, index) => ({ seq: first + index, id }));
  return { channel: ROOM, position: { epoch, seq: first + ids.length - 1 }, events };
}

const THREE = log(['e1', 'e2', 'e3']);

describe('the history checker with a correct history', () => {
  it('reports nothing when every client gets every event', () => {
    const story = new Story().publish(1, 3).both([1, 2, 3]);
    const report = checkHistory(story.history, [THREE]);
    expect(report).toMatchObject({ violations: [], acknowledged: 3, delivered: 6, gaps: 0, losses: 0 });
  });

  it('checks a client that subscribes later from its position', () => {
    const story = new Story(['left']).publish(1, 3).give('left', [1, 2, 3]);
    story.history.answer('late', ROOM, fresh(2));
    expect(story.give('late', [3]).rules(THREE)).toEqual([]);
  });

  it('accepts announced ranges: gap, partial gap, truncated and lost', () => {
    const story = new Story(['gap', 'partial', 'truncated', 'lost']).publish(1, 3);
    story.history.gap('gap', ROOM, 'a', { from: 1, to: 2 });
    story.history.gap('partial', ROOM, 'a', { from: 1, to: 3, partial: true });
    story.history.answer('truncated', ROOM, {
      recovery: 'truncated',
      position: { epoch: 'a', seq: 3 },
      from: 3,
      to: 3,
    });
    story.give('lost', [1]).history.answer('lost', ROOM, lost(3, 'a'));
    story.give('gap', [3]).give('partial', [2]).give('truncated', [3]);
    expect(story.rules(THREE)).toEqual([]);
  });

  it('accepts a new epoch that lost nothing, and one whose loss was announced', () => {
    const story = new Story().publish(1, 2).both([1, 2]);
    story.history.reset('left', ROOM, complete(2));
    story.history.answer('right', ROOM, complete(2));
    story.publish(3, 3, 'b').both([3], 'b');
    expect(story.rules(log(['e1', 'e2', 'e3'], 'b'))).toEqual([]);

    const flushed = new Story().publish(1, 2).both([1, 2]);
    flushed.history.reset('left', ROOM, lost(0));
    flushed.history.reset('right', ROOM, lost(0));
    flushed.history.invoke('p', ROOM, 'after');
    flushed.history.acknowledged('after', { epoch: 'b', seq: 1 });
    for (const client of ['left', 'right'])
      flushed.history.deliver(client, ROOM, { epoch: 'b', seq: 1, id: 'after' });
    expect(flushed.rules(log(['after'], 'b'), { mayLose: true })).toEqual([]);
    expect(flushed.rules(log(['after'], 'b'))).toEqual(['vanished']);
  });

  it('accepts an unanswered publish that reached all clients or none', () => {
    const story = new Story().publish(1).both([1]);
    for (const id of ['e2', 'e9']) story.history.invoke('p', ROOM, id);
    for (const id of ['e2', 'e9']) story.history.unknown(id, 'outcome_unknown');
    expect(story.both([2]).rules(log(['e1', 'e2']))).toEqual([]);
  });
});

describe('the history checker with an incorrect history', () => {
  const cases: readonly (readonly [string, readonly HistoryRule[], (story: Story) => Story])[] = [
    [
      'a dropped event',
      ['hole', 'undelivered'],
      (story) => story.give('left', [1, 2, 3]).give('right', [1, 3]),
    ],
    ['a dropped last event', ['behind', 'undelivered'], (story) => story.both([1, 2]).give('left', [3])],
    [
      'two swapped events',
      ['hole', 'repeat', 'undelivered'],
      (story) => story.give('left', [1, 2, 3]).give('right', [2, 1, 3]),
    ],
    [
      'an event that is delivered twice',
      ['repeat'],
      (story) => story.both([1, 2]).give('left', [2]).both([3]),
    ],
    ['a client that receives nothing', ['behind', 'undelivered'], (story) => story.give('left', [1, 2, 3])],
    [
      'one id at two positions',
      ['order', 'repeat', 'undelivered'],
      (story) => {
        story.both([1, 2]).give('left', [3]);
        story.history.deliver('right', ROOM, { epoch: 'a', seq: 3, id: 'e2' });
        return story;
      },
    ],
    [
      'an event that nobody published',
      ['order', 'phantom', 'undelivered'],
      (story) => {
        story.both([1, 2]).give('left', [3]);
        story.history.deliver('right', ROOM, { epoch: 'a', seq: 3, id: 'ghost' });
        return story;
      },
    ],
    [
      'an event of another epoch without a reset',
      ['behind', 'protocol', 'undelivered'],
      (story) => story.both([1, 2]).give('left', [3]).give('right', [3], 'z'),
    ],
    [
      'a forgotten position',
      ['protocol'],
      (story) => {
        story.both([1, 2, 3]).history.answer('left', ROOM, fresh(3));
        return story;
      },
    ],
    [
      'a recovery that skips an event',
      ['hole', 'undelivered'],
      (story) => {
        story.both([1]).history.answer('left', ROOM, complete(3, 'a'));
        return story.give('left', [3]).give('right', [2, 3]);
      },
    ],
    [
      'a publish that was never answered',
      ['silence'],
      (story) => {
        story.both([1, 2, 3]).history.invoke('p', ROOM, 'e4');
        return story;
      },
    ],
  ];

  it.each(cases)('reports %s', (_, rules, tell) => {
    expect(tell(new Story().publish(1, 3)).rules(THREE)).toEqual(rules);
  });

  it('reports an ignored epoch: the log started again without announcement', () => {
    const story = new Story(['left']).publish(1, 2).give('left', [1, 2]);
    for (const seq of [1, 2, 3]) {
      story.history.invoke('p', ROOM, `n${seq}`);
      story.history.acknowledged(`n${seq}`, { epoch: 'a', seq });
    }
    story.history.deliver('left', ROOM, { epoch: 'a', seq: 3, id: 'n3' });
    const rules = story.rules(log(['n1', 'n2', 'n3'], 'a'), { mayLose: true });
    expect(rules).toEqual(['order', 'undelivered', 'vanished']);
  });

  it('reports a complete recovery into a log with other content', () => {
    const story = new Story(['left']).publish(1, 3).give('left', [1, 2]);
    story.history.invoke('p', ROOM, 'other');
    story.history.acknowledged('other', { epoch: 'b', seq: 2 });
    story.history.reset('left', ROOM, complete(2));
    const rules = story.rules(log(['e1', 'other'], 'b'), { mayLose: true });
    expect(rules).toEqual(['order', 'undelivered']);
  });

  it('reports an acknowledged event that is in the log twice, elsewhere or not at all', () => {
    const story = () => new Story([]).publish(1, 3);
    expect(story().rules(log(['e1', 'e2', 'e3', 'e2']))).toEqual(['log']);
    expect(story().rules(log(['e2', 'e1', 'e3']))).toEqual(['log', 'order', 'publish-order']);
    expect(story().rules(log(['e1', 'e2']), { mayLose: true })).toEqual(['vanished']);
  });

  it('reports a refused publish that is in the log and was delivered', () => {
    const story = new Story(['left']).publish(1);
    story.history.invoke('p', ROOM, 'e2');
    story.history.refused('e2', 'forbidden');
    expect(story.give('left', [1, 2]).rules(log(['e1', 'e2']))).toEqual(['log', 'phantom']);
  });
});
