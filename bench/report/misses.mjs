/** Why a bench has targets that are missed. */
const REASONS = {
  channels:
    'A publish to ten subscribers is numbered, kept, encoded and answered as one to ten thousand is, some 15 µs that ten share: nearly half of what makes a delivery dearer. The rest is memory that was not touched lately, which a loop over `ws` pays too.',
  connect:
    'Beside what `ws` does, a connection is judged by its origin, address and limits, is told the terms of the protocol, gets a signed ticket for coming back, and a place in registries, timers and queues. None of that is large by itself. A WebSocket of our own instead of `ws` would win back a part; a parser that the whole field tests is worth more. The same is what is missing beside Socket.IO, which does none of this and costs some twice what `ws` does.',
  cluster:
    'Publisher and nodes share a core, and that core is the bound: 14 µs a message, 11 of them the publisher’s. Redis numbers and keeps each message; of these one core of it takes some 170,000 a second, three times what a pipelined PUBLISH reaches here. So a factor of five is beyond what one Redis of this machine does.',
};

/** A paragraph for each bench with a target that is missed. */
export function missesOf(results) {
  const reasons = results
    .filter(({ targets = [] }) => targets.some(({ ok }) => ok === false))
    .map(({ bench }) => `- **${bench}**: ${REASONS[bench] ?? 'not explained yet.'}`);
  return reasons.length === 0 ? '' : `### What is missed, and why\n\n${reasons.join('\n')}\n`;
}
