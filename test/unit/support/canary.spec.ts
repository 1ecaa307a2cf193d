import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TicketSigner } from '../../../lib/core/access/ticket.js';
import {
  CANARY,
  findSecrets,
  findSecretsInFiles,
  forgetNotes,
  noteSecrets,
  OutputScan,
  readNotes,
  runScanned,
} from '../../../scripts/canary.mjs';

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const body = `${part({ alg: 'HS256' })}.${part({ sub: 'a' })}`;
const token = `${body}.${createHmac('sha256', 'key').update(body).digest('base64url')}`;
const signer = new TicketSigner('x'.repeat(32));
const ticket = { node: 'n1', lineage: 'l1', generation: 1 };

const PLANTED = [
  ['a marker of a payload', `{"text":"${CANARY}"}`],
  ['a token', token],
  ['a ticket of a user', signer.sign({ ...ticket, user: 'u7' })],
  ['a ticket of nobody', signer.sign({ ...ticket, user: undefined })],
] as const;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'canary-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the scan of what the tests print', () => {
  it.each(PLANTED)('finds %s in a line, and does not repeat it (G23)', (_, secret) => {
    const found = findSecrets(`a log line with ${secret} in it`);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain('a log line with');
    expect(found[0]).not.toContain(secret);
  });

  it.each(PLANTED)('finds %s wherever a stream is cut (G23)', (_, secret) => {
    const text = `first line\nsecond ${secret} line\nthird`;
    for (let at = 0; at <= text.length; at++) {
      const scan = new OutputScan();
      scan.write(text.slice(0, at));
      scan.write(text.slice(at));
      expect(scan.end()).toHaveLength(1);
    }
  });

  it('finds a secret at the end of a line of megabytes, once or more often (G23)', () => {
    const scan = new OutputScan();
    const pad = '.'.repeat(700_000);
    for (const piece of [pad, pad, token.slice(0, 20), token.slice(20), pad]) scan.write(piece);
    expect(scan.end().length).toBeGreaterThan(0);
  });

  it('passes what is no secret (G23)', () => {
    const harmless = [
      'Sec-WebSocket-Protocol: realtime.v1.json, bearer.…',
      'eyJhbGciOiJIUzI1NiJ9…',
      'session WyJ1NyIs…',
      'rooms.42 at k3f9Qx0aTz1b.17',
      'at Object.<anonymous> (test/e2e/nest/auth.spec.ts:100:5)',
    ];
    for (const line of harmless) expect(findSecrets(line)).toEqual([]);
  });

  it.each(['stdout', 'stderr'])('finds what a program writes to %s, and passes it on (G23)', async (name) => {
    const written: string[] = [];
    const script = `process.${name}.write('before ' + process.env.PLANTED + ' behind')`;
    const result = await runScanned(process.execPath, ['-e', script], {
      env: { ...process.env, PLANTED: token },
      write: (stream, piece) => written.push(`${stream}: ${piece}`),
    });
    expect(result.status).toBe(0);
    expect(result.findings).toEqual([expect.stringContaining('a token (JWT) behind "before "')]);
    expect(written.join('')).toContain(`${name}: before ${token} behind`);
  });

  it('passes on the exit code of a program, and finds nothing where there is nothing (G23)', async () => {
    const script = "console.log('all is well'); process.exit(3)";
    const result = await runScanned(process.execPath, ['-e', script], { write: () => undefined });
    expect(result).toEqual({ status: 3, findings: [] });
  });

  it('notes what a logger was given, until it is forgotten (G23)', () => {
    noteSecrets('nothing', folder);
    expect(readNotes(folder)).toEqual([]);
    noteSecrets(`with ${token}`, folder);
    noteSecrets(`with ${CANARY}`, folder);
    expect(readNotes(folder)).toHaveLength(2);
    forgetNotes(folder);
    expect(readNotes(folder)).toEqual([]);
  });

  it('finds a secret in a result file, and does without one that is not there (G23)', () => {
    const file = join(folder, 'jest.json');
    writeFileSync(file, JSON.stringify({ message: token }));
    expect(findSecretsInFiles([file, join(folder, 'none.json')])).toEqual([expect.stringContaining(file)]);
  });
});
