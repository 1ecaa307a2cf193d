import type { HttpFallbackOptions } from 'nestjs-realtime/client/http';
import { byId } from './dom.js';

type Transport = NonNullable<HttpFallbackOptions['transports']>[number];

const CHOICE = 'chat-transport';
const NAMES: Readonly<Record<Transport, string>> = {
  websocket: 'WebSocket',
  sse: 'Event stream',
  polling: 'Long-poll',
};

/** The one transport that the visitor wants, or none: then the client finds out which works. */
export function forcedTransport(): Pick<HttpFallbackOptions, 'transports'> {
  const chosen = sessionStorage.getItem(CHOICE) ?? '';
  return chosen in NAMES ? { transports: [chosen as Transport] } : {};
}

/** What a transport is called in the page. */
export function nameOf(transport: Transport | undefined): string {
  return NAMES[transport ?? 'websocket'];
}

/** The switch that forces a transport. The page begins again with it. */
export function showTransportSwitch(): void {
  const select = byId('transport', HTMLSelectElement);
  select.value = forcedTransport().transports?.[0] ?? '';
  select.addEventListener('change', () => {
    sessionStorage.setItem(CHOICE, select.value);
    location.reload();
  });
}
