// Events within the limits, and what they cost everybody else.
const FAT = 'x'.repeat(60_000);
const publish = (channel, payload) => ({ type: 'publish', channel, event: 'said', payload });
const join = (channel) => ({ type: 'subscribe', channel, payload: { presence: false } });
const many = (index) => ({ user: `mallory-${index}` });

export const publishFloods = [
  {
    name: 'large-publishes',
    title: '60 KB publishes of 20 users, as fast as the byte rate allows, to one channel each',
    fills: true,
    attack: (army) =>
      army.keep(
        20,
        (socket, index) =>
          army.every(socket, 115, () => army.send(socket, publish(`rooms.large-${index}`, FAT))),
        many,
      ),
  },
  {
    name: 'amplified-publishes',
    title: '60 KB publishes of 2 users to 100 subscribers of their own',
    attack: (army) =>
      Promise.all([
        army.keep(
          100,
          (socket) => {
            socket.onText = undefined;
            army.send(socket, join('rooms.loud'));
          },
          (index) => ({ user: `listener-${index}` }),
        ),
        army.keep(
          2,
          (socket) => army.every(socket, 115, () => army.send(socket, publish('rooms.loud', FAT))),
          many,
        ),
      ]),
  },
  {
    name: 'deaf-subscribers',
    title: '100 subscribers that never read a channel of 60 KB events',
    attack: (army) => deaf(army, 'rooms.deaf', FAT, 115),
  },
  {
    name: 'deaf-subscribers-drop',
    title: '100 subscribers that never read, where the oldest is dropped',
    attack: (army) => deaf(army, 'feeds.deaf', 'x'.repeat(200), 25),
  },
  {
    name: 'deaf-subscribers-conflate',
    title: '100 subscribers that never read, where events are conflated',
    attack: (army) => deaf(army, 'states.deaf', 'x'.repeat(200), 25),
  },
  {
    name: 'signals',
    title: 'signals of 50 members to each other',
    attack: (army) =>
      army.keep(
        50,
        (socket) => {
          army.send(socket, join('rooms.signals'));
          socket.onText = undefined;
          return army.every(socket, 30, () =>
            army.send(socket, { type: 'signal', channel: 'rooms.signals', event: 'typing', payload: {} }),
          );
        },
        many,
      ),
  },
  {
    name: 'many-publishers',
    title: 'small publishes of 400 anonymous connections, each under a new id',
    attack: (army) =>
      army.keep(400, (socket, index) => {
        socket.onText = undefined;
        return army.every(socket, 500, () => {
          const list = Array.from({ length: 20 }, () => publish(`rooms.m${index}`, 'small'));
          army.send(socket, ...list);
        });
      }),
  },
];

/** Subscribers that do not read, and three users who publish to them, under ever new keys. */
async function deaf(army, channel, payload, everyMs) {
  await Promise.all([
    army.keep(
      100,
      (socket) => {
        army.send(socket, join(channel));
        socket.deafen();
      },
      (index) => ({ user: `listener-${index}` }),
    ),
    army.keep(
      3,
      (socket) =>
        army.every(socket, everyMs, () =>
          army.send(socket, { ...publish(channel, payload), key: `k${army.between(0, 10_000)}` }),
        ),
      many,
    ),
  ]);
}
