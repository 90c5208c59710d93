// The page of patients: register a passkey, sign in, read what is to be signed, sign it.

import { saidTime, said } from "./declaration.js";
import {
  domainHash, fromBase64, fromBase64Url, hex, readBody, toBase64, toBase64Url, wireSignature,
} from "./ledger.js";
import { envelope } from "./msgpack.js";
import { current, text, use } from "./texts.js";
import { WORDS } from "./words.js";

const PURPOSES = ["TREAT", "HRESCH", "HPAYMT", "PUBHLTH", "ETREAT"];
const byId = (id) => document.getElementById(id);

// Who is signed in, with which key; what the node says of her.
let session = null;
let overview = null;

class Refused extends Error {}

// --- Talking to the node ---------------------------------------------------------------------

async function ask(method, path, body) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (session) headers["X-CSRF-Token"] = session.csrf;
  const answer = await fetch(path, {
    method, headers, credentials: "same-origin",
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 204) return null;
  const found = await answer.json();
  if (!answer.ok) throw new Refused(found.detail ?? found.title ?? String(answer.status));
  return found;
}

function credentialJson(credential) {
  const response = credential.response;
  const parts = { clientDataJSON: toBase64Url(new Uint8Array(response.clientDataJSON)) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) parts[name] = toBase64Url(new Uint8Array(response[name]));
  }
  const id = toBase64Url(new Uint8Array(credential.rawId));
  return { id, rawId: id, type: credential.type, response: parts };
}

// One passkey for a browser: its id, and by which ways it is reached, where that is known.
const passkey = (id, transports) => ({ type: "public-key", id, ...(transports ? { transports } : {}) });
const ofSession = () => passkey(session.credential, session.here ? ["internal"] : undefined);
const ofMade = (made) => passkey(new Uint8Array(made.rawId), made.response.getTransports?.());

// The passkey's answer to a challenge. `allowed` are the only passkeys that may give it.
async function assertion(challenge, rpId, allowed = []) {
  return navigator.credentials.get({
    publicKey: {
      challenge, rpId, userVerification: "required", timeout: 300000,
      allowCredentials: allowed,
    },
  });
}

// --- Signing in and registering --------------------------------------------------------------

async function signIn() {
  const { nonce, options } = await ask("POST", "/auth/passkey/options");
  // Not the challenge that the node names: one that cannot be the id of a transaction.
  const challenge = await domainHash("sign-in", fromBase64Url(nonce));
  const credential = await assertion(challenge, options.rpId);
  const found = await ask("POST", "/auth/passkey/verify", {
    nonce, credential: credentialJson(credential),
  });
  session = {
    ...found, rpId: options.rpId, credential: new Uint8Array(credential.rawId),
    here: credential.authenticatorAttachment === "platform",
  };
  remember();
  await refresh();
  tell("signedIn");
}

// What a page that is loaded anew needs and the node does not know. None of it is secret.
function remember() {
  const { person, key, rpId, here, credential } = session;
  const known = { person, key, rpId, here, id: toBase64Url(credential) };
  sessionStorage.setItem("passkey", JSON.stringify(known));
}

async function resume() {
  const known = JSON.parse(sessionStorage.getItem("passkey") ?? "null");
  if (known === null) return;
  try {
    const { kind, id, csrf } = await ask("GET", "/auth/session");
    if (kind !== "patient" || id !== known.person || !csrf) return;
    session = { ...known, csrf, credential: fromBase64Url(known.id) };
    await refresh();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    session = null;
  }
}

async function signOut() {
  await ask("POST", "/auth/logout");
  sessionStorage.removeItem("passkey");
  session = null;
  overview = null;
  show();
  tell("signedOut");
}

async function register(subject, code) {
  const { nonce, options } = await ask("POST", "/auth/passkey/registration/options", { subject, code });
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: fromBase64Url(nonce),
      user: { ...options.user, id: fromBase64Url(options.user.id) },
      excludeCredentials: [],
    },
  });
  const prepared = await ask("POST", "/auth/passkey/registration/verify", {
    subject, code, nonce, credential: credentialJson(made),
  });
  const id = await checked(prepared, (call) =>
    call.contract === "enrolment" && call.method === "complete" &&
    call.arguments.get("subject") === subject);
  const signed = await assertion(id, options.rp.id, [ofMade(made)]);
  const done = await ask("POST", "/auth/passkey/registration/confirm", {
    id: prepared.id, credential: credentialJson(signed),
  });
  if (done.counts > Date.now() + 60000) tell("registeredLater", { time: saidTime(done.counts, current()) });
  else tell("registered");
  byId("registration").reset();
}

// --- What is to be signed --------------------------------------------------------------------

// The id of what the node prepared, computed here; refuses other calls than expected.
async function checked(prepared, expected) {
  const bytes = fromBase64(prepared.body);
  const id = await domainHash("transaction", bytes);
  const body = readBody(bytes);
  if (hex(id) !== prepared.id || !body.calls.every(expected)) throw new Refused(text("tampered"));
  return id;
}

// Shows what was prepared; its bytes and id when she wants to sign it, else null.
async function review(prepared, signers = 1) {
  const bytes = fromBase64(prepared.body);
  const id = await domainHash("transaction", bytes);
  const body = readBody(bytes);
  const sentences = said(body);
  const signs = body.signers.length === signers && body.signers[0] === session.key;
  if (hex(id) !== prepared.id || !signs) throw new Refused(text("tampered"));
  const list = byId("sentences");
  list.replaceChildren(...sentences.map((item) => {
    const line = document.createElement("li");
    line.textContent = item[current()];
    line.classList.toggle("unknown", !item.whole);
    return line;
  }));
  const others = sentences.map((item) => item.subject).filter((who) => who && who !== session.person);
  byId("review-whom").textContent =
    others.length ? text("reviewOther", { subject: others.join(", ") }) : text("reviewSelf");
  byId("review-names").textContent = body.calls.map(explained).join(" ");
  byId("fingerprint").textContent = hex(id).slice(0, 16);
  byId("sign").hidden = !sentences.every((item) => item.whole);
  return new Promise((resolve) => {
    const dialog = byId("review");
    byId("sign").onclick = () => dialog.close("sign");
    byId("back").onclick = () => dialog.close("back");
    dialog.onclose = () => resolve(dialog.returnValue === "sign" ? { bytes, id } : null);
    dialog.returnValue = "";
    dialog.showModal();
  });
}

// What the node says about the names in a call: beside the sentence, never in its place.
function explained(call) {
  const scope = call.arguments.get("scope");
  const named = scope instanceof Map ? scope.get("institutions") ?? [] : [];
  const notes = named.flatMap((id) => {
    const found = overview.institutions.find((each) => each.id === id);
    return found ? [text("nameOf", { id, name: nameIn(found) })] : [];
  });
  if (call.contract === "consent" && call.method === "withdraw") {
    const known = overview.consents.find((each) => each.consent === call.arguments.get("id"));
    for (const rule of known?.rules ?? []) notes.push(text("itIs", { rule: ruleText(rule) }));
  }
  return notes.join(" ");
}

async function declare(act, subject) {
  const wish = { key: session.key, act, ...(subject ? { subject } : {}) };
  const agreed = await review(await ask("POST", "/v1/prepare", wish));
  if (agreed === null) tell("cancelled");
  else await signAndSend(agreed, [ofSession()]);
}

// Signs with these passkeys, in the order of the signers, and waits until it is final.
async function signAndSend({ bytes, id }, credentials) {
  tell("waiting");
  const signatures = [];
  for (const credential of credentials) {
    const signed = await assertion(id, session.rpId, [credential]);
    signatures.push(wireSignature(signed.response));
  }
  const raw = envelope(bytes, signatures);
  const { transactions } = await ask("POST", "/v1/transactions?wait=30", {
    transactions: [toBase64(raw)],
  });
  const outcome = transactions[0].outcome;
  await refresh();
  if (outcome === null) tell("waiting");
  else if (outcome.ok) tell("final", { height: outcome.height });
  else trouble(text("refused", { error: outcome.calls.find((call) => !call.ok)?.error ?? "" }));
}

async function addDevice() {
  const { nonce, options } = await ask("POST", "/auth/passkey/devices/options");
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: fromBase64Url(nonce),
      user: { ...options.user, id: fromBase64Url(options.user.id) },
      // Not this device once more: that would replace the passkey that she has.
      excludeCredentials: [passkey(session.credential)],
    },
  });
  const prepared = await ask("POST", "/auth/passkey/devices/verify", {
    key: session.key, nonce, credential: credentialJson(made),
  });
  const agreed = await review(prepared, 2);
  if (agreed === null) tell("cancelled");
  else await signAndSend(agreed, [ofSession(), ofMade(made)]);
}

// --- Showing ---------------------------------------------------------------------------------

function tell(name, values) {
  byId("trouble").textContent = "";
  byId("status").textContent = name ? text(name, values) : "";
}

function trouble(message) {
  byId("status").textContent = "";
  byId("trouble").textContent = message;
}

async function refresh() {
  if (!session) return;
  overview = await ask("GET", "/v1/patient");
  show();
}

const word = (table, code) =>
  Object.hasOwn(WORDS[table], code) ? WORDS[table][code][current() === "en" ? 0 : 1] : code;

const nameIn = (found) => (current() === "zh" && found.name_zh ? found.name_zh : found.name);

function institutionName(id) {
  const found = overview?.institutions.find((each) => each.id === id);
  return found ? `${nameIn(found)} (${id})` : id;
}

function ruleText(rule) {
  const fixed = (name) => WORDS.fixed[name][current() === "en" ? 0 : 1];
  const some = (items, say, otherwise) => (items?.length ? items.map(say).join(current() === "zh" ? "、" : ", ") : otherwise);
  return text("rule", {
    effect: text(rule.effect === "permit" ? "permit" : "forbid"),
    who: some(rule.institutions, institutionName, fixed("anybody")),
    why: some(rule.purposes, (code) => word("purposes", code), fixed("anyPurpose")),
    what: some(rule.kinds, (code) => word("classes", code), fixed("anything")),
    until: rule.end ? fixed("until").replace("{time}", saidTime(rule.end, current())) : fixed("forever"),
  });
}

function boxes(place, name, codes, say, ticked = []) {
  const before = new Set([...place.querySelectorAll("input:checked")].map((box) => box.value));
  const chosen = place.childElementCount ? before : new Set(ticked);
  place.replaceChildren(...codes.map((code) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.name = name;
    box.value = code;
    box.checked = chosen.has(code);
    label.append(box, document.createTextNode(say(code)));
    return label;
  }));
}

function show() {
  document.documentElement.lang = current() === "zh" ? "zh-CN" : "en";
  document.title = text("title");
  for (const place of document.querySelectorAll("[data-say]")) place.textContent = text(place.dataset.say);
  for (const place of document.querySelectorAll("[data-hint]")) place.placeholder = text(place.dataset.hint);
  const language = byId("language");
  language.textContent = current() === "zh" ? "English" : "中文";
  language.lang = current() === "zh" ? "en" : "zh";
  const inside = session !== null && overview !== null;
  for (const id of ["door", "first-time"]) byId(id).hidden = inside;
  for (const id of ["consents", "wish", "devices", "sign-out"]) byId(id).hidden = !inside;
  byId("notice").hidden = !inside || overview.recovery === null;
  if (!inside) return;
  byId("network").textContent = overview.network;
  byId("whom").textContent = text("whom", { person: session.person });
  if (overview.recovery !== null) {
    const { institution, due } = overview.recovery;
    byId("notice-text").textContent = due
      ? text("recoveryText", { institution: institutionName(institution), time: saidTime(due, current()) })
      : text("recoveryOpen", { institution: institutionName(institution) });
  }
  byId("none").hidden = overview.consents.length > 0;
  byId("list").replaceChildren(...overview.consents.map((consent) => {
    const item = document.createElement("li");
    for (const rule of consent.rules) {
      const line = document.createElement("p");
      line.textContent = ruleText(rule);
      item.append(line);
    }
    const name = document.createElement("span");
    name.className = "small";
    name.textContent = consent.consent;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = text("takeBack");
    button.addEventListener("click", doing(() => declare({ act: "withdraw", consent: consent.consent })));
    item.append(name, button);
    return item;
  }));
  boxes(byId("purposes"), "purpose", PURPOSES, (code) => word("purposes", code), ["TREAT"]);
  boxes(byId("institutions"), "institution", overview.institutions.map((each) => each.id), institutionName);
  boxes(byId("kinds"), "kind", Object.keys(WORDS.classes), (code) => word("classes", code));
}

// Runs a deed of a button once at a time, and says what went wrong.
function doing(deed) {
  return async (event) => {
    event.preventDefault();
    const buttons = [...document.querySelectorAll("main button")];
    for (const button of buttons) button.disabled = true;
    tell("waiting");
    try {
      await deed(event);
    } catch (error) {
      const gone = error?.name === "NotAllowedError" || error?.name === "AbortError";
      trouble(gone ? text("cancelled") : text("failed", { error: error.message }));
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  };
}

function wished(form) {
  const ticked = (name) => form.getAll(name);
  const act = { act: form.get("act"), purposes: ticked("purpose") };
  if (act.act === "permit" && act.purposes.length === 0) throw new Refused(text("pickPurpose"));
  if (ticked("institution").length) act.institutions = ticked("institution");
  if (ticked("kind").length) act.kinds = ticked("kind");
  if (act.act === "permit") act.confidentiality = form.get("confidentiality");
  // The end of that day in China.
  if (form.get("until")) act.until = Date.parse(`${form.get("until")}T24:00:00+08:00`);
  return act;
}

byId("language").addEventListener("click", () => {
  use(current() === "zh" ? "en" : "zh");
  tell("");
  show();
});
byId("sign-in").addEventListener("click", doing(signIn));
byId("sign-out").addEventListener("click", doing(signOut));
byId("add").addEventListener("click", doing(addDevice));
byId("stop").addEventListener("click", doing(() => declare({ act: "stop-recovery" })));
byId("registration").addEventListener("submit", doing((event) => {
  const form = new FormData(event.target);
  return register(form.get("subject").trim(), form.get("code"));
}));
byId("permit").addEventListener("submit", doing((event) => {
  const form = new FormData(event.target);
  return declare(wished(form), form.get("subject").trim());
}));

// A clinic may print the number and the code as a link: what stands after # is not sent anywhere.
const given = new URLSearchParams(location.hash.slice(1));
if (given.has("subject")) byId("subject").value = given.get("subject");
if (given.has("code")) byId("code").value = given.get("code");
history.replaceState(null, "", location.pathname);

show();
resume().catch((error) => trouble(text("failed", { error: error.message })));
if (!window.PublicKeyCredential) trouble(text("noPasskeys"));
