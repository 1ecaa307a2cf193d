import { describe, expect, it } from '@jest/globals';
import type { AppendRequest } from '../../../../lib/core/ports/broker.js';
import { toWireValue } from '../../../../lib/protocol/wire-value.js';
import type { Command } from '../../../../lib/brokers/machine/commands.js';
import {
  decodeRecord,
  encodeCommand,
  encodeRecord,
  recordOverhead,
} from '../../../../lib/brokers/replicated/record-codec.js';

const head = { writer: 'w"1', n: 7, incarnation: 'life-1' };

const small: AppendRequest = {
  channel: 'room',
  producer: 'u1',
  fingerprint: 'f',
  event: { id: '1', event: 'message' },
  bytes: 10,
  policy: { retain: false, size: 0, maxBytes: 0, ttlMs: 0, dedupeMs: 0 },
};

const large: AppendRequest = {
  channel: 'räum',
  producer: '',
  fingerprint: 'f2',
  after: '0',
  event: {
    id: '2',
    event: 'message',
    payload: toWireValue({ bytes: Uint8Array.of(1, 255), text: 'a\u2028b', none: null }),
    user: '',
    key: 'k',
    ttl: 0,
    trace: '00-1-2-01',
    meta: { blob: toWireValue(Uint8Array.of(3)) },
  },
  bytes: 99,
  policy: { retain: true, size: 5, maxBytes: 1_000, ttlMs: Infinity, dedupeMs: 3_000 },
};

const entry = { channel: 'room', member: 'm', device: 'd', generation: 2 };

const commands: readonly Command[] = [
  { kind: 'append', requests: [small, large] },
  {
    kind: 'enter',
    entry: { ...entry, data: toWireValue({ at: Uint8Array.of(9) }) },
    leaseMs: 100,
    node: 'n1',
  },
  { kind: 'enter', entry: { ...entry, data: null }, leaseMs: 100 },
  { kind: 'renew', entries: [entry, { ...entry, data: [1, [2]] }], leaseMs: 100 },
  { kind: 'leave', entry, graceMs: 5 },
  { kind: 'erase', channel: 'room', seqs: [1, 2] },
  { kind: 'tick' },
];

describe('the form of records', () => {
  it('gives every command back as it was', () => {
    const bytes = encodeRecord(head, commands.map(encodeCommand));
    expect(decodeRecord(bytes)).toEqual({ ...head, commands });
  });

  it('gives bounds without an end back, of a policy and of the settings of a log', () => {
    const genesis: Command = {
      kind: 'genesis',
      layout: 1,
      partitions: 8,
      hash: 'crc16',
      incarnation: 'life-1',
      version: 1,
      settings: {
        maxBytes: 1,
        maxIdBytes: 1,
        idShare: 0.1,
        maxIdleChannels: Infinity,
        headMs: Infinity,
        restrictionsEndBy: 'ts',
      },
    };
    const read = decodeRecord(encodeRecord(head, [encodeCommand(genesis)]));
    expect(read?.commands).toEqual([genesis]);
  });

  it('measures what a record takes beside its commands', () => {
    const texts = commands.map(encodeCommand);
    const written = encodeRecord({ ...head, n: Number.MAX_SAFE_INTEGER }, texts).length;
    const counted = texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
    expect(recordOverhead(head.writer, head.incarnation) + counted).toBe(written + 1);
  });

  it.each([
    ['no bytes', ''],
    ['no JSON', '{"rt":1,"w":"a"'],
    ['another form', '{"rt":2,"w":"a","n":1,"i":"l","c":[]}'],
    ['no object', '[1]'],
    ['a number that is none', '{"rt":1,"w":"a","n":1.5,"i":"l","c":[]}'],
    ['no list', '{"rt":1,"w":"a","n":1,"i":"l","c":{}}'],
    ['a command without a kind', '{"rt":1,"w":"a","n":1,"i":"l","c":[{}]}'],
    ['an append without requests', '{"rt":1,"w":"a","n":1,"i":"l","c":[{"kind":"append"}]}'],
    ['a request that is no list', '{"rt":1,"w":"a","n":1,"i":"l","c":[{"kind":"append","requests":[3]}]}'],
    ['data without its list', '{"rt":1,"w":"a","n":1,"i":"l","c":[{"kind":"enter","entry":{"data":1}}]}'],
  ])('takes %s for the bytes of another program', (_what, text) => {
    expect(decodeRecord(Buffer.from(text))).toBeUndefined();
  });

  it('hands on a kind that it does not know: the machine decides', () => {
    const read = decodeRecord(Buffer.from('{"rt":1,"w":"a","n":1,"i":"l","c":[{"kind":"later","x":1}]}'));
    expect(read?.commands).toEqual([{ kind: 'later', x: 1 }]);
  });
});
