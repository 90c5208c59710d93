/**
 * A node's interface, of whose answers only what is proven is believed.
 *
 * `api` is the whole typed interface of the OpenAPI document, unverified. The methods beside it check
 * what they return against the trust file.
 */

import createClient, { type Client } from "openapi-fetch";

import { equal, fromHex, toBase64, toHex } from "./bytes.js";
import { InvalidProof, type Trust } from "./chain.js";
import { type Value, same } from "./codec.js";
import { type Disclosure, verifyDisclosures } from "./disclosures.js";
import { messages } from "./events.js";
import { type Proven, type Verified, verifyReceipt, verifyStatement } from "./proofs.js";
import type { components, paths } from "./schema.js";
import { readTransaction } from "./transaction.js";
import { fromJson } from "./values.js";

/** The node answered with a problem (RFC 9457). */
export class NodeRefused extends Error {
  override name = "NodeRefused";

  constructor(
    readonly status: number,
    readonly code: string,
    readonly problem: unknown,
  ) {
    super(`${code} (${status})`);
  }
}

/** An event and what proves it: it is one of those that the verified result has. */
export interface VerifiedEvent {
  readonly cursor: string;
  readonly contract: string;
  readonly name: string;
  readonly fields: { readonly [name: string]: Value };
  readonly call: number;
  readonly receipt: Verified;
}

export interface Filters {
  readonly contract?: string[];
  readonly name?: string[];
  readonly subject?: string[];
  readonly institution?: string[];
  readonly holder?: string[];
}

export interface Options {
  /** Bearer token, or what gives the one of now. */
  readonly token?: string | (() => string | Promise<string>);
  readonly fetch?: (request: Request) => Promise<Response>;
  /** How often one request is made, where the node is busy or not reached. */
  readonly attempts?: number;
}

const BUSY = new Set([429, 502, 503, 504]);
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;
/** Receipts that are kept to verify the events of one transaction with. */
const KEPT_RECEIPTS = 64;

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

export class Ledger {
  readonly api: Client<paths>;
  private readonly send: (request: Request) => Promise<Response>;

  constructor(
    readonly url: string,
    readonly trust: Trust,
    options: Options = {},
  ) {
    const inner = options.fetch ?? ((request: Request) => globalThis.fetch(request));
    const attempts = options.attempts ?? 4;
    this.send = async (request) => {
      const token = typeof options.token === "function" ? await options.token() : options.token;
      if (token !== undefined) request.headers.set("Authorization", `Bearer ${token}`);
      // Subscribing twice would be two subscriptions; everything else can be sent again.
      const once = request.method === "POST" && new URL(request.url).pathname === "/v1/webhooks";
      for (let attempt = 1; ; attempt++) {
        const last = once || attempt >= attempts;
        try {
          const answer = await inner(last ? request : request.clone());
          if (last || !BUSY.has(answer.status)) return answer;
          await answer.body?.cancel();
        } catch (error) {
          if (last || (error instanceof DOMException && error.name === "AbortError")) throw error;
        }
        await pause(Math.min(FIRST_PAUSE_MS * 3 ** (attempt - 1), LONGEST_PAUSE_MS));
      }
    };
    this.api = createClient<paths>({ baseUrl: url, fetch: this.send });
  }

  /** The receipt of a final transaction, verified. */
  async receipt(id: Uint8Array | string, wait = 0): Promise<Verified> {
    const tx = typeof id === "string" ? id : toHex(id);
    const answer = await this.api.GET("/v1/receipts/{tx}", {
      params: { path: { tx }, query: { wait } },
    });
    const verified = verifyReceipt(result(answer), this.trust);
    if (toHex(verified.transaction.id) !== tx) throw new InvalidProof("of another transaction");
    return verified;
  }

  /** Submit an envelope and wait for what is proven to have come out of it. */
  async submit(raw: Uint8Array, wait = 30): Promise<Verified> {
    const { id } = readTransaction(raw);
    result(
      await this.api.POST("/v1/transactions", {
        params: { query: { wait } },
        body: { transactions: [toBase64(raw)] },
      }),
    );
    return this.receipt(id, wait);
  }

  /** One entry of the state with its proof; `key` is `NAME` or `MAP/KEY`. Without a height the node
   * chooses one, which may be old: `header.time` says how old. */
  async state(contract: string, key: string, height?: number): Promise<Proven> {
    const url = new URL(
      `/v1/state/${[contract, ...key.split("/")].map(encodeURIComponent).join("/")}`,
      this.url,
    );
    url.searchParams.set("proof", "true");
    if (height !== undefined) url.searchParams.set("height", String(height));
    const answer = await this.send(new Request(url));
    const entry = (await json(answer)) as components["schemas"]["StateEntry"];
    const proven = verifyStatement(entry.proof, this.trust);
    if (proven.key !== `${contract}/${key}`) throw new InvalidProof("about another entry");
    if (height !== undefined && proven.header.height !== height) {
      throw new InvalidProof("about another height");
    }
    return proven;
  }

  /** Who asked for a patient's records: her whole log, oldest first, proven to be whole up to the
   * height of `atLeast` or later. Throws `InvalidProof` where anything is left out. */
  async disclosures(subject: string, atLeast = 0): Promise<Disclosure[]> {
    const entries: Disclosure[] = [];
    let missing: number | undefined;
    let cursor: string | undefined;
    while (missing === undefined || missing > 0) {
      const query = { subject, proof: true, limit: 1000, ...(cursor === undefined ? {} : { cursor }) };
      const page = result(await this.api.GET("/v1/disclosures", { params: { query } }));
      const proven = verifyDisclosures(page.proof, this.trust, subject, atLeast);
      const end: number = proven.first + proven.entries.length;
      if (end !== (missing ?? proven.total) || (end > 0 && proven.entries.length === 0)) {
        throw new InvalidProof("the pages of the list do not adjoin");
      }
      entries.unshift(...proven.entries);
      missing = proven.first;
      cursor = page.cursor ?? undefined;
    }
    return entries;
  }

  /**
   * Follow events behind a cursor, without end, each verified, over broken connections. `after` without
   * a value begins with the next block. A missing event cannot be noticed, one that did not happen can.
   */
  async *events(
    filters: Filters = {},
    after?: string,
    signal?: AbortSignal,
  ): AsyncGenerator<VerifiedEvent> {
    const receipts = new Map<string, Verified>();
    let cursor = after;
    let failures = 0;
    for (;;) {
      const url = new URL("/v1/events", this.url);
      for (const [name, values] of Object.entries(filters) as [string, string[]][]) {
        for (const value of values) url.searchParams.append(name, value);
      }
      if (cursor !== undefined) url.searchParams.set("after", cursor);
      try {
        const answer = await this.send(new Request(url, signal === undefined ? {} : { signal }));
        if (!answer.ok || answer.body === null) throw await refusal(answer);
        for await (const { id, data } of messages(chunks(answer.body))) {
          failures = 0;
          if (data !== "") yield await this.verified(id, data, receipts);
          cursor = id;
        }
      } catch (error) {
        if (signal?.aborted || !(error instanceof TypeError)) throw error; // fetch: not reached
        failures += 1;
      }
      await pause(Math.min(FIRST_PAUSE_MS * 2 ** failures, 30_000));
    }
  }

  private async verified(
    id: string,
    data: string,
    receipts: Map<string, Verified>,
  ): Promise<VerifiedEvent> {
    const told = JSON.parse(data) as components["schemas"]["StreamedEvent"];
    let receipt = receipts.get(told.transaction);
    if (receipt === undefined) {
      receipt = await this.receipt(told.transaction);
      receipts.set(told.transaction, receipt);
      if (receipts.size > KEPT_RECEIPTS) receipts.delete(receipts.keys().next().value!);
    }
    return checkEvent(id, told, receipt);
  }
}

/** Hold a streamed event against the receipt of its transaction; throws `InvalidProof`. */
export function checkEvent(
  id: string,
  told: components["schemas"]["StreamedEvent"],
  receipt: Verified,
): VerifiedEvent {
  const [height, , number] = id.split(".").map(Number);
  const events = receipt.result.calls.flatMap((call, place) =>
    call.events.map((event) => ({ event, place })),
  );
  const found = events[number ?? -1];
  if (
    told.cursor !== id ||
    found === undefined ||
    receipt.header.height !== height ||
    receipt.header.height !== told.height ||
    receipt.header.time !== told.time ||
    !equal(receipt.transaction.id, fromHex(told.transaction)) ||
    found.place !== told.call ||
    found.event.contract !== told.contract ||
    found.event.name !== told.name ||
    !same(found.event.fields, fromJson(told.fields))
  ) {
    throw new InvalidProof("the event is not one of those that the transaction had");
  }
  return { cursor: id, call: found.place, receipt, ...found.event };
}

async function* chunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  // Not every browser iterates over streams by itself.
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function result<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data !== undefined) return answer.data;
  const code = (answer.error as { code?: unknown } | undefined)?.code;
  throw new NodeRefused(
    answer.response.status,
    typeof code === "string" ? code : `http-${answer.response.status}`,
    answer.error,
  );
}

async function refusal(answer: Response): Promise<NodeRefused> {
  const problem: unknown = await answer.json().catch(() => ({}));
  const code = (problem as { code?: unknown }).code;
  return new NodeRefused(
    answer.status,
    typeof code === "string" ? code : `http-${answer.status}`,
    problem,
  );
}

async function json(answer: Response): Promise<unknown> {
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}
