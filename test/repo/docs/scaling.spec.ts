import { describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const document = readFileSync(`${root}docs/scaling.md`, 'utf8');

describe('docs/scaling.md', () => {
  it('allows the user of Redis every command that the scripts of the broker call', () => {
    const user = /^user realtime .*$/m.exec(document)?.[0] ?? '';
    const allowed = new Set([...user.matchAll(/ \+([a-z]+)(?=\s|$)/g)].map(([, command]) => command));
    const folder = `${root}lib/brokers/redis/scripts/`;
    const called = readdirSync(folder).flatMap((file) =>
      [...readFileSync(`${folder}${file}`, 'utf8').matchAll(/redis\.p?call\('([A-Z]+)'/g)].map(
        ([, command]) => String(command).toLowerCase(),
      ),
    );
    expect(called.length).toBeGreaterThan(50);
    expect([...new Set(called)].filter((command) => !allowed.has(command))).toEqual([]);
  });
});
