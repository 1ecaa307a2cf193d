import 'reflect-metadata';
import { PUBLIC_CHANNEL_METADATA } from '../constants.js';
import { methodsOf } from './channel-methods.js';

/**
 * Name of a metadata that looks like the `@Public()` of an application's own HTTP guard, on the class or one of its
 * methods: who put it on a channel expected it to open the channel.
 */
export function foreignPublicMetadata(type: {
  readonly name: string;
  readonly prototype: unknown;
}): string | undefined {
  for (const target of [type, ...methodsOf(type).map(([, method]) => method)]) {
    for (const key of Reflect.getMetadataKeys(target) as (string | symbol)[]) {
      const name = typeof key === 'symbol' ? (key.description ?? '') : key;
      if (
        key !== PUBLIC_CHANNEL_METADATA &&
        /public/i.test(name) &&
        Reflect.getMetadata(key, target) === true
      )
        return name;
    }
  }
  return undefined;
}
