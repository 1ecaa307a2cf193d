import { isChannelName } from '../../protocol/channel-name.js';
import type { ChannelParams } from '../ports/channel-definition.js';

const PARAM_NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
/** Parameters as other routers write them: `{room}`, `<room>`, `[room]`, `$room`, `*`. */
const FOREIGN_PARAM = /[{<[$*]([A-Za-z]\w*|)[}>\]]?/;

/** One segment of a pattern: a literal, or a parameter that takes any one segment. */
type Segment = { readonly literal: string } | { readonly param: string };

/**
 * A channel pattern such as `rooms.:room` (P23). Matching compares segment by segment, without backtracking, so
 * a hostile name costs one pass.
 */
export class ChannelPattern {
  /** Names of the parameters, in order. */
  readonly params: readonly string[];

  private constructor(
    readonly text: string,
    readonly segments: readonly Segment[],
  ) {
    this.params = segments.flatMap((segment) => ('param' in segment ? [segment.param] : []));
  }

  /**
   * @throws RangeError that says what is wrong and how a pattern is written.
   * @example ChannelPattern.parse('rooms.:room.messages').params // ['room']
   */
  static parse(text: string): ChannelPattern {
    const segments = text.split('.').map((part): Segment => {
      // `:` is also an ordinary character of names (`user:7`), so only a leading one makes a parameter.
      if (!part.startsWith(':')) return { literal: part };
      const param = part.slice(1);
      if (!PARAM_NAME.test(param)) {
        throw new RangeError(
          `"${part}" in the channel pattern "${text}" is not a parameter. Write ":" and a name such as ":room".`,
        );
      }
      return { param };
    });
    const pattern = new ChannelPattern(text, segments);
    const twice = pattern.params.find((param, index) => pattern.params.indexOf(param) !== index);
    if (twice !== undefined) {
      throw new RangeError(
        `The channel pattern "${text}" has the parameter ":${twice}" twice. Give each its own name.`,
      );
    }
    const literals = segments.map((segment) => ('literal' in segment ? segment.literal : 'x')).join('.');
    if (!isChannelName(literals)) {
      const [, foreign] = FOREIGN_PARAM.exec(text) ?? [];
      const meant =
        foreign === undefined ? '' : ` A parameter is written as ":${foreign === '' ? 'room' : foreign}".`;
      throw new RangeError(
        `"${text}" is not a channel pattern. Use segments of A-Z a-z 0-9 _ : @ ~ - separated by dots, none of them empty.${meant}`,
      );
    }
    return pattern;
  }

  /** The parameters when the segments of a name match, else `undefined`. */
  match(segments: readonly string[]): ChannelParams | undefined {
    if (segments.length !== this.segments.length) return undefined;
    let params: Record<string, string> | undefined;
    for (let index = 0; index < segments.length; index++) {
      const expected = this.segments[index] as Segment;
      const actual = segments[index] as string;
      if ('literal' in expected) {
        if (expected.literal !== actual) return undefined;
      } else {
        (params ??= {})[expected.param] = actual;
      }
    }
    return params ?? NO_PARAMS;
  }

  /** Whether the segments of a name match. */
  covers(segments: readonly string[]): boolean {
    return (
      segments.length === this.segments.length &&
      this.segments.every((segment, index) => 'param' in segment || segment.literal === segments[index])
    );
  }

  /** Whether some name matches both patterns. */
  overlaps(other: ChannelPattern): boolean {
    return (
      this.segments.length === other.segments.length &&
      this.segments.every((segment, index) => {
        const against = other.segments[index] as Segment;
        return 'param' in segment || 'param' in against || segment.literal === against.literal;
      })
    );
  }
}

const NO_PARAMS: ChannelParams = Object.freeze({});
