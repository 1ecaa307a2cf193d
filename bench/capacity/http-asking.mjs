import { elapsedMs, startMeasuring } from '../support/load.mjs';
import { RequestTemplate } from '../support/request-template.mjs';
import { openSubscribers } from '../support/subscribers.mjs';
import { startApplication } from './clients.mjs';
import { joinOf } from './transports.mjs';

/** What is looked at for an answer that reads may have cut. */
const LONGEST_ANSWER = 4_096;

/** Clients of a session over HTTP that ask and wait for their answers. */
export async function openHttpAskers(transport, count) {
  const server = await startApplication();
  const waiting = Array.from({ length: count }, () => ({ text: '', heard: () => undefined }));
  const load = await openSubscribers(
    server.port,
    (index) => joinOf(transport, `asker-${index}`, ['requests']),
    count,
    (index) => (length, chunk) => {
      const own = waiting[index];
      own.text += Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1');
      own.text = own.text.slice(-LONGEST_ANSWER);
      own.heard(own.text);
    },
  );
  return { server, load, waiting, asked: 0 };
}

/** Asks once, as client `index`. @returns what was heard, with the answer in it */
export async function ask(askers, index, text) {
  const own = askers.waiting[index];
  const id = `ask-${++askers.asked}.`;
  own.text = '';
  const answered = new Promise((resolve) => {
    own.heard = (heard) => heard.includes(`"ref":"${id}"`) && resolve(heard);
  });
  await askers.load.clients[index].send(text.replace(RequestTemplate.id, id));
  return answered;
}

/** One round: every client asks as soon as it was answered, for `roundMs`, and waits for its last answer. */
export async function httpRound(askers, { text, answer }, roundMs) {
  const { server, load } = askers;
  const heard = await ask(askers, 0, text);
  if (!heard.includes(answer)) throw new Error(`No ${answer} in ${heard}`);
  await server.ask({ type: 'begin' });
  const measured = startMeasuring();
  const startedAt = process.hrtime.bigint();
  let replies = 0;
  await Promise.all(
    load.clients.map(async (_, index) => {
      do {
        await ask(askers, index, text);
        replies += 1;
      } while (elapsedMs(startedAt) < roundMs);
    }),
  );
  const { loadShare } = measured();
  const { cpuMicros } = await server.ask({ type: 'end' });
  return { cpuPerRequest: cpuMicros / replies, loadShare };
}

export function dismissAskers({ server, load }) {
  for (const client of load.clients) client.close();
  server.stop();
}
