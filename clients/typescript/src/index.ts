/** A client of health-data ledgers that believes only what it can verify. */

export { equal, fromBase64, fromHex, toBase64, toHex, utf8 } from "./bytes.js";
export { type Header, InvalidProof, type Trust, type Validator, readTrust } from "./chain.js";
export {
  type Filters,
  Ledger,
  NodeRefused,
  type Options,
  type VerifiedEvent,
  checkEvent,
} from "./client.js";
export { Malformed, type Value, decode, encode } from "./codec.js";
export { type Disclosure, type Disclosures, verifyDisclosures } from "./disclosures.js";
export { type Proven, type Verified, verifyReceipt, verifyStatement } from "./proofs.js";
export { passkeySignature, publicKey, sign, verify } from "./suites.js";
export {
  type Call,
  type CallResult,
  type LedgerEvent,
  type Prepared,
  type Result,
  type Transaction,
  isSigned,
  prepare,
  readResult,
  readTransaction,
  seal,
  signWith,
} from "./transaction.js";
export { fromJson, toJson } from "./values.js";
export { type Delivery, InvalidDelivery, verifyDelivery } from "./webhooks.js";
export type { components, paths } from "./schema.js";
