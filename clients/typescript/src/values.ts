/** Contract values as JSON and back: bytes are `{"$bytes": base64}`, see docs/api.md. */

import { fromBase64, toBase64 } from "./bytes.js";
import { MAX_DEPTH, Malformed, type Value } from "./codec.js";

/** The value that parsed JSON stands for; throws `Malformed`. Integers that JSON lost digits of are
 * refused rather than guessed. */
export function fromJson(value: unknown, depth = MAX_DEPTH): Value {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "bigint") return value;
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new Malformed("a number that is not whole, or too large");
    return value;
  }
  if (typeof value !== "object") throw new Malformed("not a JSON value");
  if (!Array.isArray(value)) {
    const entries = Object.entries(value as object);
    const [tag, content] = entries[0] ?? ["", null];
    if (entries.length === 1 && tag.startsWith("$")) {
      if (tag === "$bytes" && typeof content === "string") {
        try {
          return fromBase64(content);
        } catch {
          throw new Malformed("not base64");
        }
      }
      if (tag === "$map" && isTagged(content)) return members(content as object, depth);
      throw new Malformed(`a map tagged ${tag}`);
    }
    if (depth <= 0) throw new Malformed(`nested deeper than ${MAX_DEPTH}`);
    return members(value as object, depth);
  }
  if (depth <= 0) throw new Malformed(`nested deeper than ${MAX_DEPTH}`);
  return value.map((item) => fromJson(item, depth - 1));
}

function isTagged(value: unknown): boolean {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return false;
  const names = Object.keys(value);
  return names.length === 1 && names[0]!.startsWith("$");
}

function members(value: object, depth: number): Value {
  const found = Object.create(null) as { [name: string]: Value };
  for (const [name, item] of Object.entries(value)) found[name] = fromJson(item, depth - 1);
  return found;
}

/** A value as what `JSON.stringify` takes. Bigints are refused: JSON numbers would lose digits. */
export function toJson(value: Value): unknown {
  if (typeof value === "bigint") throw new Malformed("beyond 2^53: send the msgpack form");
  if (value instanceof Uint8Array) return { $bytes: toBase64(value) };
  if (Array.isArray(value)) return value.map(toJson);
  if (value !== null && typeof value === "object") {
    const plain = Object.fromEntries(Object.entries(value).map(([name, item]) => [name, toJson(item)]));
    return isTagged(plain) ? { $map: plain } : plain;
  }
  return value;
}
