import { RequestTemplate } from '../support/request-template.mjs';
import { command } from './clients.mjs';

/**
 * How clients publish, for as little as a load generator can, each time under an id of its own.
 *
 * @returns {(client: object, channel: number) => void}
 */
export function publisherOf(transport, channels) {
  const texts = Array.from({ length: channels }, (_, channel) =>
    command('publish', 'tick', `check-${channel}`, RequestTemplate.id),
  );
  if (transport === 'websocket') {
    const templates = texts.map((text) => new RequestTemplate(text));
    return (client, channel) => client.socket.write(templates[channel].next());
  }
  let published = 0;
  return (client, channel) => {
    // One that is under way when its server is stopped.
    client.send(texts[channel].replace(RequestTemplate.id, `publish-${++published}`)).catch(() => undefined);
  };
}
