import 'reflect-metadata';

/**
 * Applies decorators as compiled TypeScript does: the bench is plain JavaScript, which has no decorators of Nest's kind.
 *
 * @param {Function} target
 * @param {object} what
 * @param {readonly ClassDecorator[]} [what.on] On the class, in the order of writing.
 * @param {readonly unknown[]} [what.inject] Types of the constructor's parameters.
 * @param {Record<string, { on?: readonly MethodDecorator[], params?: readonly (readonly ParameterDecorator[])[], types?: readonly unknown[] }>} [what.methods]
 * @param {Record<string, PropertyDecorator>} [what.properties]
 */
export function decorate(target, { on = [], inject, methods = {}, properties = {} }) {
  const { prototype } = target;
  for (const [name, decorator] of Object.entries(properties)) decorator(prototype, name);
  for (const [name, { on: decorators = [], params = [], types }] of Object.entries(methods)) {
    params.forEach((list, index) => list.forEach((decorator) => decorator(prototype, name, index)));
    if (types) Reflect.defineMetadata('design:paramtypes', types, prototype, name);
    for (const decorator of [...decorators].reverse()) {
      decorator(prototype, name, Object.getOwnPropertyDescriptor(prototype, name));
    }
  }
  if (inject) Reflect.defineMetadata('design:paramtypes', inject, target);
  for (const decorator of [...on].reverse()) decorator(target);
}
