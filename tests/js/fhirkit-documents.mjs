// Drives a node's /fhir with fhir-kit-client, as a clinician's software would: it finds the documents
// of a patient, page by page, fetches one, has it verified, and looks at what it has done. What
// happened goes to standard output as JSON.
//
// fhirkit-documents.mjs URL PSEUDONYM
//   URL of /fhir, and the patient's pseudonym.

import { Client } from "fhir-kit-client";

const [, , baseUrl, pseudonym] = process.argv;
const fhir = new Client({ baseUrl, customHeaders: { "Ledger-Purpose": "TREAT" } });

const resources = (bundle) =>
  (bundle.entry ?? []).filter((each) => each.search.mode === "match").map((each) => each.resource);

let page = await fhir.search({
  resourceType: "DocumentReference",
  searchParams: { patient: pseudonym, _count: 1 },
});
const found = [];
let pages = 0;
while (page) {
  pages += 1;
  found.push(...resources(page));
  page = page.link.some((each) => each.relation === "next")
    ? await fhir.nextPage({ bundle: page })
    : undefined;
}

const [document] = found;
const binary = await fhir.read({ resourceType: "Binary", id: document.id });
const verified = await fhir.operation({
  name: "verify",
  resourceType: "DocumentReference",
  id: document.id,
  input: {
    resourceType: "Parameters",
    parameter: [{ name: "content", valueBase64Binary: binary.data }],
  },
});
const provenance = resources(
  await fhir.search({
    resourceType: "Provenance",
    searchParams: { target: `DocumentReference/${document.id}` },
  }),
);

let missing;
try {
  await fhir.read({ resourceType: "DocumentReference", id: "0".repeat(64) });
} catch (error) {
  missing = error.response.status;
}

console.log(
  JSON.stringify({
    pages,
    ids: found.map((each) => each.id),
    data: binary.data,
    steps: verified.parameter
      .filter((each) => each.name === "step")
      .map((each) => [each.part[0].valueCode, each.part[1].valueCode]),
    signed: provenance.map((each) => each.signature[0].sigFormat),
    missing,
  }),
);
