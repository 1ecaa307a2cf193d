import { median, percent } from '../support/statistics.mjs';
import { isOurs } from './contenders.mjs';
import { figuresOf, share, spread } from './figures.mjs';

/** How many events came, and how. */
const COUNTED = ['delivered', 'lost', 'doubled', 'out of order'];
const countsOf = ({ expected, delivered, doubled, outOfOrder }) => [
  share(delivered, expected),
  expected - delivered,
  doubled,
  outOfOrder,
];

/** What was delivered, how late, and how long a client needs to come back. */
export function tellDeliveries(report, running, title) {
  report.table({
    title,
    columns: [
      'client and server',
      ...COUNTED,
      'cuts',
      'replay p50 / p99',
      'since the cut p50 / p99',
      'delay p50 / p99',
      'later than 1 s',
    ],
    rows: running.map(({ name, turns }) => {
      const figures = figuresOf(turns);
      const { delivered, cuts, whole, replays, sinceCut, delays, late } = figures;
      // Where nothing is replayed, what came without a loss are only cuts in which nothing was published.
      const isWhole = whole > cuts / 2;
      return [
        name,
        ...countsOf(figures),
        cuts,
        isWhole ? spread(replays) : '–',
        isWhole ? spread(sinceCut) : '–',
        spread(delays),
        share(late, delivered),
      ];
    }),
    note: 'Delivered: events of the server that came to the clients, of those that were published. Replay, of cuts in which a client missed anything: from its attempt to come back until it has everything that was published before that; of sessions by polls, which outlive a cut, from the next connection. Since the cut: the same with the wait before the attempt: both clients spread themselves, the library’s over 0 to 2 s, that of Socket.IO over 0.5 to 1.5 s.',
  });
}

/** The same, where a client must notice by itself that its connection is dead. */
export function tellNoticed(report, running, title) {
  report.table({
    title,
    columns: [
      'client and server',
      ...COUNTED,
      'silenced',
      'noticed after p50 / p99',
      'complete after p50 / p99',
    ],
    rows: running.map(({ name, turns }) => {
      const figures = figuresOf(turns);
      const { cuts, whole, noticed, sinceCut } = figures;
      return [name, ...countsOf(figures), cuts, spread(noticed), whole > cuts / 2 ? spread(sinceCut) : '–'];
    }),
    note: 'Noticed: from the moment at which nothing passes any more, in both ways for half of the clients and from the server only for the others, until the client’s attempt to come back, its wait before that included; of sessions by polls, until their next connection. Complete: until it has everything that was published before that.',
  });
}

/** What became of the publishes of clients. */
export function tellPublishes(report, running, title = 'Publishes of the clients, with acknowledgement') {
  report.table({
    title,
    columns: [
      'client and server',
      'publishes',
      'acknowledged',
      'failed or unanswered',
      'acknowledged and missing',
      'delivered twice',
      'out of order',
      'handled twice',
    ],
    rows: running.map(({ name, turns }) => {
      const { made, acknowledged, failed, missing, doubled, outOfOrder, handledTwice } =
        figuresOf(turns).publishes;
      return [name, made, acknowledged, failed, missing, doubled, outOfOrder, handledTwice];
    }),
    note: 'A client publishes right before each of its cuts too, 0 to 4 ms, so that publish or acknowledgement is on its way. Missing: some member of the room never got it. The client of the library repeats a publish by itself, under its id; its event is in the log once, and a handler of the application may run again for it at another node, with that id as its idempotency key (P15c). That of Socket.IO repeats where it is told to, three times, each after 10 s (`retries`, `ackTimeout`), as in the rows with recovery; to know what was handled before is left to the application.',
  });
}

/** That neither servers nor load generator are what is measured. */
export function tellLoad(report, running) {
  report.table({
    title: 'How busy the processes were',
    columns: ['client and server', 'CPU of the servers', 'CPU of the load generator'],
    rows: running.map(({ name, turns }) => [
      name,
      percent(median(turns.map(({ serverShare }) => serverShare))),
      percent(median(turns.map(({ loadShare }) => loadShare))),
    ]),
  });
}

/** What is promised of the library. */
export function targetsOf(report, running, setting = '') {
  for (const contender of running.filter(isOurs)) {
    const { expected, delivered, doubled, outOfOrder, gaps, publishes } = figuresOf(contender.turns);
    const { failed, missing, doubled: doubledPublishes, outOfOrder: displaced } = publishes;
    report.target(`${contender.name}${setting}: events lost, announced as missing, doubled or out of order`, {
      atMost: 0,
      measured: expected - delivered + gaps + doubled + outOfOrder,
    });
    report.target(`${contender.name}${setting}: publishes failed, lost, doubled or out of order`, {
      atMost: 0,
      measured: failed + missing + doubledPublishes + displaced,
    });
    for (const { failures } of contender.turns)
      if (failures.length > 0)
        throw new Error(`${contender.name}: the server could not publish: ${failures[0]}`);
  }
}
