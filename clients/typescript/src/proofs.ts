/** Receipts and statements: what is proven to whoever has the trust file. */

import { equal, fromBase64, toHex, utf8 } from "./bytes.js";
import {
  type Header,
  InvalidProof,
  MAX_RECEIPT_BYTES,
  MAX_STATE_VALUE_BYTES,
  type Trust,
  type Validator,
  readCertificate,
  readHandovers,
  readHeader,
  readStateProof,
  verifyFinal,
} from "./chain.js";
import { Malformed, type Value, bytes, checkValue, decode, fields, list } from "./codec.js";
import { leafHash, rootFromSides, verifyStateProof } from "./hashing.js";
import { type Result, type Transaction, isSigned, readResult, readTransaction } from "./transaction.js";

/** What a good receipt proves. */
export interface Verified {
  readonly header: Header;
  readonly transaction: Transaction;
  readonly result: Result;
  readonly validators: readonly Validator[];
  /** Place in the block. */
  readonly sides: bigint;
}

/** What a good statement proves: the value of a key after the block, or that it had none. */
export interface Proven {
  readonly key: string;
  readonly present: boolean;
  readonly value: Value;
  readonly header: Header;
  readonly validators: readonly Validator[];
}

function content(file: unknown, format: string, member: string): Uint8Array {
  const found = file as { [name: string]: unknown } | null;
  const raw = found?.[member];
  if (found?.["format"] !== format || typeof raw !== "string") {
    throw new InvalidProof(`not a file of the format ${format}`);
  }
  if (raw.length > 2 * MAX_RECEIPT_BYTES) throw new InvalidProof("the file is too large");
  try {
    return fromBase64(raw);
  } catch {
    throw new InvalidProof("not base64");
  }
}

function proving<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof Malformed) throw new InvalidProof(error.message);
    throw error;
  }
}

/** Check a receipt file, as `GET /v1/receipts/{tx}` gives it; throws `InvalidProof`. */
export function verifyReceipt(file: unknown, trust: Trust): Verified {
  return proving(() => {
    const raw = content(file, "health-ledger-receipt-1", "receipt");
    const [head, signed, envelope, outcome, sides, path, resultPath, handovers] = fields(
      decode(raw, MAX_RECEIPT_BYTES),
      8,
    );
    const header = readHeader(head);
    const validators = verifyFinal(
      trust,
      header,
      readCertificate(signed),
      readHandovers(handovers),
    );
    const transaction = readTransaction(bytes(envelope));
    const result = readResult(bytes(outcome));
    if (typeof sides !== "number" && typeof sides !== "bigint") throw new InvalidProof("no sides");
    const place = BigInt(sides);
    for (const [leaf, way, root, what] of [
      [envelope, path, header.transactionsRoot, "transaction"],
      [outcome, resultPath, header.resultsRoot, "result"],
    ] as const) {
      const hashes = list(way).map((entry) => bytes(entry));
      const found = rootFromSides(leafHash(bytes(leaf)), place, hashes);
      if (found === null || !equal(found, root)) throw new InvalidProof(`the ${what} is not in the block`);
    }
    if (!equal(result.transaction, transaction.id) || result.calls.length !== transaction.calls.length) {
      throw new InvalidProof("the result is of another transaction");
    }
    if (!equal(transaction.chain, header.chain) || !isSigned(transaction)) {
      throw new InvalidProof("the transaction is not signed for this chain by whom it names");
    }
    if ((file as { transaction?: unknown }).transaction !== toHex(transaction.id)) {
      throw new InvalidProof("the receipt is of another transaction than the file says");
    }
    return { header, transaction, result, validators, sides: place };
  });
}

/** Check the proof of a state entry, the `proof` of `GET /v1/state/…?proof=true`; throws
 * `InvalidProof`. */
export function verifyStatement(file: unknown, trust: Trust): Proven {
  return proving(() => {
    const raw = content(file, "health-ledger-state-1", "statement");
    const [key, stored, head, signed, proof, handovers] = fields(decode(raw, MAX_RECEIPT_BYTES), 6);
    const header = readHeader(head);
    const validators = verifyFinal(
      trust,
      header,
      readCertificate(signed),
      readHandovers(handovers),
    );
    const name = bytes(key);
    const value = stored === null ? null : bytes(stored);
    if (!verifyStateProof(header.stateRoot, name, value, readStateProof(proof))) {
      throw new InvalidProof("the state of the block says something else");
    }
    const written = (file as { key?: unknown }).key;
    if (typeof written !== "string" || !equal(utf8(written), name)) {
      throw new InvalidProof("the statement is about another key than the file says");
    }
    return {
      key: written,
      present: value !== null,
      value: value === null ? null : checkValue(decode(value, MAX_STATE_VALUE_BYTES)),
      header,
      validators,
    };
  });
}
