/** What bounds and promises cost in the common case, beside a build from before them; measured in alternating processes. */
export function promisesOf() {
  return `### What the promises cost

Beside the last build without bounds in bytes and wire values (commit e2deb67), on one idle machine, in alternating rounds: fan-out costs the same (1.03, 0.97 and 1.00 at 1, 10 and 100 events in a turn; the old build against itself: 0.96 to 1.23). More costs:

- **An idle connection**, some 4 % of JavaScript heap, 250 bytes: the credit of its frames (G16), its place among the names of channels that its client used (\`limits.maxDistinctChannels\`), and the bytes that are kept for its subscriptions (\`limits.maxRetainedBytesPerUser\`).
- **A request without enhancers**, 22 % (19.4 µs of CPU, 16.4 before): its frame is counted before it is parsed and weighed after it, and its answer is charged in bytes to the connection and to the client (G16).
- **A publish with a handler**, 27 % in the engine alone, without sockets. The payload that the handler returns is copied, so that it stays as it was published (P29); the run of the handler is shared with whoever sends the publish again (P15c); and the ids that the log remembers are counted in bytes for each producer (G13, G14). Which of these costs how much was read from profiles, not measured one by one. An earlier figure, 61 % with sockets, is not its price: after some 150 000 publishes within the dedupe window the anonymous clients of that run had no room for further ids (\`maxIdBytes\`), and what was measured from there on were refusals. \`bench:echo\` fails now where a server refuses.
`;
}
