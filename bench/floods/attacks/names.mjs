// What is kept for a client: parameters, presence data, channels, logs.
const text = (bytes) => 'x'.repeat(bytes);
const FAT = text(60_000);
const MALLORY = () => ({ user: 'mallory' });
const many = (index) => ({ user: `mallory-${index}` });
const publish = (channel, payload) => ({ type: 'publish', channel, event: 'said', payload });

export const nameFloods = [
  {
    name: 'fat-params',
    title: '161 connections of one user, each subscribe with 60 KB of params',
    answered: ['message_too_large', 'bad_request'],
    attack: (army) =>
      army.keep(
        161,
        (socket, index) =>
          army.every(socket, 120, (round) => {
            const payload = { params: { text: FAT }, presence: false };
            army.send(socket, { type: 'subscribe', channel: `rooms.p${index}-${round % 128}`, payload });
          }),
        MALLORY,
      ),
  },
  {
    name: 'fat-presence',
    title: '150 members of one room, each with 60 KB of presence data that changes',
    attack: (army) =>
      army.keep(
        150,
        (socket) => {
          socket.onText = undefined;
          army.send(socket, {
            type: 'subscribe',
            channel: 'rooms.fair',
            payload: { presence: { data: { text: FAT } } },
          });
          return army.every(socket, 500, (round) =>
            army.send(socket, {
              type: 'presence_update',
              channel: 'rooms.fair',
              payload: { data: { round, text: FAT } },
            }),
          );
        },
        many,
      ),
  },
  {
    name: 'fat-presence-rooms',
    title: '40 users who are members of ever new rooms, with 60 KB of presence data each',
    attack: (army) =>
      army.keep(
        40,
        (socket, index) => {
          socket.onText = undefined;
          return army.every(socket, 120, (round) =>
            army.send(socket, {
              type: 'subscribe',
              channel: `rooms.fair-${index}-${round}`,
              payload: { presence: { data: { text: FAT } } },
            }),
          );
        },
        many,
      ),
  },
  {
    name: 'flapping-members',
    title: '150 members who join and leave one room',
    attack: (army) =>
      army.keep(
        150,
        (socket) => {
          socket.onText = undefined;
          return army.every(socket, 50, () =>
            army.send(
              socket,
              { type: 'subscribe', channel: 'rooms.flap', payload: {} },
              { type: 'unsubscribe', channel: 'rooms.flap' },
            ),
          );
        },
        many,
      ),
  },
  {
    name: 'new-channels',
    title: 'publishes to ever new channels, 10 connections of one user',
    attack: (army) => newChannels(army, 10, MALLORY, 'small'),
  },
  {
    name: 'new-channels-anonymous',
    title: 'the same, of nobody',
    attack: (army) => newChannels(army, 10, () => ({}), 'small'),
  },
  {
    name: 'new-channels-fat',
    title: 'publishes of 60 KB to ever new channels, 40 users',
    fills: true,
    attack: (army) => newChannels(army, 40, many, FAT),
  },
  {
    name: 'unknown-names',
    title: 'history, presence and subscribe on names that were never written',
    attack: (army) =>
      army.keep(
        10,
        (socket, index) =>
          army.every(socket, 60, (round) => {
            const channel = `rooms.void-${index}-${round}`;
            army.send(
              socket,
              { type: 'history', channel },
              { type: 'presence', channel },
              { type: 'subscribe', channel, payload: {} },
            );
          }),
        many,
      ),
  },
  {
    name: 'unknown-names-packed',
    title: '250 of them in each frame, above every limit',
    answered: ['rate_limited'],
    attack: (army) =>
      army.keep(
        10,
        (socket, index) =>
          army.every(socket, 20, (round) => {
            const asks = Array.from({ length: 250 }, (_, ask) => ({
              type: 'history',
              channel: `rooms.void-${index}-${round}-${ask}`,
            }));
            army.send(socket, ...asks);
          }),
        many,
      ),
  },
  {
    name: 'subscribe-cycles',
    title: 'subscribe and unsubscribe, as fast as the limits allow, 20 connections of 10 users',
    attack: (army) =>
      army.keep(
        20,
        (socket, index) =>
          army.every(socket, 40, (round) => {
            const channel = `rooms.cycle-${index}-${round % 500}`;
            army.send(socket, { type: 'subscribe', channel, payload: {} }, { type: 'unsubscribe', channel });
          }),
        (index) => many(index % 10),
      ),
  },
  {
    name: 'full-subscriptions',
    title: '100 connections of one user with 128 subscriptions each, that come back at once',
    attack: (army) =>
      army.keep(
        100,
        async (socket, index) => {
          const all = Array.from({ length: 128 }, (_, at) => ({
            type: 'subscribe',
            channel: `rooms.f${index}-${at}`,
            payload: {},
          }));
          army.send(socket, ...all);
          const answers = army.counts.replies;
          while (!army.over && socket.alive && army.counts.replies < answers + 128)
            await new Promise((resolve) => setTimeout(resolve, 10));
          socket.destroy();
        },
        MALLORY,
      ),
  },
];

async function newChannels(army, connections, options, payload) {
  await army.keep(
    connections,
    (socket, index) =>
      army.every(socket, payload === FAT ? 120 : 25, (round) =>
        army.send(socket, publish(`rooms.new-${index}-${army.id()}-${round}`, payload)),
      ),
    options,
  );
}
