import { useEffect, useState } from 'react';
import type { ChannelEvent } from '../../../../lib/client/index.js';
import { client } from './session.js';

/** What a board shows: who wrote what, up to an event of the channel's log. */
export interface Board {
  readonly seq: number;
  readonly lines: readonly string[];
}

/** A board, kept up to date while the component is there; `undefined` until the server gave it. */
export function useBoard(name: string): Board | undefined {
  const [board, setBoard] = useState<Board>();
  useEffect(() => {
    const ended = new AbortController();
    const { signal } = ended;
    const room = client.channel<{ written: string }>(name);
    const show = (state: unknown): void => setBoard(state as Board);
    const offs: (() => void)[] = [];
    room.subscribe({ signal }).then(
      ({ snapshot }) => {
        // Runs before the first event is handed out, so none is missed.
        show(snapshot);
        offs.push(
          room.on('written', (text, event) => setBoard((before) => before && apply(before, text, event))),
          room.on('recovered', (what) => 'snapshot' in what && show(what.snapshot)),
        );
      },
      (error: unknown) => {
        if (!signal.aborted) setBoard({ seq: 0, lines: [String(error)] });
      },
    );
    return () => {
      // Gives back what `subscribe` gave, or will give.
      ended.abort();
      for (const off of offs) off();
    };
  }, [name]);
  return board;
}

/** A state may have some of the events that follow it. */
function apply(before: Board, text: string, { seq, user }: ChannelEvent): Board {
  return seq <= before.seq ? before : { seq, lines: [...before.lines, `${user}: ${text}`] };
}
