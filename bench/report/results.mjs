import { readdirSync, readFileSync } from 'node:fs';

const FOLDER = new URL('../results/', import.meta.url);

/** In which order the page has the benches, and what each asks. Those that are not named come last, by name. */
const QUESTIONS = {
  fanout: 'What does a delivery cost?',
  steady: 'What does a steady stream from outside cost?',
  sustained: 'How much does one core sustain?',
  latency: 'How late are deliveries?',
  log: 'What do sequence, history and dedupe cost?',
  channels: 'What do many channels cost?',
  compression: 'What does compression cost?',
  echo: 'What does a request with a reply cost?',
  metrics: 'What do metrics cost?',
  connect: 'What does a connection cost?',
  idle: 'What does an idle connection keep?',
  replay: 'What do clients cost that come back?',
  jitter: 'What reaches clients whose connections break?',
  'half-open': 'What reaches clients whose connections go silent?',
  cluster: 'What does it cost on several nodes?',
  brokers: 'What does each broker cost?',
  rolling: 'What does a rolling restart do to clients?',
  client: 'What do an event and the client itself cost in a page?',
  floods: 'What can attackers do to a node?',
  durability: 'What does a dying Redis take with it, and what does it cost to prevent that?',
};

/** Everything in `bench/results`, in the order of the page. */
export function readResults() {
  const order = Object.keys(QUESTIONS);
  const place = ({ bench }) => (order.includes(bench) ? order.indexOf(bench) : order.length);
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')))
    .map((result) => ({ ...result, question: QUESTIONS[result.bench] ?? result.bench }))
    .sort((a, b) => place(a) - place(b) || a.bench.localeCompare(b.bench));
}
