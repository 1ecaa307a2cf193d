const json = (value) => JSON.stringify(value);

/** What a server of this library answers, as far as a client needs it to be subscribed. */
export function answerAsLibrary(Socket) {
  Socket.opened = () => undefined;
  Socket.answer = (frame, socket) => {
    const answers = [];
    for (const { type, id } of String(frame)
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))) {
      if (type === 'hello') answers.push({ type: 'welcome', ref: id, payload: WELCOME });
      else if (type === 'subscribe')
        answers.push({
          type: 'reply',
          ref: id,
          payload: { position: { epoch: 'k3f9Qx0aTz1b', seq: 0 }, recovery: 'new' },
        });
      else if (type === 'unsubscribe') answers.push({ type: 'reply', ref: id, payload: {} });
    }
    if (answers.length > 0) setImmediate(() => socket.receive(answers.map(json).join('\n')));
  };
}

const WELCOME = {
  version: 1,
  features: [],
  heartbeat: { intervalMs: 3_600_000, timeoutMs: 3_600_000 },
  limits: {
    maxFrameBytes: 262_144,
    maxMessageBytes: 65_536,
    maxEnvelopesPerFrame: 256,
    maxChannels: 128,
    ratePerSecond: 1e6,
    dedupeMs: 120_000,
  },
  retry: { baseMs: 1, maxMs: 1, firstSpreadMs: 0, stableMs: 1_000 },
};
