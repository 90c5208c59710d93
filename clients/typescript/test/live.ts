/** Drives a node that a test of the ledger has started: submits, reads, follows. Prints one JSON line. */

import { readFileSync } from "node:fs";

import { Ledger, NodeRefused, fromHex, publicKey, readTrust, signWith, toHex } from "../src/index.js";

const given = JSON.parse(readFileSync(0, "utf8")) as {
  url: string;
  trust: unknown;
  seed: string;
  subject: string;
  height: number;
};

const trust = readTrust(given.trust);
const ledger = new Ledger(given.url, trust);
const seed = fromHex(given.seed);
const consent = (id: string): Uint8Array =>
  signWith(seed, trust.chain, given.height, 100, {
    contract: "consent",
    method: "grant",
    arguments: { id, subject: given.subject, scope: { purposes: ["TREAT"] } },
  });

const first = await ledger.submit(consent("ts-1"));
const second = await ledger.submit(consent("ts-2"));
const entry = await ledger.state("consent", "consents/ts-1");
const absent = await ledger.state("consent", "consents/none", entry.header.height);

const heard: string[] = [];
for await (const event of ledger.events({ contract: ["consent"] }, "0.0.0")) {
  heard.push(`${event.name} ${String(event.fields["consent"])} ${toHex(event.receipt.transaction.id)}`);
  if (heard.length === 2) break;
}

let refusal = "";
try {
  await ledger.receipt("00".repeat(32));
} catch (error) {
  refusal = error instanceof NodeRefused ? `${error.status} ${error.code}` : String(error);
}
const status = await ledger.api.GET("/v1/status");

console.log(
  JSON.stringify({
    signer: toHex(publicKey(seed)),
    outcomes: [first, second].map((one) => one.result.calls[0]!.ok),
    transactions: [first, second].map((one) => toHex(one.transaction.id)),
    present: entry.present,
    absent: absent.present,
    heard,
    refusal,
    chain: status.data?.chain,
  }),
);
