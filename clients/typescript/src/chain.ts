/** Blocks that are final, and how one set of validators hands over to the next. */

import { equal, fromHex } from "./bytes.js";
import {
  Malformed,
  type Value,
  bytes,
  decode,
  encode,
  fields,
  integer,
  list,
  map,
  text,
} from "./codec.js";
import { HEADER, MESSAGE, type StateProof, VALIDATORS, verifyStateProof } from "./hashing.js";
import { verify } from "./suites.js";

/** Something that does not prove what it should. */
export class InvalidProof extends Error {
  override name = "InvalidProof";
}

const MIB = 1024 * 1024;
export const MAX_RECEIPT_BYTES = 4 * MIB;
export const MAX_STATE_VALUE_BYTES = MIB;
const MAX_NAME = 64;
const VALIDATORS_KEY = new TextEncoder().encode("governance/validators");

export interface Validator {
  readonly node: string;
  readonly institution: string;
  readonly key: Uint8Array;
}

/** What a verifier starts from: the chain's id and the validators of height 1. */
export interface Trust {
  readonly chain: Uint8Array;
  readonly validators: readonly Validator[];
}

/** Read a trust file, which `health-ledger audit trust` makes from the genesis file. */
export function readTrust(file: unknown): Trust {
  const found = file as { format?: unknown; chain?: unknown; validators?: unknown };
  if (found?.format !== "health-ledger-trust-1" || !Array.isArray(found.validators)) {
    throw new Malformed("not a trust file");
  }
  try {
    const validators = found.validators.map((entry: { [name: string]: unknown }) => ({
      node: text(entry["node"] as Value),
      institution: text(entry["institution"] as Value),
      key: fromHex(text(entry["key"] as Value)),
    }));
    const chain = fromHex(text(found.chain as Value));
    if (chain.length !== 32 || validators.length === 0) throw new Malformed("not a trust file");
    return { chain, validators };
  } catch (error) {
    throw error instanceof Malformed ? error : new Malformed("not a trust file");
  }
}

export interface Header {
  readonly height: number;
  readonly view: number;
  readonly time: number;
  readonly proposer: string;
  readonly chain: Uint8Array;
  readonly parent: Uint8Array;
  readonly transactionsRoot: Uint8Array;
  readonly resultsRoot: Uint8Array;
  readonly stateRoot: Uint8Array;
  readonly logRoot: Uint8Array;
  readonly validators: Uint8Array;
  readonly hash: Uint8Array;
}

export function readHeader(value: Value | undefined): Header {
  const [version, chain, height, view, parent, proposer, time, ...rest] = fields(value, 13);
  const [transactions, identities, results, state, log, validators] = rest;
  if (integer(version) !== 1) throw new Malformed("another version of the protocol");
  bytes(identities, 32);
  const header = {
    height: integer(height),
    view: integer(view),
    time: integer(time),
    proposer: text(proposer),
    chain: bytes(chain, 32),
    parent: bytes(parent, 32),
    transactionsRoot: bytes(transactions, 32),
    resultsRoot: bytes(results, 32),
    stateRoot: bytes(state, 32),
    logRoot: bytes(log, 32),
    validators: bytes(validators, 32),
    hash: HEADER(encode(value as Value)),
  };
  // A name has as many characters as bytes at most; the bound is the protocol's.
  const named = [...header.proposer].length;
  if (header.height < 0 || header.view < 0 || header.time < 0) throw new Malformed("negative");
  if (header.height > 0 && !(named > 0 && named <= MAX_NAME)) throw new Malformed("odd proposer");
  return header;
}

export interface Certificate {
  readonly height: number;
  readonly view: number;
  readonly block: Uint8Array;
  readonly signatures: readonly { readonly node: string; readonly signature: Uint8Array }[];
}

export function readCertificate(value: Value | undefined): Certificate {
  const [height, view, block, signatures] = fields(value, 4);
  return {
    height: integer(height),
    view: integer(view),
    block: bytes(block),
    signatures: list(signatures).map((entry) => {
      const [node, signature] = fields(entry, 2);
      return { node: text(node), signature: bytes(signature) };
    }),
  };
}

export interface Handover {
  readonly header: Header;
  readonly certificate: Certificate;
  readonly value: Uint8Array;
  readonly proof: StateProof;
}

export function readStateProof(value: Value | undefined): StateProof {
  const [siblings, leaf] = fields(value, 2);
  return { siblings: list(siblings).map((entry) => bytes(entry)), leaf: bytes(leaf) };
}

export function readHandovers(value: Value | undefined): Handover[] {
  return list(value).map((entry) => {
    const [header, certificate, raw, proof] = fields(entry, 4);
    return {
      header: readHeader(header),
      certificate: readCertificate(certificate),
      value: bytes(raw),
      proof: readStateProof(proof),
    };
  });
}

function setHash(validators: readonly Validator[]): Uint8Array {
  return VALIDATORS(encode([validators.map(({ node, institution, key }) => [node, institution, key])]));
}

function byBytes(left: string, right: string): number {
  // Code points, as Python sorts text; JavaScript's own order is that of UTF-16.
  const [one, other] = [Array.from(left), Array.from(right)];
  for (let place = 0; place < Math.min(one.length, other.length); place++) {
    const difference = one[place]!.codePointAt(0)! - other[place]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return one.length - other.length;
}

/** Check that these validators made a header of this chain final; throws `InvalidProof`. */
export function checkFinal(
  chain: Uint8Array,
  header: Header,
  certificate: Certificate,
  validators: readonly Validator[],
): void {
  const refuse = (why: string): never => {
    throw new InvalidProof(`block ${header.height}: ${why}`);
  };
  if (!equal(header.chain, chain)) refuse("of another chain");
  if (!equal(setHash(validators), header.validators)) refuse("names another validator set");
  if (certificate.height !== header.height || !equal(certificate.block, header.hash)) {
    refuse("the certificate is for another block");
  }
  if (certificate.view < header.view) refuse("the certificate's view is before the block's");
  const nodes = certificate.signatures.map((entry) => entry.node);
  for (let place = 1; place < nodes.length; place++) {
    if (byBytes(nodes[place - 1]!, nodes[place]!) >= 0) refuse("signatures are not sorted by node");
  }
  const quorum = validators.length - Math.floor((validators.length - 1) / 3);
  if (nodes.length < quorum) refuse(`${nodes.length} signatures where ${quorum} are needed`);
  const digest = MESSAGE(
    encode(["commit", chain, header.height, certificate.view, header.hash]),
  );
  for (const { node, signature } of certificate.signatures) {
    const member = validators.find((validator) => validator.node === node);
    if (member === undefined) return refuse(`${node} is not a validator at this height`);
    if (!verify(member.key, digest, signature)) refuse(`the signature of ${node} is not good`);
  }
}

/** The validators that a schedule, the value of `governance/validators`, names for a height. */
function scheduled(raw: Uint8Array, height: number): Validator[] {
  try {
    const schedule = list(decode(raw, MAX_STATE_VALUE_BYTES));
    let current = map(schedule[0]);
    for (const entry of schedule) if (integer(map(entry)["from"]) <= height) current = map(entry);
    return list(current["members"]).map((member) => ({
      node: text(map(member)["node"]),
      institution: text(map(member)["institution"]),
      key: fromHex(text(map(member)["key"])),
    }));
  } catch {
    throw new InvalidProof(`no validators are scheduled for height ${height}`);
  }
}

/** Check that a header is final on the chain, following the handovers from the trusted validators to
 * those of its height, whom it returns. Throws `InvalidProof`. */
export function verifyFinal(
  trust: Trust,
  header: Header,
  certificate: Certificate,
  handovers: readonly Handover[],
): readonly Validator[] {
  if (header.height < 1) throw new InvalidProof("nobody certifies the genesis block");
  let { validators } = trust;
  let since = 1;
  for (const handover of handovers) {
    const at = handover.header.height;
    if (at >= header.height || at < since) throw new InvalidProof("a handover is out of order");
    checkFinal(trust.chain, handover.header, handover.certificate, validators);
    if (
      handover.value.length > MAX_STATE_VALUE_BYTES ||
      !verifyStateProof(handover.header.stateRoot, VALIDATORS_KEY, handover.value, handover.proof)
    ) {
      throw new InvalidProof("the validators of a handover are not in its state");
    }
    const following = scheduled(handover.value, at + 1);
    if (equal(setHash(following), setHash(validators))) {
      throw new InvalidProof("a handover hands nothing over");
    }
    validators = following;
    since = at + 1;
  }
  checkFinal(trust.chain, header, certificate, validators);
  return validators;
}
