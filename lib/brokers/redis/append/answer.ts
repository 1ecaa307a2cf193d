import { fail, type PendingAppend } from './pending.js';

/** What the script says of one event: its `seq`, `seq epoch` of a duplicate, `c` (conflict), `o` (out of order). */
export type AppendAnswer = string | number;

export function settle(item: PendingAppend, epoch: string, answer: AppendAnswer): void {
  if (typeof answer === 'number') {
    item.call.settle(item.index, { ok: true, position: { epoch, seq: answer }, duplicate: false });
  } else if (answer === 'c') {
    fail(item, 'conflict');
  } else if (answer === 'o') {
    fail(item, 'out_of_order');
  } else {
    const [seq, known = ''] = answer.split(' ');
    item.call.settle(item.index, { ok: true, position: { epoch: known, seq: Number(seq) }, duplicate: true });
  }
}

/** Who was refused for what he sent stays refused; nobody else is told that he succeeded. */
export function settleUnproven(item: PendingAppend, answer: AppendAnswer): void {
  if (answer === 'c') fail(item, 'conflict');
  else if (answer === 'o') fail(item, 'out_of_order');
  else fail(item, 'timeout');
}
