import { describe, expect, it } from '@jest/globals';
import { logSink, type AuditEntry } from '../../../lib/audit/index.js';

describe('the audit in the log', () => {
  it('is one line of JSON for each entry, in characters that print', async () => {
    const lines: string[] = [];
    const reason = 'a\nb\u001b[2Jc\u0085d\u2028e\u202ef';
    const entry: AuditEntry = { id: 'e1', ts: 1, node: 'n1', act: 'ban', result: 'applied', reason };
    await logSink({ write: (line) => lines.push(line) }).write(entry);
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    expect(JSON.parse(lines[0] ?? '')).toEqual(entry);
  });
});
