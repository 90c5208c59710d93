// Reads bodies of transactions as the page of patients does: lines of hex in, lines of JSON out.
import { createInterface } from "node:readline";

const pages = new URL("../../ledger/api/pages/", import.meta.url);
const { domainHash, hex, readBody, wireSignature } = await import(new URL("ledger.js", pages));
const { said } = await import(new URL("declaration.js", pages));
const { envelope } = await import(new URL("msgpack.js", pages));

const bytes = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let answer;
  try {
    if (asked.response) {
      const response = Object.fromEntries(
        Object.entries(asked.response).map(([name, text]) => [name, bytes(text)]),
      );
      answer = { envelope: hex(envelope(bytes(asked.body), [wireSignature(response)])) };
    } else {
      const body = bytes(asked.body);
      answer = { id: hex(await domainHash("transaction", body)), said: said(readBody(body)) };
    }
  } catch (error) {
    answer = { refused: error.message };
  }
  console.log(JSON.stringify(answer));
}
