// What a patient is about to sign, read from the bytes. The same as ledger/decisions/declaration.py:
// the page does not believe the node's summary, it makes its own.

import { WORDS } from "./words.js";

const LISTS = ["institutions", "kinds", "purposes"];
const SCOPE = new Set([...LISTS, "confidentiality", "end"]);
const MONTHS = [
  "January", "February", "March", "April", "May", "June",
  "July", "August", "September", "October", "November", "December",
];
const CHINA = 8 * 3600 * 1000;

const at = (language) => (language === "en" ? 0 : 1);
// Own members only: a code may be called "constructor".
const pair = (table, code, language) =>
  Object.hasOwn(WORDS[table], code) ? WORDS[table][code][at(language)] : code;
const fixed = (name, language) => WORDS.fixed[name][at(language)];

export function saidTime(milliseconds, language) {
  const moment = new Date(milliseconds + CHINA);
  const two = (value) => String(value).padStart(2, "0");
  const clock = `${two(moment.getUTCHours())}:${two(moment.getUTCMinutes())}`;
  const [year, month, day] = [moment.getUTCFullYear(), moment.getUTCMonth(), moment.getUTCDate()];
  return language === "zh"
    ? `${year}年${month + 1}月${day}日${clock}`
    : `${day} ${MONTHS[month]} ${year}, ${clock}`;
}

function listed(words, language) {
  if (language === "zh") return words.join("、");
  return words.length === 1 ? words[0] : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

const isTime = (value) => typeof value === "number" && value >= 1e12 && value < 1e13;
const isText = (value) => typeof value === "string";
const hasExactly = (map, names) => map.size === names.length && names.every((name) => map.has(name));

function plain(scope, method) {
  if (!(scope instanceof Map) || ![...scope.keys()].every((name) => SCOPE.has(name))) return false;
  const lists = LISTS.every((name) => {
    const items = scope.get(name) ?? [];
    return Array.isArray(items) && items.every(isText);
  });
  const end = scope.get("end") ?? 0;
  const reach = scope.get("confidentiality") ?? "N";
  return (
    lists &&
    (end === 0 || isTime(end)) &&
    (method === "grant" ? Object.hasOwn(WORDS.reaches, reach) : !scope.has("confidentiality"))
  );
}

function scopeParts(scope, language) {
  const some = (name) => scope.get(name) ?? [];
  const kinds = some("kinds").map((kind) => pair("classes", kind, language));
  const purposes = some("purposes").map((purpose) => pair("purposes", purpose, language));
  const end = scope.get("end") ?? 0;
  return {
    who: some("institutions").length
      ? listed(some("institutions"), language)
      : fixed("anybody", language),
    reach: pair("reaches", scope.get("confidentiality") ?? "N", language),
    what: kinds.length ? listed(kinds, language) : fixed("anything", language),
    why: purposes.length ? listed(purposes, language) : fixed("anyPurpose", language),
    until: end
      ? fixed("until", language).replace("{time}", saidTime(end, language))
      : fixed("forever", language),
  };
}

const NAMED = { "corrections.withdraw": "withdraw_dispute" };
const isHash = (value) => value instanceof Uint8Array && value.length === 32;
const hexEnding = (bytes) =>
  [...bytes.slice(-4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function recordParts(given, names, language) {
  const pointer = given.get("pointer");
  if (!hasExactly(given, names) || !(pointer instanceof Map)) return null;
  const [holder, kind, digest] = ["holder", "kind", "digest"].map((name) => pointer.get(name));
  if (!isText(holder) || !isText(kind) || !holder || !isHash(digest)) return null;
  return { holder, kind: pair("classes", kind, language), record: hexEnding(digest) };
}

function disputeParts(given, language) {
  const found = recordParts(given, ["pointer", "proof", "reason", "statement"], language);
  const [reason, statement] = [given.get("reason"), given.get("statement")];
  if (found === null || !isText(reason) || !Object.hasOwn(WORDS.reasons, reason)) return null;
  if (!isHash(statement)) return null;
  return {
    ...found,
    reason: pair("reasons", reason, language),
    statement: hexEnding(statement),
  };
}

// Whom a call is about: it says so, or the pointer in it.
function subjectOf(given) {
  const pointer = given.get("pointer");
  if (!given.has("subject") && pointer instanceof Map) return pointer.get("subject") ?? "";
  return given.get("subject") ?? "";
}

function parts(call, language) {
  const given = call.arguments;
  const ending = (key) => (isText(key) ? [...key].slice(-8).join("") : "");
  const simple = (names, found) =>
    hasExactly(given, names) && Object.values(found).every((item) => isText(item) && item)
      ? found
      : null;
  switch (`${call.contract}.${call.method}`) {
    case "consent.grant":
    case "consent.deny": {
      const scope = given.get("scope");
      const good = hasExactly(given, ["id", "subject", "scope"]) && plain(scope, call.method);
      return good ? scopeParts(scope, language) : null;
    }
    case "erasure.ask":
      return recordParts(given, ["pointer", "proof"], language);
    case "corrections.dispute":
      return disputeParts(given, language);
    case "erasure.take_back":
      return simple(["erasure"], { id: given.get("erasure") });
    case "corrections.withdraw":
      return simple(["dispute"], { id: given.get("dispute") });
    case "consent.withdraw":
      return simple(["id"], { id: given.get("id") });
    case "enrolment.cancel":
    case "enrolment.recover":
      return simple(["subject"], {});
    case "registry.add_key":
      return simple(["key"], { key: ending(given.get("key")) });
    case "enrolment.complete":
      return simple(["subject", "key"], { key: ending(given.get("key")) });
    default:
      return null;
  }
}

function sentence(call, language) {
  const subject = subjectOf(call.arguments);
  const found = isText(subject) ? parts(call, language) : null;
  const full = `${call.contract}.${call.method}`;
  const name = found === null ? "other" : (NAMED[full] ?? call.method);
  const values = found ?? { call: `${call.contract}.${call.method}` };
  const form = WORDS.sentences[name][at(language)];
  return form.replace(/\{(\w+)\}/g, (_, word) => values[word]);
}

// One entry per call: both sentences, whom it is about, and whether the words say all of it.
export function said(body) {
  return body.calls.map((call) => {
    const subject = subjectOf(call.arguments);
    return {
      en: sentence(call, "en"),
      zh: sentence(call, "zh"),
      subject: String(subject),
      whole: isText(subject) && parts(call, "en") !== null,
    };
  });
}
