// What a page needs of the protocol: hashes, bodies, and signatures of suite 2
// (docs/protocol/chain.md, sections 2 and 4).

import { Malformed, decode } from "./msgpack.js";

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const AUTHENTICATOR_DATA = 37;
const MAX_CLIENT_DATA = 1024;

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export function fromBase64(written) {
  return Uint8Array.from(atob(written), (letter) => letter.charCodeAt(0));
}

export function toBase64(bytes) {
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return btoa(letters);
}

export const toBase64Url = (bytes) =>
  toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

export const fromBase64Url = (written) =>
  fromBase64(written.replaceAll("-", "+").replaceAll("_", "/"));

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

// SHA-256 in one of the protocol's domains.
export async function domainHash(name, data) {
  const tag = new TextEncoder().encode(`health-ledger/${name}\0`);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", joined(tag, data)));
}

// A body as an object. Its calls have maps as arguments.
export function readBody(bytes) {
  const fields = decode(bytes);
  if (!Array.isArray(fields) || fields.length !== 7) throw new Malformed("not a body");
  const [chain, nonce, validFrom, validUntil, atomic, calls, signers] = fields;
  if (!Array.isArray(calls) || calls.length === 0) throw new Malformed("no calls");
  if (!Array.isArray(signers) || !signers.every((signer) => signer instanceof Uint8Array)) {
    throw new Malformed("no signers");
  }
  return {
    chain,
    nonce,
    validFrom,
    validUntil,
    atomic,
    signers: signers.map(hex),
    calls: calls.map((call) => {
      const good =
        Array.isArray(call) &&
        call.length === 3 &&
        typeof call[0] === "string" &&
        typeof call[1] === "string" &&
        call[2] instanceof Map;
      if (!good) throw new Malformed("not a call");
      return { contract: call[0], method: call[1], arguments: call[2] };
    }),
  };
}

function number(der, at) {
  if (der[at] !== 0x02) throw new Malformed("not a number in DER");
  const size = der[at + 1];
  let value = 0n;
  for (const byte of der.slice(at + 2, at + 2 + size)) value = (value << 8n) | BigInt(byte);
  return [value, at + 2 + size];
}

function fixed(value) {
  const digits = value.toString(16).padStart(64, "0");
  return Uint8Array.from({ length: 32 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

// The wire signature of suite 2 of an AuthenticatorAssertionResponse.
export function wireSignature(response) {
  const data = new Uint8Array(response.authenticatorData);
  const client = new Uint8Array(response.clientDataJSON);
  const der = new Uint8Array(response.signature);
  if (data.length !== AUTHENTICATOR_DATA || client.length > MAX_CLIENT_DATA) {
    throw new Malformed("this device adds things to its signatures that are not accepted");
  }
  if (der[0] !== 0x30 || der[1] !== der.length - 2) throw new Malformed("not a signature in DER");
  const [r, after] = number(der, 2);
  const [s] = number(der, after);
  return joined(data, fixed(r), fixed(s > ORDER / 2n ? ORDER - s : s), client);
}
