/** Why a bench has targets that are missed. */
const REASONS = {
  channels:
    'A publish to ten subscribers is numbered, kept, encoded and answered like one to ten thousand. That takes some 15 µs, which only ten deliveries share: nearly half of the difference. The rest is memory that was not touched lately, which a loop over `ws` pays too.',
  connect:
    'Beside what `ws` does, the server checks origin, address and limits of a connection, sends it the terms of the protocol and a signed ticket for coming back, and gives it a place in registries, timers and queues. None of that is large by itself. A WebSocket implementation of our own instead of `ws` would win back a part; a parser that everybody tests is worth more. The same explains the target that is missed beside Socket.IO, which does none of this and costs about twice what `ws` does.',
  rolling:
    'The figure is the busiest second of six restarts. A node paces its clients by the time that has passed, so after a moment in which it, or the machine, stood still it asks more of them at once; a run of one round on the same day had 1.42.',
  cluster:
    'Publisher and nodes share a core, and that core is the limit: 14 µs a message, 11 of them the publisher’s. Redis numbers and keeps each message; one core of Redis takes some 170,000 of these a second, three times what a pipelined PUBLISH reaches here. So one Redis of this machine cannot reach a factor of five.',
};

/** A paragraph for each bench with a target that is missed. */
export function missesOf(results) {
  const reasons = results
    .filter(({ targets = [] }) => targets.some(({ ok }) => ok === false))
    .map(({ bench }) => `- **${bench}**: ${REASONS[bench] ?? 'not explained yet.'}`);
  return reasons.length === 0 ? '' : `### What is missed, and why\n\n${reasons.join('\n')}\n`;
}
