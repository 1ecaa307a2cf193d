// Small commands with large answers, and clients that do not read them.
const FAT = { 'rooms.fat': { events: 300, bytes: 60_000 } };
const page = { type: 'history', channel: 'rooms.fat', payload: { limit: 1_000 } };
const join = (channel, payload = {}) => ({
  type: 'subscribe',
  channel,
  payload: { presence: false, ...payload },
});

export const answerFloods = [
  {
    name: 'fat-pages',
    title: 'history of 1000 events, of a log of 60 KB events',
    node: { logs: FAT },
    attack: (army) =>
      army.keep(
        4,
        (socket) => {
          socket.onText = undefined;
          return army.every(socket, 25, () => army.send(socket, page));
        },
        (index) => ({ user: `mallory-${index}` }),
      ),
  },
  {
    name: 'deaf-readers',
    title: '24 clients that ask for that, and never read',
    node: { logs: FAT },
    attack: (army) =>
      army.keep(
        24,
        (socket) => {
          socket.deafen();
          return army.every(socket, 50, () => army.send(socket, page));
        },
        (index) => ({ user: `mallory-${index}` }),
      ),
  },
  {
    name: 'deaf-thousand',
    title: '900 clients of three addresses that fill their outboxes, and never read',
    node: { logs: FAT },
    attack: (army) =>
      army.keep(
        900,
        (socket) => {
          socket.deafen();
          return army.every(socket, 500, () => army.send(socket, { ...page, payload: { limit: 8 } }));
        },
        (index) => ({ user: `mallory-${index}`, address: army.address(1 + (index % 3)) }),
      ),
  },
  {
    name: 'deaf-errors',
    title: '200 clients that cause errors, and never read',
    attack: (army) =>
      army.keep(
        200,
        (socket) => {
          socket.deafen();
          return army.every(socket, 20, () => army.send(socket, { type: 'nonsense' }));
        },
        (index) => ({ user: `mallory-${index}` }),
      ),
  },
  {
    name: 'replays',
    title: 'resumes from the beginning of a log of 60 KB events, again and again',
    node: { logs: FAT },
    attack: (army) =>
      army.keep(
        16,
        async (socket) => {
          const epoch = await epochOf(army, socket);
          socket.onText = undefined;
          const again = [
            { type: 'unsubscribe', channel: 'rooms.fat' },
            join('rooms.fat', { position: { epoch, seq: 0 } }),
          ];
          return army.every(socket, 50, () => army.send(socket, ...again));
        },
        (index) => ({ user: `mallory-${index}` }),
      ),
  },
  {
    name: 'deaf-replays',
    title: '200 clients that resume from there, and never read',
    node: { logs: FAT },
    attack: (army) =>
      army.keep(
        200,
        async (socket) => {
          const epoch = await epochOf(army, socket);
          socket.deafen();
          army.send(
            socket,
            { type: 'unsubscribe', channel: 'rooms.fat' },
            join('rooms.fat', { position: { epoch, seq: 0 } }),
          );
        },
        (index) => ({ user: `mallory-${index}` }),
      ),
  },
  {
    name: 'hanging-requests',
    title: 'requests whose handler takes 2 s, from 20 connections of one user',
    answered: ['rate_limited'],
    attack: (army) =>
      army.keep(
        20,
        (socket) => {
          army.send(socket, join('rooms.slow'));
          return army.every(socket, 100, () => {
            const asks = Array.from({ length: 250 }, () => ({
              type: 'request',
              channel: 'rooms.slow',
              event: 'slow',
            }));
            army.send(socket, ...asks);
          });
        },
        () => ({ user: 'mallory' }),
      ),
  },
];

/** Learns the epoch of the fat log. */
async function epochOf(army, socket) {
  const read = socket.onText;
  const epoch = new Promise((resolve) => {
    socket.onText = (text) => {
      const found = /"epoch":"([^"]+)"/.exec(text)?.[1];
      if (found !== undefined) resolve(found);
    };
  });
  army.send(socket, join('rooms.fat'));
  const found = await Promise.race([epoch, socket.closed]);
  socket.onText = read;
  return found;
}
