import { check, type Check } from '../check.js';

const durability = check({
  id: 'broker.durability',
  title: 'Durability',
  asks: 'What does an acknowledged event survive?',
  see: 'scaling.md#choose-a-durability',
  clients: false,
  outcomes: {
    process: {
      level: 'warning',
      finding:
        'The broker {broker} is this process: events, members, bans and restrictions end with it, at each deploy, and a second process is another server.',
      remedy:
        'Take redisBroker({ url }) of nestjs-realtime/redis, or accept this where one process and empty logs after a restart will do.',
    },
    broker: {
      level: 'ok',
      finding:
        'The broker {broker}: it survives every node, and a fail-over of the storage loses the last moment at most.',
    },
    replicated: {
      level: 'ok',
      finding: 'The broker {broker} and its replicas: it survives the loss of one of them.',
    },
  },
  judge: ({ broker: { name, capabilities } }) => [
    { outcome: capabilities.durability, values: { broker: name } },
  ],
});

const reach = check({
  id: 'broker.reach',
  title: 'Reach',
  asks: 'Can the broker be reached from here?',
  see: 'scaling.md#connect-to-redis',
  clients: false,
  outcomes: {
    inside: { level: 'ok', finding: 'It is in this process.' },
    silent: { level: 'ok', finding: 'The broker {broker} has no inspect(), so it was not asked.' },
    answered: { level: 'ok', finding: 'The storage of {broker} answered in {took}.' },
    unasked: {
      level: 'advice',
      finding: 'The storage of {broker} was not asked, as --offline says.',
      remedy: 'Run the doctor once where the broker can be reached.',
    },
    away: {
      level: 'error',
      finding: 'The storage of {broker} cannot be reached: {why}',
      remedy: 'Start it, or correct its address. Where it cannot be reached from here, say --offline.',
    },
  },
  judge: ({ broker: { name }, storage }) => {
    const values = { broker: name };
    if (storage.state === 'away') return [{ outcome: 'away', values: { ...values, why: storage.why } }];
    if (storage.state !== 'asked') return [{ outcome: storage.state, values }];
    return [{ outcome: 'answered', values: { ...values, took: `${Math.round(storage.tookMs)} ms` } }];
  },
});

const server = check({
  id: 'broker.server',
  title: 'Storage',
  asks: 'Do the settings of the storage weaken what the broker promises?',
  see: 'scaling.md#set-up-redis',
  clients: false,
  outcomes: {
    fit: { level: 'ok', finding: 'No setting of the storage weakens what {broker} promises.' },
    unknown: { level: 'ok', finding: 'Nothing was asked; see broker.reach.' },
    weak: { level: 'warning', finding: '{problem}', remedy: '{remedy}' },
  },
  judge: ({ broker: { name }, storage }) => {
    if (storage.state !== 'asked') return [{ outcome: 'unknown' }];
    const { weaknesses } = storage;
    return weaknesses.length === 0
      ? [{ outcome: 'fit', values: { broker: name } }]
      : weaknesses.map(({ problem, remedy }) => ({ outcome: 'weak', values: { problem, remedy } }));
  },
});

export const BROKER: readonly Check[] = [durability, reach, server];
