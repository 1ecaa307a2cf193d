import { describe, expect, it } from '@jest/globals';
import type { Msg } from '@nats-io/transport-node';
import { readPulled } from '../../../../lib/brokers/nats/pulled-message.js';

const DATA = Uint8Array.of(1, 2);

describe('messages of a pull consumer', () => {
  it.each([
    ['of an account', '$JS.ACK.stream.consumer.1.42.7.1795803261983123456.0'],
    ['of a domain', '$JS.ACK.domain.hash.stream.consumer.1.42.7.1795803261983123456.0.random'],
  ])('have offset and time in their reply subject, %s', (_, reply) => {
    expect(readPulled(message({ reply }))).toEqual({
      kind: 'record',
      record: { offset: 42, timeMs: 1_795_803_261_983, term: 0, bytes: DATA },
      consumerSeq: 7,
    });
  });

  it.each([
    [100, 'Idle Heartbeat', 'heartbeat'],
    [404, 'No Messages', 'done'],
    [408, 'Request Timeout', 'done'],
    [409, 'Batch Completed', 'done'],
    [409, 'Message Size Exceeds MaxBytes', 'tooLarge'],
    [409, 'Consumer Deleted', 'broken'],
    [409, 'Leadership Change', 'broken'],
    [409, 'Server Shutdown', 'broken'],
    [503, '', 'broken'],
    [400, 'Bad Request', 'broken'],
  ])('are a status: %s %s is %s', (code, description, kind) => {
    expect(readPulled(message({ headers: { code, description } })).kind).toBe(kind);
  });

  it.each([100, 404, 409, 503])('are records, whatever status their publisher wrote: %s', (code) => {
    const reply = '$JS.ACK.stream.consumer.1.42.7.1795803261983123456.0';
    expect(readPulled(message({ reply, headers: { code, description: 'Batch Completed' } })).kind).toBe(
      'record',
    );
  });

  it('are records, also where their headers cannot be read', () => {
    const unreadable = Object.defineProperty(
      message({ reply: '$JS.ACK.stream.consumer.1.42.7.1795803261983123456.0' }),
      'headers',
      {
        get: () => {
          throw new Error('no header');
        },
      },
    );
    expect(readPulled(unreadable).kind).toBe('record');
  });

  it.each([undefined, '', 'somewhere', '$JS.ACK.a.b.c.d.e.f.g', '$JS.ACK.stream.consumer.1.0.1.1.0'])(
    'are broken without a place in the stream: %s',
    (reply) => {
      expect(readPulled(message({ reply })).kind).toBe('broken');
    },
  );
});

function message(fields: {
  reply?: string | undefined;
  headers?: { code: number; description: string };
}): Msg {
  return { data: DATA, ...fields } as unknown as Msg;
}
