export class Line {
  connects: number;
  onConnect: () => void;
  static open(target: () => number): Promise<Line>;
  readonly port: number;
  reset(): boolean;
  hold(way?: 'both' | 'down'): boolean;
  close(): Promise<void>;
}
