import type { RealtimeClient } from 'nestjs-realtime/client';
import { Line } from './line.js';
import { httpFallback, RealtimeClient as Client } from './realtime.js';
import { forcedTransport } from './transport.js';

/** As the log-in returns it. */
export interface SessionUser {
  readonly id: string;
  readonly name: string;
  readonly role?: 'moderator';
}

/** The name needs a password, or another one. */
export class PasswordNeeded extends Error {}

/** Who is logged in, and the one connection that everything on the page uses. */
export interface Session {
  readonly user: SessionUser;
  readonly client: RealtimeClient;
  readonly line: Line;
}

/** Logs in and makes the client, which connects at its first use. */
export async function openSession(name: string, password = ''): Promise<Session> {
  const login = await logIn(name, password);
  const line = new Line();
  let first: string | undefined = login.token;
  const client = new Client('/realtime', {
    // Called again whenever the server needs a new token: before the old one expires, and after a restart.
    token: async () => {
      const token = first ?? (await logIn(name, password)).token;
      first = undefined;
      return token;
    },
    client: { name: 'chat-page' },
    webSocket: line.webSocket,
    fetch: line.fetch,
    // Networks that break WebSocket get an event stream with POST, or long-poll.
    fallback: httpFallback({ ...forcedTransport(), fetch: line.request }),
  });
  return { user: login.user, client, line };
}

interface Login {
  readonly user: SessionUser;
  readonly token: string;
}

async function logIn(name: string, password: string): Promise<Login> {
  const response = await fetch('/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, ...(password === '' ? {} : { password }) }),
  });
  const body = (await response.json()) as Login & { message?: string[] };
  if (response.status === 401) throw new PasswordNeeded(body.message?.[0]);
  if (!response.ok) throw new Error(body.message?.[0] ?? `The server answered ${response.status}`);
  return body;
}
