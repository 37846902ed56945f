// Visits on a phone. A result is stored on the phone first and then sent until the desk answers; the desk records a
// visit once. A rejected result stays on the phone with the desk's message until the user discards it. worker.js caches
// the page itself, so that it opens without a connection.
"use strict";

const place = document.querySelector("[data-field]");
const { whose, now: loadedAt, texts: words, outcomes } = JSON.parse(document.getElementById("field-data").textContent);
const KEY = `fairmeter.visits.${whose}`;
const SENT = `fairmeter.sent.${whose}`; // what was recorded since the page was loaded from the desk
const AGAIN = 15000; // milliseconds between two tries
const SOON = 2000; // after reconnecting, because the first request often fails

const storedVisits = () => {
  try { return JSON.parse(localStorage.getItem(KEY)) || []; } catch { return []; }
};
const sentVisits = () => {
  try { return JSON.parse(localStorage.getItem(SENT)) || []; } catch { return []; }
};
const storeVisits = (visits) => localStorage.setItem(KEY, JSON.stringify(visits));
const say = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
const keyOf = (visit) => `${whose}:${visit.case_id}`; // of its photos
const cardOf = (visit) => document.querySelector(`[data-case="${visit.case_id}"]`);

function dayHere() {
  const now = new Date();
  return [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((n) => String(n).padStart(2, "0")).join("-");
}

function show(reason = "") {
  const visits = storedVisits();
  const waiting = visits.filter((visit) => !visit.problem);
  const notice = document.querySelector("[data-waiting]");
  notice.hidden = waiting.length === 0;
  notice.classList.toggle("error", Boolean(reason));
  notice.textContent = `${say("waiting", { n: waiting.length })} ${reason}`;
  for (const visit of sentVisits()) mark(visit, say("sent", { outcome: outcomes[visit.outcome] }));
  for (const visit of waiting) mark(visit, say("waits", { outcome: outcomes[visit.outcome] }));
  document.querySelector("[data-refused]").replaceChildren(...visits.filter((visit) => visit.problem).map(refusal));
}

function mark(visit, text) {
  const card = cardOf(visit);
  if (!card || (visit.version && card.dataset.version !== visit.version)) return; // the case went on since: it is to be visited again
  card.classList.add("told");
  card.querySelector("[data-state]").textContent = text;
  card.querySelector("details").open = false;
  const form = card.querySelector("[data-visit]");
  if (form) form.hidden = true;
}

function refusal(visit) {
  const item = document.createElement("li");
  item.className = "case refused";
  const lines = [`${visit.client}: ${outcomes[visit.outcome]}`, visit.problem, visit.note].filter(Boolean);
  for (const line of lines) {
    const paragraph = document.createElement("p");
    paragraph.textContent = line;
    item.append(paragraph);
  }
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = say("discard");
  button.addEventListener("click", () => { done(visit); show(); });
  item.append(button);
  return item;
}

const without = (visit) => storeVisits(storedVisits().filter((other) => other.case_id !== visit.case_id));
function done(visit) {
  without(visit);
  if (visit.photos) window.Photos.forget(keyOf(visit)).catch(() => {}); // leftovers are overwritten later
}
const changed = (visit) => storeVisits(storedVisits().map((other) => (other.case_id === visit.case_id ? visit : other)));

/* Notes that the desk has the visit: a page that was cached before would show it as still to be made. */
function recorded(visit) {
  const { case_id, version, outcome } = visit;
  const others = sentVisits().filter((other) => other.case_id !== case_id);
  localStorage.setItem(SENT, JSON.stringify([...others, { case_id, version, outcome, at: new Date().toISOString() }]));
  done(visit);
  navigator.serviceWorker?.ready.then((ready) => ready.active.postMessage({ refresh: location.href }));
}

/* A page that the desk sent after a visit was recorded shows its state itself. */
function forgetShown() {
  if ("kept" in place.dataset) return;
  localStorage.setItem(SENT, JSON.stringify(sentVisits().filter((visit) => visit.at > loadedAt)));
}

async function send(visit) {
  const { outcome, inspected_on, note, assignee, sent_key, fraud_type, seal, index_read, revisit_on } = visit;
  const photos = visit.photos ? await window.Photos.load(keyOf(visit)) : [];
  const answer = await fetch(`field/${visit.case_id}`, {
    method: "POST", redirect: "manual", credentials: "same-origin",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": place.dataset.token },
    body: JSON.stringify({
      outcome, inspected_on, note, assignee, photos, sent_key, fraud_type, seal, index_read, revisit_on,
    }),
  });
  if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) return say("sign_in");
  if (answer.ok) {
    recorded(visit);
    mark(visit, say("sent", { outcome: outcomes[visit.outcome] }));
    return "";
  }
  const reply = await answer.json().catch(() => ({}));
  if (answer.status >= 500 || !reply.message) return reply.message || say("later");
  changed({ ...visit, problem: reply.message });
  return "";
}

let sending = false;
async function sendAll() {
  if (sending) return;
  sending = true;
  let reason = "";
  try {
    for (const visit of storedVisits().filter((one) => !one.problem)) reason = (await send(visit)) || reason;
  } catch {
    reason = say("offline"); // fetch fails without a connection
  } finally {
    sending = false;
  }
  show(reason);
}

const newKey = () => crypto.randomUUID?.() || `${Date.now()}-${Math.random().toString(36).slice(2)}`; // no UUID over http

async function take(form) {
  const given = new FormData(form);
  const card = form.closest("[data-case]");
  const noted = (name) => (form.elements[name]?.closest("[hidden]") ? null : given.get(name) || null);
  const visit = {
    case_id: Number(card.dataset.case), version: card.dataset.version, client: form.dataset.client,
    assignee: form.dataset.assignee, outcome: given.get("outcome"), note: given.get("note"), inspected_on: dayHere(),
    sent_key: newKey(), fraud_type: noted("fraud_type"), seal: noted("seal"), index_read: noted("index_read"),
    revisit_on: noted("revisit_on"),
  };
  const photos = await window.Photos.of(form);
  visit.photos = photos.length;
  try {
    if (photos.length) await window.Photos.save(keyOf(visit), photos); // before the visit, which is sent with them
  } catch {
    form.querySelector("[data-photo-state]").textContent = say("no_room");
    return;
  }
  storeVisits([...storedVisits().filter((other) => other.case_id !== visit.case_id), visit]);
  show();
  sendAll();
}

/* Fields that an outcome asks for are shown once it is chosen. */
document.addEventListener("change", (event) => {
  const form = event.target.name === "outcome" && event.target.closest("[data-visit]");
  if (!form) return;
  for (const part of form.querySelectorAll("[data-only]")) part.hidden = !part.dataset.only.split(" ").includes(event.target.value);
});

document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-visit]");
  if (!form) return;
  event.preventDefault();
  event.stopPropagation();
  take(form);
}, true);

window.addEventListener("online", () => { sendAll(); window.setTimeout(sendAll, SOON); });
window.setInterval(() => { if (storedVisits().some((visit) => !visit.problem)) sendAll(); }, AGAIN);
window.addEventListener("offline", asOf);
window.addEventListener("online", asOf);

/* Whether the page may be old: the worker marks a cached page, and the phone reports that it is offline. */
function asOf() {
  document.querySelector("[data-as-of]").hidden = navigator.onLine && !("kept" in place.dataset);
}

/* Cache the page and its files when it is opened with a connection, the first time before the worker controls it. */
async function cachePage() {
  if (!navigator.serviceWorker || !window.caches) return; // missing over plain http from another machine
  await navigator.serviceWorker.register("worker.js", { scope: "field" });
  const ready = await navigator.serviceWorker.ready;
  if ("kept" in place.dataset) return;
  const files = [...document.querySelectorAll("script[src], link[rel=stylesheet], link[rel=icon], .brand img")];
  const addresses = new Set(files.map((file) => file.src || file.href)); // addAll rejects a list with duplicates
  ready.active.postMessage({ page: location.href, files: [...addresses] });
}

forgetShown();
show();
asOf();
sendAll();
cachePage().catch(() => {}); // the page works without a cache
