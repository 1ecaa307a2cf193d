import 'reflect-metadata';
import type { DynamicModule, INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { withTimeout } from '../core/async/with-timeout.js';
import type { Clock } from '../core/ports/clock.js';
import type { MaybePromise } from '../core/ports/maybe-promise.js';
import { UnlistenedAdapter } from './unlistened-adapter.js';

/**
 * What the doctor looks at: the root module, an application that does not have to be started, or a function that makes one of them.
 */
export type DoctorTarget =
  | Type
  | DynamicModule
  | INestApplicationContext
  | (() => MaybePromise<Type | DynamicModule | INestApplicationContext>);

/** An application, and how the doctor leaves it. */
export interface Opened {
  readonly app: INestApplicationContext;
  close(): Promise<void>;
}

/** How long an application may take to be made, and to be closed again, in milliseconds. */
const MOST_BOOT_MS = 60_000;
const MOST_CLOSE_MS = 5_000;
/** Metadata that `@Module()` writes. */
const MODULE_METADATA = ['imports', 'providers', 'controllers', 'exports'];

/**
 * Makes the application of a target, without its hooks of start: nothing listens, no consumer begins, and only what constructors and
 * factories of providers do by themselves is done. Closes what it made, never what it was given.
 */
export async function open(target: DoctorTarget, clock: Clock): Promise<Opened> {
  if (isApplication(target)) return { app: target, close: () => Promise.resolve() };
  const late = `it was not ready within ${MOST_BOOT_MS / 1_000} s. Does a provider wait for something that is not there?`;
  const app = await withTimeout(make(target), MOST_BOOT_MS, clock, late);
  return { app, close: () => leave(app, clock) };
}

async function make(
  target: Exclude<DoctorTarget, INestApplicationContext>,
): Promise<INestApplicationContext> {
  const made = isModule(target) ? target : await target();
  if (isApplication(made)) return made;
  return NestFactory.create(made, new UnlistenedAdapter(), { abortOnError: false });
}

/** What was never started may fail to stop: that is not what was asked. */
async function leave(app: INestApplicationContext, clock: Clock): Promise<void> {
  await Promise.resolve(withTimeout(app.close(), MOST_CLOSE_MS, clock)).catch(() => undefined);
}

/** Whether a value is an application or a context of Nest. */
export function isApplication(value: unknown): value is INestApplicationContext {
  const app = value as Partial<INestApplicationContext> | null | undefined;
  return [app?.get, app?.resolve, app?.select, app?.close].every((method) => typeof method === 'function');
}

/** Whether a value is a class with `@Module()`, any other class, or a dynamic module. */
export function isModule(value: unknown): value is Type | DynamicModule {
  if (typeof value === 'object') return value !== null && 'module' in value;
  if (typeof value !== 'function') return false;
  const isDecorated = MODULE_METADATA.some((key) => Reflect.hasMetadata(key, value));
  return isDecorated || /^class\b/.test(Function.prototype.toString.call(value));
}
