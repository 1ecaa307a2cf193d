/** The event that every peer sends: the library's own envelope around a payload of `bytes` bytes, as an object. */
export function eventOf(seq, bytes) {
  return {
    type: 'event',
    channel: 'bench.fanout',
    event: 'tick',
    seq,
    epoch: 'k3f9k3f9k3f9',
    id: '01J00000-0000-7000-8000-000000000000',
    ts: Date.now(),
    payload: payloadOf(bytes),
  };
}

export function eventText(seq, bytes) {
  return JSON.stringify(eventOf(seq, bytes));
}

export function payloadOf(bytes) {
  return 'x'.repeat(bytes);
}
