export interface FlushLoad {
  readonly channels: number;
  readonly connections: number;
  readonly eventsPerChannel: number;
  readonly eventsPerConnection: number;
  readonly flush: number;
  readonly write: number;
  readonly perSecond: number;
}

export function flushShare(load: FlushLoad, period: number): number;
export function flushing(
  load: FlushLoad,
  maxDelay: number,
): { readonly alone: number; readonly needed: number; readonly expected: number; readonly period: number };
