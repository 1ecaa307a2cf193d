import { describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createChatApp } from '../../../sample/chat/chat.app.js';
import { diagnose, type DoctorReport } from '../../../lib/doctor/index.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const BIN = join(root, 'dist/doctor/bin.js');
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};

/** What is accepted of the sample, as CI accepts it. */
const accept = Object.fromEntries(
  [...(scripts['doctor:sample'] ?? '').matchAll(/--accept "([^=]+)=([^"]+)"/g)].map(
    ([, id = '', why = '']) => [id, why],
  ),
);

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command in a process of its own. */
function command(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const { NODE_OPTIONS: _ours, ...inherited } = process.env;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [BIN, ...args],
      { cwd: root, env: { ...inherited, ...env } },
      (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
  });
}

describe('the doctor on the sample', () => {
  it('passes it strictly, with what is accepted of a demo', async () => {
    const report = await diagnose(() => createChatApp({}, { logger: false, abortOnError: false }), {
      strict: true,
      accept,
    });
    const left = report.findings.filter(
      ({ level, accepted }) => level !== 'ok' && level !== 'advice' && accepted === undefined,
    );
    expect(left).toEqual([]);
    expect(report.passed).toBe(true);
    expect(Object.keys(accept).length).toBeGreaterThan(0);
  });
});

describe('the command of the doctor, in a process of its own', () => {
  it('looks at a compiled application, prints JSON alone, and ends with its verdict', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nestjs-realtime-doctor-'));
    const file = join(folder, 'app.module.mjs');
    const entry = JSON.stringify(`file://${root}dist/index.js`);
    const secret = 'Zk3v0Qy7wXn1Lr9Tb5Hs2Jd8Gf4Mc6Pa';
    writeFileSync(
      file,
      [
        `import { RealtimeModule } from ${entry};`,
        `console.log('what the application prints');`,
        // Keeps the process alive, as the pool of a database does.
        'setInterval(() => undefined, 1_000);',
        'class RootModule {}',
        `export const app = { module: RootModule, imports: [RealtimeModule.forRoot({ auth: { jwt: { secret: process.env.SECRET } } })] };`,
      ].join('\n'),
    );
    try {
      const good = await command(['doctor', file, '--json'], { SECRET: secret });
      expect(good.code).toBe(0);
      expect(good.stderr).toContain('what the application prints');
      const report = JSON.parse(good.stdout) as DoctorReport;
      expect(report.findings).toContainEqual(expect.objectContaining({ id: 'boot', outcome: 'empty' }));
      const bad = await command(['doctor', file], { SECRET: 'secret' });
      expect(bad.code).toBe(1);
      expect(bad.stdout).toContain('Not fit for production: access.secrets.');
      // No terminal, so no colours.
      expect(bad.stdout.includes('\u001b')).toBe(false);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('says so where the application ends the process while it is made', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nestjs-realtime-doctor-'));
    const file = join(folder, 'app.mjs');
    writeFileSync(file, 'export const create = () => process.exit(1);');
    try {
      const ended = await command(['doctor', `${file}#create`]);
      expect(ended).toMatchObject({ code: 1, stdout: '' });
      expect(ended.stderr).toContain('The application ended the process while it was made.');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('answers a wrong path with one sentence', async () => {
    expect(await command(['doctor', 'dist/gone.module.js'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'There is no file dist/gone.module.js: build the application first, or correct the path.\n',
    });
  });
});
