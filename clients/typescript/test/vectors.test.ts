/** What every client of the ledger has to accept and refuse: the vectors that the Python client is
 * tested with, too. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  InvalidDelivery,
  InvalidProof,
  Malformed,
  type Value,
  checkEvent,
  decode,
  encode,
  fromBase64,
  fromHex,
  fromJson,
  isSigned,
  passkeySignature,
  prepare,
  publicKey,
  readTransaction,
  readTrust,
  seal,
  sign,
  signWith,
  toBase64,
  toHex,
  toJson,
  verify,
  verifyDelivery,
  verifyDisclosures,
  verifyReceipt,
  verifyStatement,
} from "../src/index.js";
import { messages } from "../src/events.js";

// eslint-disable-next-line @typescript-eslint/no-explicit-any
const vectors: any = JSON.parse(
  readFileSync(process.env["VECTORS"] ?? "../../tests/data/client_vectors.json", "utf8"),
);
const trust = readTrust(vectors.trust);
const LIMIT = 1024 * 1024;

test("canonical bytes are read and written alike", () => {
  for (const { hex, json } of vectors.codec.values) {
    const value = decode(fromHex(hex), LIMIT);
    assert.equal(toHex(encode(value)), hex);
    const parsed: unknown = JSON.parse(json);
    if (typeof parsed === "number" && !Number.isSafeInteger(parsed)) {
      assert.equal(typeof value, "bigint");
      assert.throws(() => fromJson(parsed), Malformed);
    } else {
      assert.equal(toHex(encode(fromJson(parsed))), hex);
      assert.equal(JSON.stringify(toJson(value)).length > 0, true);
    }
  }
});

test("bytes in another than the one form are refused", () => {
  for (const hex of vectors.codec.odd) {
    assert.throws(() => decode(fromHex(hex), LIMIT), Malformed, hex);
  }
  assert.throws(() => decode(new Uint8Array(LIMIT + 1), LIMIT), Malformed);
});

test("no mutation of canonical bytes is read as anything but what it writes", () => {
  let seed = 7;
  const chance = (below: number): number => (seed = (seed * 48271) % 0x7fffffff) % below;
  for (const { hex } of vectors.codec.values) {
    for (let round = 0; round < 20; round++) {
      const bytes = fromHex(hex);
      for (let flips = 0; flips <= chance(3); flips++) {
        if (bytes.length > 0) bytes[chance(bytes.length)] = chance(256);
      }
      let value: Value;
      try {
        value = decode(bytes, LIMIT);
      } catch (error) {
        assert.ok(error instanceof Malformed, String(error));
        continue;
      }
      assert.equal(toHex(encode(value)), toHex(bytes));
    }
  }
});

for (const suite of ["ed25519", "passkey"] as const) {
  test(`signatures of ${suite} are judged as every node judges them`, () => {
    const judged = vectors[suite].map((entry: { [name: string]: string }) =>
      verify(fromHex(entry["key"]!), fromHex(entry["message"]!), fromHex(entry["signature"]!)),
    );
    assert.deepEqual(judged, vectors[suite].map((entry: { good: boolean }) => entry.good));
    assert.ok(judged.includes(true) && judged.includes(false));
  });
}

test("odd keys verify nothing", () => {
  for (const key of [[], [0], [1], [1, 2, 3], [3, ...new Array(32).fill(0)]]) {
    assert.equal(verify(Uint8Array.from(key), new Uint8Array(1), new Uint8Array(64)), false);
  }
});

test("what a browser gives for an assertion becomes the signature that nodes take", () => {
  for (const given of vectors.assertions) {
    const wire = passkeySignature(
      fromBase64(given.authenticatorData),
      fromBase64(given.clientDataJSON),
      fromBase64(given.signature),
    );
    assert.equal(toHex(wire), given.wire);
    assert.ok(verify(fromHex(given.key), fromHex(given.message), wire));
  }
  assert.throws(() => passkeySignature(new Uint8Array(36), new Uint8Array(), new Uint8Array()));
});

test("receipts are proven, also those signed by passkeys and after the validators changed", () => {
  const proven = vectors.receipts.map((file: unknown) => verifyReceipt(file, trust));
  assert.deepEqual(
    proven.map(({ transaction }: { transaction: { id: Uint8Array } }) => toHex(transaction.id)),
    vectors.transactions,
  );
  assert.ok(proven.some((one: { transaction: { signers: Uint8Array[] } }) => one.transaction.signers[0]![0] === 2));
  assert.ok(new Set(proven.map((one: { validators: unknown[] }) => one.validators.length)).size === 3);
});

test("no changed byte of a receipt or statement is believed", () => {
  const files = [
    ...vectors.receipts.map((file: unknown) => ({ file, part: "receipt", check: verifyReceipt })),
    ...vectors.statements.map((entry: { file: unknown }) => ({
      file: entry.file,
      part: "statement",
      check: verifyStatement,
    })),
  ];
  for (const { file, part, check } of files) {
    const raw = fromBase64(file[part]);
    for (let place = 0; place < raw.length; place += 1 + Math.floor(raw.length / 6)) {
      const changed = raw.slice();
      changed[place]! ^= 1;
      const forged = { ...file, [part]: toBase64(changed) };
      assert.throws(() => check(forged, trust), InvalidProof, `byte ${place}`);
    }
    assert.throws(() => check({ ...file, [part]: toBase64(raw.slice(0, -1)) }, trust), InvalidProof);
    assert.throws(() => check({ ...file, format: "another" }, trust), InvalidProof);
    assert.throws(() => check(null, trust), InvalidProof);
  }
});

test("nothing is believed about another chain, or from fewer validators than a quorum", () => {
  const other = { ...trust, chain: new Uint8Array(32) };
  const strangers = { ...trust, validators: trust.validators.slice(1) };
  for (const file of vectors.receipts) {
    assert.throws(() => verifyReceipt(file, other), InvalidProof);
    assert.throws(() => verifyReceipt(file, strangers), InvalidProof);
  }
});

test("state entries are proven present with their value, or absent", () => {
  for (const { file, height, present, raw } of vectors.statements) {
    const proven = verifyStatement(file, trust);
    assert.equal(proven.key, file.key);
    assert.equal(proven.header.height, height);
    assert.equal(proven.present, present);
    if (present) assert.equal(toHex(encode(proven.value)), raw);
    else assert.equal(proven.value, null);
    assert.throws(() => verifyStatement({ ...file, key: "another" }, trust), InvalidProof);
  }
});

test("an event is held against the receipt of its transaction", () => {
  const receipts = new Map(vectors.receipts.map((file: { transaction: string }) => [file.transaction, file]));
  for (const { id, data } of vectors.events) {
    const receipt = verifyReceipt(receipts.get(data.transaction), trust);
    const found = checkEvent(id, data, receipt);
    assert.deepEqual([found.contract, found.name], [data.contract, data.name]);
    for (const change of [
      { name: "other" },
      { contract: "other" },
      { fields: { n: 99 } },
      { height: data.height + 1 },
      { time: data.time + 1 },
      { call: data.call + 1 },
      { cursor: "1.0.0" },
    ]) {
      assert.throws(() => checkEvent(id, { ...data, ...change }, receipt), InvalidProof);
    }
    assert.throws(() => checkEvent("5.0.9", { ...data, cursor: "5.0.9" }, receipt), InvalidProof);
  }
});

test("a patient's list is proven whole, and every page of it, and no other list", () => {
  for (const { file, first, total, entries } of vectors.disclosures) {
    const proven = verifyDisclosures(file, trust, "p-1");
    assert.deepEqual([proven.first, proven.total], [first, total]);
    assert.deepEqual(proven.entries.map((entry) => entry.said["id"]), entries);
    const refused = [
      () => verifyDisclosures(file, trust, "p-2"),
      () => verifyDisclosures(file, trust, "p-1", 99),
      () => verifyDisclosures({ ...file, first: first + 1 }, trust, "p-1"),
      () => verifyDisclosures({ ...file, entries: file.entries.slice(1) }, trust, "p-1"),
      () => verifyDisclosures({ ...file, entries: [...file.entries, file.entries[0]] }, trust, "p-1"),
      () => verifyDisclosures({ ...file, path: [...file.path, "00".repeat(32)] }, trust, "p-1"),
      () => verifyDisclosures({ ...file, path: ["00"] }, trust, "p-1"),
      () => verifyDisclosures({ ...file, before: ["00".repeat(32)] }, trust, "p-1"),
      () => verifyDisclosures({ ...file, entries: ["wKA="] }, trust, "p-1"),
      () => verifyDisclosures({ ...file, format: "x" }, trust, "p-1"),
      () => verifyDisclosures(null, trust, "p-1"),
    ];
    for (const attempt of refused) assert.throws(attempt, InvalidProof);
  }
});

test("a delivery is believed as it was sent, and not in any other way", () => {
  const { body, headers, key, now, url } = vectors.webhook;
  const raw = new TextEncoder().encode(body);
  const keys = [fromHex(key)];
  const found = verifyDelivery(url, headers, raw, keys, { now });
  assert.deepEqual([found.id, found.subscription], [headers["webhook-id"], headers["webhook-subscription"]]);
  assert.deepEqual(found.content, JSON.parse(body));
  const refused: (() => unknown)[] = [
    () => verifyDelivery(`${url}&`, headers, raw, keys, { now }),
    () => verifyDelivery(url, headers, raw.slice(1), keys, { now }),
    () => verifyDelivery(url, headers, raw, [], { now }),
    () => verifyDelivery(url, headers, raw, [publicKey(new Uint8Array(32))], { now }),
    () => verifyDelivery(url, headers, raw, keys, { now: now + 310 }),
    () => verifyDelivery(url, headers, raw, keys, { now: now - 60 }),
    () => verifyDelivery(url, headers, raw, keys, { now, subscription: "sub-2" }),
    ...Object.keys(headers).flatMap((name) => [
      () => verifyDelivery(url, { ...headers, [name]: `${headers[name]}x` }, raw, keys, { now }),
      () => verifyDelivery(url, { ...headers, [name]: "" }, raw, keys, { now }),
    ]),
    () =>
      verifyDelivery(
        url,
        { ...headers, "signature-input": headers["signature-input"].replace("-webhook", "-other") },
        raw,
        keys,
        { now },
      ),
  ];
  for (const attempt of refused) assert.throws(attempt, InvalidDelivery);
});

test("a transaction that is made here is one that the ledger reads", () => {
  const seed = Uint8Array.from({ length: 32 }, (_, place) => place);
  const call = { contract: "consent", method: "withdraw", arguments: { id: "c-1", form: Uint8Array.of(1) } };
  const raw = signWith(seed, trust.chain, 3, 100, call);
  const made = readTransaction(raw);
  assert.ok(isSigned(made));
  assert.deepEqual([made.validFrom, made.validUntil, made.signers.length], [3, 103, 1]);
  const prepared = prepare(trust.chain, 3, 100, [call], [publicKey(seed)]);
  assert.throws(() => seal(prepared, [sign(seed, new Uint8Array(32))]), Malformed);
  assert.throws(() => seal(prepared, []), Malformed);
  assert.throws(() => readTransaction(raw.slice(1)), Malformed);
});

test("server-sent events are read whole, however they are cut up", async () => {
  const text = ": still here\n\ndata: {\"n\":1}\nid: 1.0.0\n\n: still here\r\nid: 9.9.9\r\n\r\ndata: 你\nid: 2.0.0\n\n";
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 7, 1000]) {
    async function* cut(): AsyncGenerator<Uint8Array> {
      for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
    }
    const found = [];
    for await (const message of messages(cut())) found.push(message);
    assert.deepEqual(found, [
      { id: "1.0.0", data: '{"n":1}' },
      { id: "9.9.9", data: "" },
      { id: "2.0.0", data: "你" },
    ]);
  }
});

test("what is no trust file is refused", () => {
  for (const odd of [null, {}, [], { ...vectors.trust, chain: "00" }, { ...vectors.trust, validators: [] },
    { ...vectors.trust, validators: [{ node: 1 }] }, { ...vectors.trust, format: "x" }]) {
    assert.throws(() => readTrust(odd), Malformed);
  }
});
