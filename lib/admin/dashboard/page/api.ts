/** What the admin API refused, or could not do. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** The admin API, for somebody who is signed in by a token or by what the browser sends by itself. */
export class Api {
  /** Where the routes are. */
  private readonly base = new URL('..', import.meta.url);
  /** Only in this page: it is gone when the page is. */
  private token: string | undefined;

  /** @param onSignedOut called when the guards do not know who asks. */
  constructor(private readonly onSignedOut: () => void) {}

  get hasToken(): boolean {
    return this.token !== undefined;
  }

  signIn(token: string): void {
    this.token = token;
  }

  signOut(): void {
    this.token = undefined;
  }

  urlOf(path: string, query: Query = {}): URL {
    const url = new URL(path, this.base);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined && value !== '') url.searchParams.set(name, String(value));
    return url;
  }

  get headers(): Readonly<Record<string, string>> {
    return this.token === undefined ? {} : { Authorization: `Bearer ${this.token}` };
  }

  async get<Answer>(path: string, query: Query = {}): Promise<Answer> {
    return this.ask<Answer>(this.urlOf(path, query), { headers: this.headers });
  }

  async post<Answer>(path: string, body: object): Promise<Answer> {
    const headers = { ...this.headers, 'Content-Type': 'application/json' };
    return this.ask<Answer>(this.urlOf(path), { method: 'POST', headers, body: JSON.stringify(body) });
  }

  /** Reads the error of an answer that is none. */
  async errorOf(response: Response): Promise<ApiError> {
    const { status } = response;
    if (status === 401) this.onSignedOut();
    const body: unknown = await response.json().catch(() => undefined);
    const message = (body as { error?: { message?: string } } | undefined)?.error?.message;
    return new ApiError(status, message ?? `The server answered ${status}`);
  }

  private async ask<Answer>(url: URL, init: RequestInit): Promise<Answer> {
    const response = await fetch(url, { ...init, cache: 'no-store', signal: AbortSignal.timeout(15_000) });
    if (!response.ok) throw await this.errorOf(response);
    return (await response.json()) as Answer;
  }
}
