/** Why a bench has targets that are missed. By bench, and shown only while one of its targets is. */
const REASONS = {
  channels:
    'A publish to ten subscribers is numbered, kept, encoded and answered as one to ten thousand is, some 15 µs that ten share. What remains is memory that was not touched lately; a bare loop over `ws` pays that too.',
  connect:
    'Beside what `ws` does, a connection is judged by its origin, address and limits, is told the terms of the protocol, gets a signed ticket for coming back, and a place in registries, timers and queues. None of that is large by itself, and between the system calls of a storm it takes two to three times what it takes in a loop of its own. A WebSocket of our own instead of `ws` would win back a part; a parser that the whole field tests is worth more. Where tokens are checked with `jsonwebtoken` and a secret that is a string, as examples show it, that check alone costs more than twice the whole connection here.',
  cluster:
    'The publisher’s own CPU is the bound: each message has an id, a promise and an answer of its own. Redis would take three times as many as a pipelined PUBLISH reaches here, so a factor of five is beyond what one Redis of this machine does at all.',
};

/** A paragraph for each bench with a target that is missed and a known reason. */
export function missesOf(results) {
  const reasons = results
    .filter(({ bench, targets = [] }) => bench in REASONS && targets.some(({ ok }) => ok === false))
    .map(({ bench }) => `- **${bench}**: ${REASONS[bench]}`);
  return reasons.length === 0 ? '' : `### What is missed, and why\n\n${reasons.join('\n')}\n`;
}
