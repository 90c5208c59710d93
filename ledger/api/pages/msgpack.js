// Reads the chain's canonical encoding (docs/protocol/chain.md, section 1), and writes envelopes.
// Integers beyond 2^53 come as BigInt, maps as Map with sorted text keys, bytes as Uint8Array.

const MAX_DEPTH = 20;
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Malformed extends Error {}

export function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;

  function take(count) {
    if (count > bytes.length - at) throw new Malformed("ends too early");
    at += count;
    return at - count;
  }
  const u8 = () => view.getUint8(take(1));
  const u16 = () => view.getUint16(take(2));
  const u32 = () => view.getUint32(take(4));
  const small = (value) =>
    value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(value)
      : value;
  function data(count) {
    const start = take(count);
    return bytes.slice(start, start + count);
  }
  function words(count) {
    try {
      return text.decode(data(count));
    } catch (error) {
      throw new Malformed("not UTF-8");
    }
  }
  function list(count, depth) {
    if (count > bytes.length - at) throw new Malformed("ends too early");
    return Array.from({ length: count }, () => value(depth - 1));
  }
  function map(count, depth) {
    if (count > bytes.length - at) throw new Malformed("ends too early");
    const found = new Map();
    for (let i = 0; i < count; i += 1) {
      const key = value(depth - 1);
      // A key that comes twice could be shown in one way and run in another.
      if (typeof key !== "string" || found.has(key)) throw new Malformed("a key twice, or no text");
      found.set(key, value(depth - 1));
    }
    return found;
  }
  function value(depth) {
    if (depth < 0) throw new Malformed("too deep");
    const tag = u8();
    if (tag < 0x80) return tag;
    if (tag < 0x90) return map(tag & 0x0f, depth);
    if (tag < 0xa0) return list(tag & 0x0f, depth);
    if (tag < 0xc0) return words(tag & 0x1f);
    if (tag >= 0xe0) return tag - 0x100;
    switch (tag) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return data(u8());
      case 0xc5: return data(u16());
      case 0xc6: return data(u32());
      case 0xcc: return u8();
      case 0xcd: return u16();
      case 0xce: return u32();
      case 0xcf: return small(view.getBigUint64(take(8)));
      case 0xd0: return view.getInt8(take(1));
      case 0xd1: return view.getInt16(take(2));
      case 0xd2: return view.getInt32(take(4));
      case 0xd3: return small(view.getBigInt64(take(8)));
      case 0xd9: return words(u8());
      case 0xda: return words(u16());
      case 0xdb: return words(u32());
      case 0xdc: return list(u16(), depth);
      case 0xdd: return list(u32(), depth);
      case 0xde: return map(u16(), depth);
      case 0xdf: return map(u32(), depth);
      default: throw new Malformed("a type that the chain does not have");
    }
  }

  const found = value(MAX_DEPTH);
  if (at !== bytes.length) throw new Malformed("something follows");
  return found;
}

function binary(bytes) {
  const size = bytes.length;
  const head =
    size < 0x100 ? [0xc4, size]
    : size < 0x10000 ? [0xc5, size >> 8, size & 0xff]
    : [0xc6, size >>> 24, (size >> 16) & 0xff, (size >> 8) & 0xff, size & 0xff];
  return [new Uint8Array(head), bytes];
}

// The canonical envelope of a body and 1 to 8 signatures.
export function envelope(body, signatures) {
  const parts = [
    new Uint8Array([0x92]),
    ...binary(body),
    new Uint8Array([0x90 + signatures.length]),
    ...signatures.flatMap(binary),
  ];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
