/** What bounds and promises cost in the common case, beside a build from before them; measured in alternating processes. */
export function promisesOf() {
  return `### What the promises cost

Beside the last build without bounds in bytes and wire values (commit e2deb67), fan-out costs the same. What is left elsewhere buys this:

- **An idle connection** has some 4 % more of JavaScript heap, 250 bytes: the credit of its frames (G16), its place among the names of channels that its client used (\`limits.maxDistinctChannels\`), and the bytes that are kept for its subscriptions (\`limits.maxRetainedBytesPerUser\`).
- **A request** costs the engine about half a microsecond more, of 5: its frame is counted before it is parsed and weighed after it, and its answer is charged in bytes to the connection and to the client (G16).
- **A publish with a handler** costs the engine some 4 µs more, of 12. The payload that the handler returns is copied, so that it stays as it was published (P29); the run of the handler is shared with whoever sends the publish again (P15c); and the ids that the log remembers are counted in bytes for each producer, whose share is bounded (G13, G14). Half of it is the garbage collector, which follows what is remembered for longer.
- **After its start** a node has more to compile: it reaches its speed after some seconds of work, not after one.
`;
}
