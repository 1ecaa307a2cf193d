import { StrictMode, useEffect, useState, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { client, logIn, logOut } from './session.js';
import { useBoard } from './use-board.js';

function BoardView({ name, label }: { name: string; label: string }): ReactNode {
  const board = useBoard(name);
  return <pre aria-label={label}>{board?.lines.join('\n') ?? 'loading'}</pre>;
}

/** What the application tells the user alone. */
function Notices(): ReactNode {
  const [notices, setNotices] = useState<readonly string[]>([]);
  useEffect(() => {
    const ended = new AbortController();
    const { signal } = ended;
    void (async () => {
      const me = await client.me;
      if (signal.aborted) return;
      const off = me.on<string>('notice', (text) => setNotices((before) => [...before, text]));
      signal.addEventListener('abort', off);
      await me.subscribe({ signal });
    })().catch((error: unknown) => {
      if (!signal.aborted) setNotices([String(error)]);
    });
    return () => ended.abort();
  }, []);
  return <pre aria-label="notices">{notices.join('\n')}</pre>;
}

function App(): ReactNode {
  const [user, setUser] = useState<string>();
  const [second, setSecond] = useState(false);
  const [number, setNumber] = useState(1);
  const name = `boards.${number}`;
  if (user === undefined) {
    const enter = (who: string): void => {
      logIn(who);
      setUser(who);
    };
    return ['ada', 'bob'].map((who) => (
      <button key={who} onClick={() => enter(who)}>
        Log in as {who}
      </button>
    ));
  }
  const leave = async (): Promise<void> => {
    setUser(undefined);
    setSecond(false);
    await logOut();
  };
  return (
    <>
      <BoardView key={name} name={name} label="first" />
      {second && <BoardView name={name} label="second" />}
      <Notices />
      <button onClick={() => setSecond(!second)}>{second ? 'Hide' : 'Show'} the second</button>
      <button onClick={() => void client.channel(name).publish('written', 'hello')}>Write</button>
      <button onClick={() => setNumber(number + 1)}>Next board</button>
      <button onClick={() => void leave()}>Log out</button>
    </>
  );
}

createRoot(document.getElementById('app') as HTMLElement).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
