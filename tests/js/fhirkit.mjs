// Drives a node's /fhir with fhir-kit-client, as a portal of a patient would: she declares a consent,
// signs it, finds it, follows it, and takes it back. What happened goes to standard output as JSON.
//
// fhirkit.mjs URL PSEUDONYM SEED
//   URL of /fhir, the patient's pseudonym, and the 32 bytes of her Ed25519 key in hex.

import { createPrivateKey, sign } from "node:crypto";
import { Client } from "fhir-kit-client";

const [, , baseUrl, pseudonym, seed] = process.argv;
const fhir = new Client({ baseUrl });
const key = createPrivateKey({
  // RFC 8410: the header of an Ed25519 private key in PKCS #8, then its seed.
  key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.from(seed, "hex")]),
  format: "der",
  type: "pkcs8",
});

function unsigned(consent) {
  const found = consent.extension.find((each) => each.url.endsWith(":unsigned-transaction"));
  return Object.fromEntries(found.extension.map((each) => [each.url, Object.values(each)[1]]));
}

async function signed(consent) {
  const signature = sign(null, Buffer.from(unsigned(consent).id, "hex"), key);
  return fhir.operation({
    name: "sign",
    resourceType: "Consent",
    id: consent.id,
    input: {
      resourceType: "Parameters",
      parameter: [{ name: "signature", valueBase64Binary: signature.toString("base64") }],
    },
  });
}

async function refused(request) {
  try {
    await request;
  } catch (error) {
    return { status: error.response.status, ...error.response.data.issue[0] };
  }
  return null;
}

function consent(purpose) {
  const coded = (system, code) => ({ coding: [{ system, code }] });
  const hl7 = "http://terminology.hl7.org/CodeSystem/";
  return {
    resourceType: "Consent",
    status: "active",
    scope: coded(`${hl7}consentscope`, "patient-privacy"),
    category: [coded("http://loinc.org", "59284-0")],
    patient: { reference: `Patient/${pseudonym}` },
    dateTime: "2026-01-01",
    policyRule: coded(`${hl7}v3-ActCode`, "OPTIN"),
    provision: {
      provision: [
        {
          type: "permit",
          actor: [{ role: coded(`${hl7}v3-ParticipationType`, "IRCP"), reference: { reference: "Organization/east" } }],
          purpose: [{ system: `${hl7}v3-ActReason`, code: purpose }],
        },
      ],
    },
  };
}

const story = {};
const statement = await fhir.capabilityStatement();
story.version = statement.fhirVersion;
story.types = statement.rest[0].resource.map((each) => each.type);

const proposed = await fhir.create({ resourceType: "Consent", body: consent("TREAT") });
story.proposed = { status: proposed.status, http: Client.httpFor(proposed).response.status };
const active = await signed(proposed);
story.active = active.status;
story.read = (await fhir.read({ resourceType: "Consent", id: active.id })).status;
for (const purpose of ["HRESCH", "PUBHLTH"]) {
  await signed(await fhir.create({ resourceType: "Consent", body: consent(purpose) }));
}

story.found = [];
let page = await fhir.search({ resourceType: "Consent", searchParams: { patient: pseudonym, _count: 1 } });
while (page) {
  story.found.push(...(page.entry ?? []).map((entry) => entry.resource.provision.provision[0].purpose[0].code));
  page = await fhir.nextPage({ bundle: page });
}
const posted = await fhir.resourceSearch({
  resourceType: "Consent",
  searchParams: { purpose: "HRESCH" },
  options: { postSearch: true },
});
story.posted = posted.entry.length;

const asked = await fhir.patch({
  resourceType: "Consent",
  id: active.id,
  jsonPatch: [{ op: "replace", path: "/status", value: "inactive" }],
});
story.withdrawn = (await signed(asked)).status;
const history = await fhir.resourceHistory({ resourceType: "Consent", id: active.id });
story.history = history.entry.map((entry) => entry.resource.status);
const [newest, oldest] = history.entry.map((entry) => entry.resource.meta.versionId);
story.first = (await fhir.vread({ resourceType: "Consent", id: active.id, version: oldest })).status;
story.ordered = Number(newest) > Number(oldest);

story.absent = await refused(fhir.read({ resourceType: "Consent", id: "c-0" }));
story.deleted = await refused(fhir.delete({ resourceType: "Consent", id: active.id }));
story.batch = await refused(fhir.batch({ body: { resourceType: "Bundle", type: "batch", entry: [] } }));
story.unclear = await refused(
  fhir.create({ resourceType: "Consent", body: { ...consent("TREAT"), provision: { purpose: consent("TREAT").provision.provision[0].purpose } } }),
);
process.stdout.write(JSON.stringify(story));
