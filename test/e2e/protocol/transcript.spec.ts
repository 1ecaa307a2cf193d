import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { ConnectionRequest } from '../../../lib/core/ports/channel-definition.js';
import { readTranscript, TranscriptPlayer } from '../../support/wire/transcript.js';
import { wireChannel } from '../../support/wire/channel.js';
import { ENGINE_DEFAULTS } from '../../../lib/core/ports/settings-defaults.js';
import { startWireServer } from '../../support/wire/server.js';

const DOCUMENT = new URL('../../../docs/protocol.md', import.meta.url);

/** What the document says of the application behind the transcript. */
const CHANNELS = [
  wireChannel('rooms.:room', {
    presence: true,
    publish: ['message.created'],
    signals: ['typing'],
    behaviour: { requests: new Map([['rename', ({ payload }) => payload]]) },
  }),
];
const REQUESTS = new Map<string, ConnectionRequest>([
  ['hush', { authorize: 'public', handle: () => undefined }],
]);

describe('the transcript of docs/protocol.md', () => {
  it('a raw client receives it line by line (P1, P2, P3, P5, P6, P7, P10–P13, P15, P16, P18, G2, G4, G9)', async () => {
    const steps = readTranscript(readFileSync(DOCUMENT, 'utf8'));
    expect(steps.length).toBeGreaterThan(50);
    // The numbers of `welcome` are the defaults.
    const { heartbeat } = ENGINE_DEFAULTS;
    const server = await startWireServer({
      channels: CHANNELS,
      requests: REQUESTS,
      settings: { heartbeat },
    });
    const player = new TranscriptPlayer(server.url);
    try {
      await player.play(steps);
    } finally {
      player.end();
      await server.close();
    }
    expect(player.unmentioned).toEqual([]);
    expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
