import { describe, expect, it } from '@jest/globals';
import { ReadEntries } from '../../../lib/admin/read-entries.js';
import type { AuditDraft } from '../../../lib/core/ports/audit.js';
import { ManualClock } from '../../support/engine/manual-clock.js';

const MINUTE_MS = 60_000;

function makeEntries() {
  const clock = new ManualClock();
  const drafts: AuditDraft[] = [];
  const reads = new ReadEntries({ clock, record: (draft) => void drafts.push(draft) });
  return { clock, drafts, reads };
}

describe('entries of readers in the audit', () => {
  it('has one for what a reader reads of a channel within a minute, and another after it', () => {
    const { clock, drafts, reads } = makeEntries();
    for (let n = 0; n < 3; n++) reads.add('read_history', 'ada', 'rooms.1');
    clock.advance(MINUTE_MS - 1);
    reads.add('read_history', 'ada', 'rooms.1');
    expect(drafts).toEqual([{ act: 'read_history', by: 'ada', channel: 'rooms.1' }]);
    // The minute is that of the entry: reads within it do not make it longer.
    clock.advance(1);
    reads.add('read_history', 'ada', 'rooms.1');
    reads.add('read_history', 'ada', 'rooms.1');
    expect(drafts).toHaveLength(2);
  });

  it('tells readers, channels and acts apart', () => {
    const { drafts, reads } = makeEntries();
    reads.add('read_history', 'ada', 'rooms.1');
    reads.add('read_history', 'bob', 'rooms.1');
    reads.add('read_history', 'ada', 'rooms.2');
    reads.add('read_audit', 'ada');
    expect(drafts.map(({ act, by, channel }) => [act, by, channel])).toEqual([
      ['read_history', 'ada', 'rooms.1'],
      ['read_history', 'bob', 'rooms.1'],
      ['read_history', 'ada', 'rooms.2'],
      ['read_audit', 'ada', undefined],
    ]);
  });

  it('remembers 1024, and of more forgets the one whose entry is the oldest', () => {
    const { drafts, reads } = makeEntries();
    for (let n = 0; n < 1_024; n++) reads.add('read_history', 'ada', `rooms.${n}`);
    reads.add('read_history', 'ada', 'rooms.0');
    expect(drafts).toHaveLength(1_024);
    reads.add('read_history', 'ada', 'rooms.new');
    reads.add('read_history', 'ada', 'rooms.1');
    expect(drafts).toHaveLength(1_025);
    reads.add('read_history', 'ada', 'rooms.0');
    expect(drafts).toHaveLength(1_026);
  });

  it('an entry that was made again is the newest', () => {
    const { clock, drafts, reads } = makeEntries();
    for (let n = 0; n < 1_024; n++) reads.add('read_history', 'ada', `rooms.${n}`);
    clock.advance(MINUTE_MS);
    // Not the oldest, which would make room for itself.
    reads.add('read_history', 'ada', 'rooms.1');
    for (const room of ['a', 'b', 'c']) reads.add('read_history', 'ada', `rooms.${room}`);
    expect(drafts).toHaveLength(1_028);
    reads.add('read_history', 'ada', 'rooms.1');
    expect(drafts).toHaveLength(1_028);
  });
});
