/**
 * The one encoding of everything that is signed or hashed: canonical msgpack.
 *
 * Shortest forms, map keys sorted by their UTF-8 bytes, no floats, no extension types, nothing
 * behind the end. What is read is written once more and has to come out the same.
 */

import { compare, concat, equal, utf8 } from "./bytes.js";

/** Bytes, or JSON, that are not what they should be. */
export class Malformed extends Error {
  override name = "Malformed";
}

/** A contract value. Whole numbers beyond 2^53 are bigints. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value };

const MIN_INT = -(2n ** 63n);
const MAX_INT = 2n ** 63n - 1n;
/** Of a contract value. */
export const MAX_DEPTH = 16;
const DEEPEST = 40;

function number(bytes: Uint8Array, size: number, value: bigint): Uint8Array {
  for (let place = size; place >= 1; place--) {
    bytes[place] = Number(value & 0xffn);
    value >>= 8n;
  }
  return bytes;
}

function encodeInt(value: bigint): Uint8Array {
  if (value < MIN_INT || value > MAX_INT) throw new Malformed("an integer outside 64 bits");
  if (value >= 0n) {
    if (value < 0x80n) return Uint8Array.of(Number(value));
    for (const [size, tag] of [[1, 0xcc], [2, 0xcd], [4, 0xce], [8, 0xcf]] as const) {
      if (value < 1n << BigInt(8 * size)) {
        return number(new Uint8Array(1 + size).fill(tag, 0, 1), size, value);
      }
    }
  }
  if (value >= -32n) return Uint8Array.of(0x100 + Number(value));
  for (const [size, tag] of [[1, 0xd0], [2, 0xd1], [4, 0xd2]] as const) {
    if (value >= -(1n << BigInt(8 * size - 1))) {
      return number(new Uint8Array(1 + size).fill(tag, 0, 1), size, value);
    }
  }
  return number(new Uint8Array(9).fill(0xd3, 0, 1), 8, value);
}

function head(size: number, fixed: number, room: number, tags: readonly number[]): Uint8Array {
  if (size < room) return Uint8Array.of(fixed | size);
  const widths = tags.length === 3 ? [1, 2, 4] : [2, 4];
  for (const [index, width] of widths.entries()) {
    if (size < 2 ** (8 * width)) {
      return number(new Uint8Array(1 + width).fill(tags[index]!, 0, 1), width, BigInt(size));
    }
  }
  throw new Malformed("too long");
}

/** The canonical bytes of a value. */
export function encode(value: Value): Uint8Array {
  if (value === null) return Uint8Array.of(0xc0);
  if (value === false) return Uint8Array.of(0xc2);
  if (value === true) return Uint8Array.of(0xc3);
  if (typeof value === "bigint") return encodeInt(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new Malformed("numbers are whole; large ones bigints");
    return encodeInt(BigInt(value));
  }
  if (typeof value === "string") {
    const text = utf8(value);
    return concat(head(text.length, 0xa0, 32, [0xd9, 0xda, 0xdb]), text);
  }
  if (value instanceof Uint8Array) {
    return concat(head(value.length, 0, 0, [0xc4, 0xc5, 0xc6]), value);
  }
  if (Array.isArray(value)) {
    return concat(head(value.length, 0x90, 16, [0xdc, 0xdd]), ...value.map(encode));
  }
  const entries = Object.entries(value as { [name: string]: Value })
    .map(([name, item]) => [utf8(name), name, item] as const)
    .sort((one, other) => compare(one[0], other[0]));
  return concat(
    head(entries.length, 0x80, 16, [0xde, 0xdf]),
    ...entries.flatMap(([, name, item]) => [encode(name), encode(item)]),
  );
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class Reader {
  private offset = 0;

  constructor(private readonly bytes: Uint8Array) {}

  get done(): boolean {
    return this.offset === this.bytes.length;
  }

  private take(size: number): Uint8Array {
    if (size > this.bytes.length - this.offset) throw new Malformed("it ends too early");
    this.offset += size;
    return this.bytes.subarray(this.offset - size, this.offset);
  }

  private uint(size: number): bigint {
    return this.take(size).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  private int(size: number): number | bigint {
    return plain(BigInt.asIntN(8 * size, this.uint(size)));
  }

  private text(size: number): string {
    try {
      return strict.decode(this.take(size));
    } catch (error) {
      if (error instanceof Malformed) throw error;
      throw new Malformed("text that is not UTF-8");
    }
  }

  private list(size: number, depth: number): Value[] {
    // Every item has a byte at least: a length that lies costs nothing.
    if (size > this.bytes.length - this.offset) throw new Malformed("it ends too early");
    const items: Value[] = [];
    for (let place = 0; place < size; place++) items.push(this.value(depth - 1));
    return items;
  }

  private map(size: number, depth: number): Value {
    if (size > this.bytes.length - this.offset) throw new Malformed("it ends too early");
    const found = Object.create(null) as { [name: string]: Value };
    for (let place = 0; place < size; place++) {
      const name = this.value(0);
      if (typeof name !== "string") throw new Malformed("a map key that is not text");
      found[name] = this.value(depth - 1);
    }
    return found;
  }

  value(depth: number): Value {
    const tag = this.take(1)[0]!;
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return tag - 0x100;
    if (tag >= 0xa0 && tag < 0xc0) return this.text(tag & 31);
    switch (tag) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.take(Number(this.uint(1))).slice();
      case 0xc5: return this.take(Number(this.uint(2))).slice();
      case 0xc6: return this.take(Number(this.uint(4))).slice();
      case 0xcc: return plain(this.uint(1));
      case 0xcd: return plain(this.uint(2));
      case 0xce: return plain(this.uint(4));
      case 0xcf: return plain(this.uint(8));
      case 0xd0: return this.int(1);
      case 0xd1: return this.int(2);
      case 0xd2: return this.int(4);
      case 0xd3: return this.int(8);
      case 0xd9: return this.text(Number(this.uint(1)));
      case 0xda: return this.text(Number(this.uint(2)));
      case 0xdb: return this.text(Number(this.uint(4)));
    }
    if (depth <= 0) throw new Malformed("nested too deeply, or a key that is not text");
    if (tag < 0x90) return this.map(tag & 15, depth);
    if (tag < 0xa0) return this.list(tag & 15, depth);
    switch (tag) {
      case 0xdc: return this.list(Number(this.uint(2)), depth);
      case 0xdd: return this.list(Number(this.uint(4)), depth);
      case 0xde: return this.map(Number(this.uint(2)), depth);
      case 0xdf: return this.map(Number(this.uint(4)), depth);
    }
    throw new Malformed("a float or an extension");
  }
}

function plain(value: bigint): number | bigint {
  const small = Number(value);
  return Number.isSafeInteger(small) ? small : value;
}

/** Read canonical bytes; throws `Malformed` for anything else. */
export function decode(bytes: Uint8Array, limit: number): Value {
  if (bytes.length > limit) throw new Malformed(`more than ${limit} bytes`);
  const reader = new Reader(bytes);
  const value = reader.value(DEEPEST);
  if (!reader.done || !equal(encode(value), bytes)) throw new Malformed("not in canonical form");
  return value;
}

/** Refuse what no contract value can be: too deep. Throws `Malformed`. */
export function checkValue(value: Value, depth = MAX_DEPTH): Value {
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return value;
  if (depth <= 0) throw new Malformed(`nested deeper than ${MAX_DEPTH}`);
  const items = Array.isArray(value) ? (value as readonly Value[]) : Object.values(value);
  for (const item of items) checkValue(item, depth - 1);
  return value;
}

/** Whether two values are the same: their bytes are. */
export function same(left: Value, right: Value): boolean {
  return equal(encode(left), encode(right));
}

// --- reading records ---------------------------------------------------------------------------

/** The fields of a record: an array of exactly so many. */
export function fields(value: Value | undefined, count: number): readonly Value[] {
  if (!Array.isArray(value) || value.length !== count) throw new Malformed("not that record");
  return value as readonly Value[];
}

export function list(value: Value | undefined): readonly Value[] {
  if (!Array.isArray(value)) throw new Malformed("not a list");
  return value as readonly Value[];
}

export function map(value: Value | undefined): { readonly [name: string]: Value } {
  if (value === null || typeof value !== "object" || Array.isArray(value) || value instanceof Uint8Array) {
    throw new Malformed("not a map");
  }
  return value as { readonly [name: string]: Value };
}

export function bytes(value: Value | undefined, size?: number): Uint8Array {
  if (!(value instanceof Uint8Array) || (size !== undefined && value.length !== size)) {
    throw new Malformed("not bytes of that size");
  }
  return value;
}

export function text(value: Value | undefined): string {
  if (typeof value !== "string") throw new Malformed("not text");
  return value;
}

export function integer(value: Value | undefined): number {
  if (typeof value !== "number") throw new Malformed("not a whole number below 2^53");
  return value;
}

export function truth(value: Value | undefined): boolean {
  if (typeof value !== "boolean") throw new Malformed("neither true nor false");
  return value;
}
