/** Megabytes above the node's own: what its heap may grow to, and as much in buffers. */
const PEAK_RSS_MB = 192;
/** Megabytes that are in use after collecting, with the attackers connected. */
const HELD_MB = 96;
const PING_MS = 100;
/** Share of the time: above it other processes load the machine, and what counts is the node's own CPU. */
const LOADED = 0.25;
/** What a crowd at one address is refused with: more than may be connected, or may wait (limits.admissionWait), whoever they are. */
const CROWDED = ['429', '4009'];
/** Lines of the log in ten seconds: an attacker must not fill a disk. */
const LOG_LINES = 100;
/** What the operator is told of: who is closed or banned for what it does. */
const PUNISHED = ['4807', '4803', '4006', '403'];
/** What the operator is told of where the broker forgot what others wrote. */
const FORGOT = /memoryBroker reached a bound/;
/** Codes of a failure of the server; an attacker never causes one. */
const FAILURES = ['4005', '1011', '1006'];

/**
 * What a flood did that no flood may do.
 *
 * @param {object} result Of {@link FloodSite.run}.
 * @param {object} flood
 * @param {{ pingMs?: number }} [limits] `pingMs` of a slow machine. Default 100.
 * @returns {string[]} nothing where the node stood.
 */
export function faultsOf(
  result,
  { answered, crowded = false, fills = false, slowMs = 0, heldMb = HELD_MB, peakMb = PEAK_RSS_MB },
  { pingMs = PING_MS } = {},
) {
  const { survived, exit, memory, loop, cpu, neighbour, attack, log } = result;
  if (!survived) return [`the node ended with ${exit}`];
  const faults = [];
  const unless = (holds, fault) => holds || faults.push(fault);
  unless(memory !== undefined, 'the node did not answer any more');
  if (memory !== undefined) {
    unless(memory.peakRss <= peakMb, `${megabytes(memory.peakRss)} of memory at its peak`);
    unless(memory.held <= heldMb, `${megabytes(memory.held)} are held`);
  }
  const { idle, during, settled, lost, gaps, closed, refused, behind, forgotten, answers } = neighbour;
  const bound = Math.max(pingMs, slowMs, 2 * idle.pingP99);
  if (loop !== undefined && cpu.waited > LOADED)
    unless(loop.turnP99 <= bound, `turns of ${ms(loop.turnP99)} of CPU`);
  else unless(during.pingP99 <= bound, `pings of ${ms(during.pingP99)}`);
  unless(settled.pingP99 <= 2 * bound, `pings of ${ms(settled.pingP99)} when it was over`);
  unless(lost === 0 && behind === 0, `the neighbour lost ${lost + behind} events`);
  unless(gaps === 0, `the neighbour was told of ${gaps} gaps`);
  if (!fills) unless(forgotten === 0, `${forgotten} old events of others are forgotten`);
  else if (forgotten > 0)
    unless(
      log.kinds.some(([line]) => FORGOT.test(line)),
      `the log does not say that ${forgotten} old events of others are forgotten`,
    );
  unless(closed.length === 0, `the neighbour was closed with ${closed}`);
  unless(refused.length === 0, `publishes of the neighbour: ${[...new Set(refused)]}`);
  unless(answers, 'the neighbour got no answer');
  for (const [kind, { tried, refused }] of Object.entries(during.newcomers)) {
    const why =
      kind === 'shared' && crowded ? refused.filter((reason) => !CROWDED.includes(reason)) : refused;
    unless(why.length === 0, `${why.length} of ${tried} newcomers (${kind} address): ${[...new Set(why)]}`);
  }
  unless(
    during.newcomers.own.in >= during.newcomers.own.tried / 2,
    `newcomers do not get in: ${during.newcomers.own.in} of ${during.newcomers.own.tried}`,
  );
  const verdicts = verdictsOf(attack);
  for (const code of FAILURES) unless(!(code in verdicts), `attackers caused ${code}`);
  unless(!('internal' in verdicts), 'attackers caused internal errors');
  unless(
    answered === undefined || answered.some((code) => code in verdicts),
    `nobody was told ${answered?.join(' or ')}`,
  );
  // Lines of one kind come seconds apart: an earlier flood of the same node may have had this one.
  unless(
    log.lines + log.earlier > 0 || !PUNISHED.some((code) => code in verdicts),
    'the log says nothing of it',
  );
  unless(log.lines <= LOG_LINES, `${log.lines} lines of log`);
  return faults;
}

/** What attackers were told, and how often: close codes, statuses of HTTP, and codes of errors. */
export function verdictsOf({ closed, refused, errors }) {
  return { ...errors, ...refused, ...closed };
}

const ms = (value) => `${value.toFixed(0)} ms`;
const megabytes = (value) => `${value.toFixed(0)} MB`;
