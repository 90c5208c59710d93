/** Transactions: what is signed, and what came out of them. */

import { toHex } from "./bytes.js";
import {
  Malformed,
  type Value,
  bytes,
  checkValue,
  decode,
  encode,
  fields,
  integer,
  list,
  map,
  text,
  truth,
} from "./codec.js";
import { TRANSACTION } from "./hashing.js";
import { publicKey, sign, usable, verify } from "./suites.js";

const KIB = 1024;
export const MAX_TRANSACTION_BYTES = 256 * KIB;
const MAX_RESULT_BYTES = KIB * KIB;
const MAX_SIGNATURE_BYTES = 2 * KIB;

export interface Call {
  readonly contract: string;
  readonly method: string;
  readonly arguments: { readonly [name: string]: Value };
}

export interface Transaction {
  readonly id: Uint8Array;
  readonly chain: Uint8Array;
  readonly nonce: Uint8Array;
  readonly validFrom: number;
  readonly validUntil: number;
  readonly atomic: boolean;
  readonly calls: readonly Call[];
  readonly signers: readonly Uint8Array[];
  readonly signatures: readonly Uint8Array[];
}

function named(value: Value | undefined): string {
  const name = text(value);
  if (name.length === 0 || [...name].length > 64) throw new Malformed("an empty or long name");
  return name;
}

/** Read an envelope; throws `Malformed`. Says nothing about the signatures. */
export function readTransaction(raw: Uint8Array): Transaction {
  const [body, signatures] = fields(decode(raw, MAX_TRANSACTION_BYTES), 2);
  const content = bytes(body);
  const [chain, nonce, from, until, atomic, calls, signers] = fields(
    decode(content, MAX_TRANSACTION_BYTES),
    7,
  );
  const found: Transaction = {
    id: TRANSACTION(content),
    chain: bytes(chain, 32),
    nonce: bytes(nonce),
    validFrom: integer(from),
    validUntil: integer(until),
    atomic: truth(atomic),
    calls: list(calls).map((call) => {
      const [contract, method, given] = fields(call, 3);
      checkValue(map(given));
      return { contract: named(contract), method: named(method), arguments: map(given) };
    }),
    signers: list(signers).map((signer) => bytes(signer)),
    signatures: list(signatures).map((signature) => bytes(signature)),
  };
  const distinct = new Set(found.signers.map(toHex)).size;
  if (
    found.nonce.length > 16 ||
    found.validFrom < 0 ||
    found.validUntil < found.validFrom ||
    !(found.calls.length >= 1 && found.calls.length <= 128) ||
    !(found.signers.length >= 1 && found.signers.length <= 8) ||
    distinct !== found.signers.length ||
    found.signers.length !== found.signatures.length ||
    !found.signers.every(usable) ||
    found.signatures.some((signature) => signature.length > MAX_SIGNATURE_BYTES)
  ) {
    throw new Malformed("not a well-formed transaction");
  }
  return found;
}

/** Whether every signer that the transaction names signed it. */
export function isSigned(transaction: Transaction): boolean {
  return transaction.signers.every((signer, place) =>
    verify(signer, transaction.id, transaction.signatures[place]!),
  );
}

export interface LedgerEvent {
  readonly contract: string;
  readonly name: string;
  readonly fields: { readonly [name: string]: Value };
}

export interface CallResult {
  readonly ok: boolean;
  readonly error: string;
  readonly value: Value;
  readonly gas: number;
  readonly events: readonly LedgerEvent[];
}

export interface Result {
  readonly transaction: Uint8Array;
  readonly calls: readonly CallResult[];
}

/** Read an encoded result; throws `Malformed`. */
export function readResult(raw: Uint8Array): Result {
  const [transaction, calls] = fields(decode(raw, MAX_RESULT_BYTES), 2);
  return {
    transaction: bytes(transaction),
    calls: list(calls).map((call) => {
      const [ok, error, value, gas, events] = fields(call, 5);
      return {
        ok: truth(ok),
        error: text(error),
        value: value as Value,
        gas: integer(gas),
        events: list(events).map((event) => {
          const [contract, name, given] = fields(event, 3);
          return { contract: text(contract), name: text(name), fields: map(given) };
        }),
      };
    }),
  };
}

// --- making one ----------------------------------------------------------------------------------

/** What is signed: the encoded body, and its id, which is what a signer signs. */
export interface Prepared {
  readonly body: Uint8Array;
  readonly id: Uint8Array;
  readonly signers: readonly Uint8Array[];
}

/**
 * Prepare a transaction that may enter the chain in the `window` heights after `height`.
 *
 * Each signer signs `id`: with a seed by `signWith`, with a passkey by giving `id` as the challenge to
 * `navigator.credentials.get` and the parts of the answer to `passkeySignature`.
 */
export function prepare(
  chain: Uint8Array,
  height: number,
  window: number,
  calls: readonly Call[],
  signers: readonly Uint8Array[],
  options: { readonly atomic?: boolean; readonly nonce?: Uint8Array } = {},
): Prepared {
  const nonce = options.nonce ?? crypto.getRandomValues(new Uint8Array(16));
  const body = encode([
    chain,
    nonce,
    height,
    height + window,
    options.atomic ?? false,
    calls.map((call) => [call.contract, call.method, call.arguments]),
    [...signers],
  ]);
  return { body, id: TRANSACTION(body), signers };
}

/** The envelope of a prepared transaction with the signatures of all its signers, in their order;
 * throws `Malformed` where one is not good. */
export function seal(prepared: Prepared, signatures: readonly Uint8Array[]): Uint8Array {
  const raw = encode([prepared.body, [...signatures]]);
  if (!isSigned(readTransaction(raw))) throw new Malformed("a signature is not good");
  return raw;
}

/** Prepare and sign with one Ed25519 seed. */
export function signWith(
  seed: Uint8Array,
  chain: Uint8Array,
  height: number,
  window: number,
  ...calls: readonly Call[]
): Uint8Array {
  const prepared = prepare(chain, height, window, calls, [publicKey(seed)]);
  return seal(prepared, [sign(seed, prepared.id)]);
}

