/** Receiving webhooks: is this delivery from the node that it says, and whole? (RFC 9421, RFC 9530) */

import { fromBase64, toBase64, toHex, utf8 } from "./bytes.js";
import { sha256 } from "./hashing.js";
import { verify } from "./suites.js";

/** A delivery that must not be believed; answer with 401 and do nothing. */
export class InvalidDelivery extends Error {
  override name = "InvalidDelivery";
}

export interface Delivery {
  /** The same at every attempt: do nothing for one that you know. */
  readonly id: string;
  readonly subscription: string;
  /** The parsed JSON of the body. */
  readonly content: { readonly [name: string]: unknown };
}

const TAG = "health-ledger-webhook";
const MAX_BODY = 2 * 1024 * 1024;
const MAX_AGE_S = 300;
const SKEW_S = 5;
const COVERED =
  '("@method" "@target-uri" "content-type" "webhook-id" "webhook-subscription" "content-digest")';
const INPUT = /^node=(\([^)]*\))((?:;[a-z]+=(?:[0-9]{1,15}|"[\x20-\x21\x23-\x5b\x5d-\x7e]*"))*)$/;

/**
 * What a POST request delivers; throws `InvalidDelivery` where it may not be believed.
 *
 * `url` is the address that was subscribed (behind a proxy not the one that the server sees), `body` the
 * bytes as they came, `keys` the node's wire public keys: the one in use, and the next one while keys
 * change. `now` is in seconds since 1970 UTC.
 */
export function verifyDelivery(
  url: string,
  headers: Headers | Readonly<Record<string, string>>,
  body: Uint8Array,
  keys: readonly Uint8Array[],
  options: { readonly subscription?: string; readonly now?: number } = {},
): Delivery {
  const given = new Headers(headers);
  const header = (name: string): string => {
    const value = given.get(name);
    if (value === null) throw new InvalidDelivery(`no ${name}`);
    if (!/^[\x20-\x7e]*$/.test(value)) throw new InvalidDelivery(`an odd ${name}`);
    return value.trim();
  };
  if (body.length > MAX_BODY) throw new InvalidDelivery("the body is too large");
  const match = INPUT.exec(header("signature-input"));
  if (match === null || match[1] !== COVERED) {
    throw new InvalidDelivery("signed over something else than a delivery is");
  }
  const parameters = new Map<string, string>();
  for (const [, name, value] of match[2]!.matchAll(/;([a-z]+)=([0-9]+|"[^"]*")/g)) {
    if (parameters.has(name!)) throw new InvalidDelivery("a parameter is there twice");
    parameters.set(name!, value!);
  }
  if (parameters.get("tag") !== `"${TAG}"` || parameters.get("alg") !== '"ed25519"') {
    throw new InvalidDelivery("signed for another purpose, or in another way");
  }
  const now = options.now ?? Date.now() / 1000;
  const created = Number(parameters.get("created") ?? Number.NaN);
  const expires = Number(parameters.get("expires") ?? Number.NaN);
  if (!(created <= now + SKEW_S && now - SKEW_S <= Math.min(expires, created + MAX_AGE_S))) {
    throw new InvalidDelivery("too old, or not of this time");
  }
  const key = keys.find((candidate) => `"${toHex(candidate)}"` === parameters.get("keyid"));
  if (key === undefined || key[0] !== 1) {
    throw new InvalidDelivery("signed with another key than the node's");
  }
  const signature = /^node=:([A-Za-z0-9+/=]+):$/.exec(header("signature"))?.[1];
  const digest = header("content-digest");
  if (digest !== `sha-256=:${toBase64(sha256(body))}:`) {
    throw new InvalidDelivery("the body is not the one that was signed");
  }
  const base = [
    '"@method": POST',
    `"@target-uri": ${url}`,
    ...["content-type", "webhook-id", "webhook-subscription", "content-digest"].map(
      (name) => `"${name}": ${header(name)}`,
    ),
    `"@signature-params": ${match[1]}${match[2]}`,
  ].join("\n");
  let wire: Uint8Array;
  try {
    wire = fromBase64(signature ?? "");
  } catch {
    throw new InvalidDelivery("no signature");
  }
  if (!verify(key, utf8(base), wire)) throw new InvalidDelivery("the signature is not good");
  const subscription = header("webhook-subscription");
  if (options.subscription !== undefined && options.subscription !== subscription) {
    throw new InvalidDelivery("a delivery for another subscription");
  }
  try {
    const content: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
    if (content === null || typeof content !== "object" || Array.isArray(content)) throw new Error();
    return {
      id: header("webhook-id"),
      subscription,
      content: content as { readonly [name: string]: unknown },
    };
  } catch {
    throw new InvalidDelivery("the body is not a JSON object");
  }
}
