import type { Codec } from '../../protocol/codecs/codec.js';
import type { WireVariant } from '../session/connection.js';

/** Gives every codec of every transport of one engine its dense index. */
export class VariantRegistry {
  private count = 0;

  create(codec: Codec, frame: WireVariant['frame'], frameOne?: WireVariant['frameOne']): WireVariant {
    return { index: this.count++, codec, frame, frameOne };
  }
}
