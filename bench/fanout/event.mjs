/** The event that every peer sends: the library's own envelope around the payload, as an object. */
export function eventOf(seq, payload) {
  return {
    type: 'event',
    channel: 'bench.fanout',
    event: 'tick',
    seq,
    epoch: 'k3f9k3f9k3f9',
    id: '01J00000-0000-7000-8000-000000000000',
    ts: Date.now(),
    payload,
  };
}

export function eventText(seq, payload) {
  return JSON.stringify(eventOf(seq, payload));
}
