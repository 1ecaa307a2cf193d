import { StrictMode, useEffect, useState, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { client, logIn, logOut } from './session.js';
import { useBoard } from './use-board.js';

const BOARD = 'boards.1';

function BoardView({ label }: { label: string }): ReactNode {
  const lines = useBoard(BOARD);
  return <pre aria-label={label}>{lines?.join('\n') ?? 'loading'}</pre>;
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
  if (user === undefined) {
    const enter = (name: string): void => {
      logIn(name);
      setUser(name);
    };
    return ['ada', 'bob'].map((name) => (
      <button key={name} onClick={() => enter(name)}>
        Log in as {name}
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
      <BoardView label="first" />
      {second && <BoardView label="second" />}
      <Notices />
      <button onClick={() => setSecond(!second)}>{second ? 'Hide' : 'Show'} the second</button>
      <button onClick={() => void client.channel(BOARD).publish('written', 'hello')}>Write</button>
      <button onClick={() => void leave()}>Log out</button>
    </>
  );
}

createRoot(document.getElementById('app') as HTMLElement).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
