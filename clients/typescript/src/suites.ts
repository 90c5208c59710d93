/**
 * Signature suites, decided exactly as every node decides them.
 *
 * A wire public key begins with the number of its suite. Suite 1 is Ed25519 as libsodium verifies it:
 * without the cofactor, and without keys or points of small order. Suite 2 is a passkey (Web
 * Authentication Level 3) with ES256; its rules are in docs/protocol of the ledger.
 */

import { ed25519 } from "@noble/curves/ed25519.js";
import { p256 } from "@noble/curves/nist.js";
import { sha512 } from "@noble/hashes/sha2.js";

import { concat, equal, toBase64Url, utf8 } from "./bytes.js";
import { sha256 } from "./hashing.js";

const Point = ed25519.Point;
const L = Point.Fn.ORDER;

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function bigEndian(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function verifyEd25519(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.length !== 32 || signature.length !== 64) return false;
  const r = signature.subarray(0, 32);
  const s = littleEndian(signature.subarray(32));
  if (s >= L) return false;
  try {
    const a = Point.fromBytes(key);
    if (a.isSmallOrder() || Point.fromBytes(r, true).isSmallOrder()) return false;
    const h = littleEndian(sha512(concat(r, key, message))) % L;
    const found = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(h));
    return equal(found.toBytes(), r);
  } catch {
    return false; // not a point
  }
}

const RP_ID_HASH = 32;
const AUTHENTICATOR_DATA = 37;
const ECDSA = 64;
const MAX_CLIENT_DATA = 1024;
const ORDER = p256.Point.Fn.ORDER;
const PRESENT = 0x01;
const VERIFIED = 0x04;
const ELIGIBLE = 0x08;
const BACKED_UP = 0x10;
const ORIGIN =
  /^(?:https:\/\/([a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::[1-9][0-9]{0,4})?|http:\/\/(localhost)(?::[1-9][0-9]{0,4})?)$/;

function verifyPasskey(key: Uint8Array, message: Uint8Array, wire: Uint8Array): boolean {
  if (key.length !== RP_ID_HASH + 33 || wire.length <= ECDSA) return false;
  if (wire.length > AUTHENTICATOR_DATA + ECDSA + MAX_CLIENT_DATA) return false;
  const data = wire.subarray(0, AUTHENTICATOR_DATA);
  const numbers = wire.subarray(AUTHENTICATOR_DATA, AUTHENTICATOR_DATA + ECDSA);
  const client = wire.subarray(AUTHENTICATOR_DATA + ECDSA);
  const party = key.subarray(0, RP_ID_HASH);
  const point = key.subarray(RP_ID_HASH);
  if (numbers.length !== ECDSA || !equal(data.subarray(0, RP_ID_HASH), party)) return false;
  const flags = data[RP_ID_HASH]!;
  const needed = PRESENT | VERIFIED;
  if ((flags & needed) !== needed || flags & ~(needed | ELIGIBLE | BACKED_UP)) return false;
  if (flags & BACKED_UP && !(flags & ELIGIBLE)) return false;
  const r = bigEndian(numbers.subarray(0, 32));
  const s = bigEndian(numbers.subarray(32));
  // Of s and its complement only the lower one: nobody can write a signature in two ways.
  if (r <= 0n || r >= ORDER || s <= 0n || s > ORDER / 2n) return false;
  if (!tells(client, message, party)) return false;
  try {
    return p256.verify(numbers, sha256(concat(data, sha256(client))), point, {
      prehash: false,
      lowS: true,
      format: "compact",
    });
  } catch {
    return false; // not a point of the curve
  }
}

/** Client data is compared with its serialisation (§5.8.1.2), never parsed. */
function tells(client: Uint8Array, message: Uint8Array, party: Uint8Array): boolean {
  const text = Array.from(client, (byte) => String.fromCharCode(byte)).join("");
  const start = `{"type":"webauthn.get","challenge":"${toBase64Url(message)}","origin":"`;
  if (!text.startsWith(start)) return false;
  const end = text.indexOf('"', start.length);
  if (end < 0 || !isOf(text.slice(start.length, end), party)) return false;
  const rest = text.slice(end + 1);
  if (rest === "}") return true;
  if (!rest.startsWith(',"crossOrigin":false')) return false;
  const more = rest.slice(',"crossOrigin":false'.length);
  return more === "}" || (more.startsWith(',"') && more.endsWith("}"));
}

function isOf(origin: string, party: Uint8Array): boolean {
  const match = ORIGIN.exec(origin);
  const labels = (match?.[1] ?? match?.[2])?.split(".");
  return (
    labels !== undefined &&
    labels.some((_, from) => equal(sha256(utf8(labels.slice(from).join("."))), party))
  );
}

const VERIFIERS: ReadonlyMap<number, typeof verifyEd25519> = new Map([
  [1, verifyEd25519],
  [2, verifyPasskey],
]);
const KEY_SIZES: ReadonlyMap<number, number> = new Map([
  [1, 33],
  [2, 66],
]);

/** Whether a wire public key is one that a known suite can use. */
export function usable(key: Uint8Array): boolean {
  return key.length > 0 && KEY_SIZES.get(key[0]!) === key.length;
}

/** Whether a signature over `message` is good under a wire public key; false for odd keys. */
export function verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (!usable(key)) return false;
  return VERIFIERS.get(key[0]!)!(key.subarray(1), message, signature);
}

/** The wire public key of an Ed25519 seed of 32 bytes. */
export function publicKey(seed: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(1), ed25519.getPublicKey(seed));
}

/** Sign with an Ed25519 seed. */
export function sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return ed25519.sign(message, seed);
}

/** The wire signature of what `navigator.credentials.get` gave for the challenge `message`; throws a
 * `TypeError` for parts that none can be made of. */
export function passkeySignature(
  authenticatorData: Uint8Array,
  clientData: Uint8Array,
  der: Uint8Array,
): Uint8Array {
  if (authenticatorData.length !== AUTHENTICATOR_DATA || clientData.length > MAX_CLIENT_DATA) {
    throw new TypeError("not an assertion of the ledger's kind");
  }
  const given = p256.Signature.fromBytes(der, "der");
  const s = given.s > ORDER / 2n ? ORDER - given.s : given.s;
  const numbers = new p256.Signature(given.r, s).toBytes("compact");
  return concat(authenticatorData, numbers, clientData);
}
