// Its own entry point, so that a client that speaks JSON does not carry the MessagePack package.
export { msgpackCodec } from '../protocol/codecs/msgpack.js';
