import { Redis, type Command } from 'ioredis';

/** What a test changes in a client; read at each use. */
export interface Alteration {
  /** Whether messages of pub/sub are lost on their way to it. */
  deaf?: boolean;
  /** How many were lost in this way. */
  missed?: number;
  /** Called with each command before it is sent. An error that it returns is the server's answer: nothing is sent. */
  refuse?: (command: Command) => Error | undefined;
}

/** A client to hand to a broker, which copies it: the copies are altered as well. */
export function alteredClient(url: string, alteration: Alteration): Redis {
  return altered(new Redis(url, { lazyConnect: true }), alteration);
}

function altered(client: Redis, alteration: Alteration): Redis {
  const door = client as unknown as {
    emit: (event: string, ...args: unknown[]) => boolean;
    duplicate: (...args: unknown[]) => Redis;
    sendCommand: (command: Command, ...args: unknown[]) => unknown;
  };
  const emit = door.emit.bind(client);
  const duplicate = door.duplicate.bind(client);
  const sendCommand = door.sendCommand.bind(client);
  door.emit = (event, ...args) => {
    if (!event.startsWith('smessage') || alteration.deaf !== true) return emit(event, ...args);
    if (event === 'smessageBuffer') alteration.missed = (alteration.missed ?? 0) + 1;
    return true;
  };
  door.duplicate = (...args) => altered(duplicate(...args), alteration);
  door.sendCommand = (command, ...args) => {
    const error = alteration.refuse?.(command);
    return error === undefined ? sendCommand(command, ...args) : Promise.reject(error);
  };
  return client;
}
