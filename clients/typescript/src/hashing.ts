/** SHA-256 with domain separation, and the trees over it. */

import { sha256 } from "@noble/hashes/sha2.js";

import { concat, equal, utf8 } from "./bytes.js";

export { sha256 };

export const HASH_SIZE = 32;
const ZERO = new Uint8Array(HASH_SIZE);

/** A hash domain: `health-ledger/NAME` and a zero byte before what is hashed. */
export function domain(name: string): (data: Uint8Array) => Uint8Array {
  const prefix = concat(utf8(`health-ledger/${name}`), Uint8Array.of(0));
  return (data) => sha256(concat(prefix, data));
}

export const HEADER = domain("header");
export const VALIDATORS = domain("validators");
export const TRANSACTION = domain("transaction");
export const MESSAGE = domain("message");
const STATE_KEY = domain("state-key");
const STATE_VALUE = domain("state-value");

// --- RFC 9162 ----------------------------------------------------------------------------------

export function leafHash(data: Uint8Array): Uint8Array {
  return sha256(concat(Uint8Array.of(0), data));
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(concat(Uint8Array.of(1), left, right));
}

/** The root that an inclusion path leads to; bit i of `sides` is set where entry i stands left.
 * Null where they do not fit. */
export function rootFromSides(
  leaf: Uint8Array,
  sides: bigint,
  path: readonly Uint8Array[],
): Uint8Array | null {
  if (sides < 0n || sides >> BigInt(path.length) !== 0n) return null;
  let result = leaf;
  for (const [level, entry] of path.entries()) {
    if (entry.length !== HASH_SIZE) return null;
    result = (sides >> BigInt(level)) & 1n ? nodeHash(entry, result) : nodeHash(result, entry);
  }
  return result;
}

// --- the state: a compact sparse Merkle tree -----------------------------------------------------

/** That a key has a value, or none, under a state root. */
export interface StateProof {
  readonly siblings: readonly Uint8Array[];
  readonly leaf: Uint8Array;
}

const MAX_LEVELS = 256;

function entryHash(leaf: Uint8Array): Uint8Array {
  return sha256(concat(Uint8Array.of(2), leaf));
}

function bit(name: Uint8Array, level: number): boolean {
  return ((name[level >> 3]! >> (7 - (level & 7))) & 1) === 1;
}

/** Whether a proof shows that `key` has `value` (null: is absent) under `root`. */
export function verifyStateProof(
  root: Uint8Array,
  key: Uint8Array,
  value: Uint8Array | null,
  proof: StateProof,
): boolean {
  const depth = proof.siblings.length;
  if (depth > MAX_LEVELS) return false;
  const name = STATE_KEY(key);
  let node: Uint8Array;
  if (value !== null) {
    if (proof.leaf.length !== 0) return false;
    node = entryHash(concat(name, STATE_VALUE(value)));
  } else if (proof.leaf.length !== 0) {
    const other = proof.leaf.subarray(0, HASH_SIZE);
    if (proof.leaf.length !== 2 * HASH_SIZE || equal(other, name)) return false;
    for (let level = 0; level < depth; level++) {
      if (bit(other, level) !== bit(name, level)) return false;
    }
    node = entryHash(proof.leaf);
  } else {
    node = ZERO;
  }
  for (let level = depth - 1; level >= 0; level--) {
    let sibling = proof.siblings[level]!;
    if (sibling.length === 0) sibling = ZERO;
    else if (sibling.length !== HASH_SIZE || equal(sibling, ZERO)) return false;
    const [left, right] = bit(name, level) ? [sibling, node] : [node, sibling];
    node = sha256(concat(Uint8Array.of(3), left, right));
  }
  return equal(node, root);
}
