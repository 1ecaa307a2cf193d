import { describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { ROUTES } from '../../../lib/admin/routes/index.js';
import { renderAdmin } from '../../../scripts/docs/admin.mjs';
import { startAdmin } from '../../e2e/nest/admin/support.js';
import { PLATFORMS } from '../../e2e/nest/support/nest-app.js';
import { sameMarkdown } from '../../support/markdown.js';

const file = new URL('../../../docs/admin-api.md', import.meta.url);
const document = readFileSync(file, 'utf8');
const curl = promisify(execFile);

/** The requests of the transcript: path below the routes, and the body of an act. */
const REQUESTS: readonly (readonly [path: string, body?: object, authority?: string])[] = [
  ['connections?channel=rooms.42'],
  ['channels?channel=rooms.:room&limit=10'],
  [
    'publish/batch',
    {
      events: [
        { channel: 'rooms.42', event: 'said', payload: { text: 'Good morning' }, id: 'job-7' },
        { channel: 'halls.1', event: 'said', payload: { text: 'Nobody here' }, id: 'job-8' },
      ],
    },
  ],
  ['channels/history?channel=rooms.42&limit=5'],
  ['mute', { user: 'u7', channel: 'rooms.42', for: '10m', reason: 'flood' }, 'moderate'],
  ['restrictions?act=mute', undefined, 'read'],
  ['ban', { user: 'u7' }, 'read'],
  ['ban', { user: 'u7', fro: '1h' }, 'moderate'],
  ['nodes', undefined, 'read'],
];

async function transcript(): Promise<string> {
  const [, platform] = PLATFORMS[0];
  const app = await startAdmin(platform, { realtime: { nodeId: 'node-1' } });
  try {
    const client = await app.connect('u7');
    await client.reply({ type: 'subscribe', channel: 'rooms.42', payload: { presence: {} } });
    const parts: string[] = [];
    for (const [path, body, authority = 'administer'] of REQUESTS) {
      const args = ['-H', `Authorization: Bearer ${authority}`];
      if (body !== undefined) args.push('--json', JSON.stringify(body));
      const local = `http://127.0.0.1:${app.port}/realtime-admin/${path}`;
      const { stdout } = await curl('curl', ['-s', '-w', '\\n%{http_code}', ...args, local]);
      const [answer = '', status] = stdout.split('\n');
      const shown = args.map((arg) => (arg.startsWith('-') ? arg : `'${arg}'`)).join(' ');
      parts.push(
        `$ curl ${shown} 'https://example.com/realtime-admin/${path}'\n${status} ${JSON.stringify(JSON.parse(answer), masked, 1)}`,
      );
    }
    return parts.join('\n\n');
  } finally {
    await app.close();
  }
}

/** What differs from run to run. */
function masked(name: string, value: unknown): unknown {
  if (name === 'connectedAt' || name === 'ts') return 1_790_000_000_000;
  if (name === 'forMs') return 600_000;
  if (name === 'lineage' || name === 'epoch') return '…';
  return name === 'id' && typeof value === 'string' && !value.startsWith('job-') && value !== 'u7'
    ? '…'
    : value;
}

const withTranscript = (text: string) =>
  document.replace(
    /(<!-- transcript:.*?-->)[^]*?(<!-- \/transcript -->)/,
    (_all, from: string, to: string) => `${from}\n\n\`\`\`console\n${text}\n\`\`\`\n\n${to}`,
  );

describe('docs/admin-api.md', () => {
  it('has the routes that there are; `npm run docs` writes them', () => {
    expect(sameMarkdown(document, renderAdmin(document, ROUTES))).toBe(true);
    expect(sameMarkdown(document, renderAdmin(document, ROUTES.slice(1)))).toBe(false);
  });

  it('has a transcript of what a running application answers today', async () => {
    const expected = withTranscript(await transcript());
    if (process.env['UPDATE_TRANSCRIPT'] === '1') writeFileSync(file, expected);
    else expect(document).toBe(expected);
  });
});
