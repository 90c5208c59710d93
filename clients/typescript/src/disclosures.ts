/** A patient's log of disclosures, and the proof that a list of it is whole (docs/protocol of the
 * ledger): RFC 9162 over its entries, of which the state has the count and the complete subtrees. */

import { equal, fromBase64, fromHex } from "./bytes.js";
import { type Header, InvalidProof, type Trust } from "./chain.js";
import { Malformed, type Value, bytes, checkValue, decode, integer, list, map, text } from "./codec.js";
import { leafHash, nodeHash } from "./hashing.js";
import { verifyStatement } from "./proofs.js";

/** One line of a log. `by`: the contract that wrote it; `said`: what it says. */
export interface Disclosure {
  readonly by: string;
  readonly said: { readonly [name: string]: Value };
}

/** The entries of a log from `first` on; it has `total` after the block of `header`. */
export interface Disclosures {
  readonly subject: string;
  readonly header: Header;
  readonly total: number;
  readonly first: number;
  readonly entries: readonly Disclosure[];
}

const FORMAT = "health-ledger-disclosures-1";
const MAX_PAGE = 1000;
const MAX_ENTRY_BYTES = 1024 * 1024;
const EMPTY = fromHex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");

/** A growing tree of which only its complete subtrees are kept, largest first. */
class Log {
  constructor(
    public size: number,
    private readonly peaks: Uint8Array[],
  ) {
    const ones = BigInt(size).toString(2).replaceAll("0", "").length;
    if (size < 0 || peaks.length !== ones || peaks.some((peak) => peak.length !== 32)) {
      throw new InvalidProof("not the subtrees of such a log");
    }
  }

  append(data: Uint8Array): void {
    let hash = leafHash(data);
    for (let place = this.size; place % 2 === 1; place = Math.floor(place / 2)) {
      hash = nodeHash(this.peaks.pop()!, hash);
    }
    this.peaks.push(hash);
    this.size += 1;
  }

  root(): Uint8Array {
    return this.peaks.length === 0 ? EMPTY : this.peaks.reduceRight((right, left) => nodeHash(left, right));
  }
}

/** Whether the second tree begins with the first (RFC 9162, 2.1.4.2). */
function consistent(
  first: number,
  firstRoot: Uint8Array,
  second: number,
  secondRoot: Uint8Array,
  path: readonly Uint8Array[],
): boolean {
  if (path.some((entry) => entry.length !== 32) || first > second) return false;
  if (first === 0) return equal(firstRoot, EMPTY) && path.length === 0;
  if (first === second) return equal(firstRoot, secondRoot) && path.length === 0;
  if (path.length === 0) return false;
  const half = (value: number): number => Math.floor(value / 2);
  let [node, last] = [first - 1, second - 1];
  while (node % 2 === 1) [node, last] = [half(node), half(last)];
  // The first tree is itself a node of the second where its size is a power of two.
  const entries = node === 0 ? path : path.slice(1);
  let before = node === 0 ? firstRoot : path[0]!;
  let after = before;
  for (const entry of entries) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      before = nodeHash(entry, before);
      after = nodeHash(entry, after);
      while (node % 2 === 0 && node > 0) [node, last] = [half(node), half(last)];
    } else {
      after = nodeHash(after, entry);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equal(before, firstRoot) && equal(after, secondRoot);
}

/**
 * Check a page of a patient's log, the `proof` of `GET /v1/disclosures?subject=…&proof=true`; throws
 * `InvalidProof`. `atLeast`: a height below which the answer is too old to be believed.
 */
export function verifyDisclosures(
  file: unknown,
  trust: Trust,
  subject: string,
  atLeast = 0,
): Disclosures {
  const found = file as { readonly [name: string]: unknown } | null;
  if (found?.["format"] !== FORMAT) throw new InvalidProof(`not a file of the format ${FORMAT}`);
  if (found["subject"] !== subject) throw new InvalidProof("the list is of another patient");
  const proven = verifyStatement(found["statement"], trust);
  if (proven.key !== `disclosures/logs/${subject}`) {
    throw new InvalidProof("the proof is about another log");
  }
  if (proven.header.height < atLeast) {
    throw new InvalidProof(`as of height ${proven.header.height}, older than ${atLeast}`);
  }
  try {
    const hashes = (value: unknown): Uint8Array[] =>
      list(value as Value).map((entry) => fromHex(text(entry)));
    const state = proven.present ? map(proven.value) : { count: 0, peaks: [] };
    if (Object.keys(state).sort().join() !== "count,peaks") throw new Malformed("not a log");
    const log = new Log(integer(state["count"]), list(state["peaks"]).map((peak) => bytes(peak)));
    const leaves = list(found["entries"] as Value).map((entry) => fromBase64(text(entry)));
    if (leaves.length > MAX_PAGE) throw new Malformed(`more than ${MAX_PAGE} entries`);
    const first = integer(found["first"] as Value);
    const end = first + leaves.length;
    if (!Number.isSafeInteger(first) || first < 0 || end > log.size) {
      throw new InvalidProof("the log has no such entries");
    }
    if (leaves.length === 0 && end !== log.size) {
      throw new InvalidProof("only at the end of a log is a page empty");
    }
    const soFar = new Log(first, hashes(found["before"]));
    const entries = leaves.map((leaf) => {
      const entry = map(checkValue(decode(leaf, MAX_ENTRY_BYTES)));
      if (Object.keys(entry).sort().join() !== "by,entry") throw new Malformed("not an entry");
      soFar.append(leaf);
      return { by: text(entry["by"]), said: map(entry["entry"]) };
    });
    if (!consistent(end, soFar.root(), log.size, log.root(), hashes(found["path"]))) {
      throw new InvalidProof("the entries are not this page of the log");
    }
    return { subject, header: proven.header, total: log.size, first, entries };
  } catch (error) {
    if (error instanceof InvalidProof) throw error;
    if (error instanceof Malformed || error instanceof TypeError) {
      throw new InvalidProof(error.message);
    }
    throw error;
  }
}
