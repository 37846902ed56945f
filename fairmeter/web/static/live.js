// The live page: loads the changing part every few seconds while the page is visible. Only parts that differ are
// replaced; new rows are marked, and the focus stays where it was.
"use strict";

const place = document.querySelector("[data-live]");
const time = document.querySelector("[data-live-time]");
const state = document.querySelector("[data-live-state]");
const pause = document.querySelector("[data-live-pause]");
const words = JSON.parse(document.getElementById("live-texts").textContent);
const EVERY = 1000 * Number(place.dataset.every);
const LONGEST = 60000; // milliseconds between two tries while the desk does not answer

let timer = null;
let wait = EVERY;
let paused = false;
let over = false;

const keys = (within) => new Set([...within.querySelectorAll("[data-key]")].map((row) => row.dataset.key));

function put(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const seen = keys(place);
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const old = place.querySelector(`[data-part="${part.dataset.part}"]`);
    if (!old || old.isEqualNode(part)) continue;
    const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    for (const row of part.querySelectorAll("[data-key]")) row.classList.toggle("fresh", !seen.has(row.dataset.key));
    old.replaceWith(document.adoptNode(part));
    if (focused) [...part.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused)?.focus({ preventScroll: true });
  }
  window.dispatchEvent(new Event("resize")); // lets desk.js check again which tables scroll
  return fresh.querySelector("[data-clock]").textContent;
}

function say(key, clock = "") {
  // Only exceptions are announced as a status; otherwise a screen reader would speak every few seconds.
  if (key === "updated") time.textContent = words.updated.replace("{time}", clock).replace("{seconds}", EVERY / 1000);
  const text = key === "updated" ? "" : words[key];
  if (state.textContent !== text) state.textContent = text;
}

async function look() {
  timer = null;
  place.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(place.dataset.live, { redirect: "manual", credentials: "same-origin" });
    over = answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403;
    if (!answer.ok && !over) throw new Error(String(answer.status));
    wait = EVERY;
    if (over) say("sign_in");
    else say("updated", put(await answer.text()));
  } catch {
    wait = Math.min(2 * wait, LONGEST);
    say("offline");
  } finally {
    place.removeAttribute("aria-busy");
    later(wait);
  }
}

function later(milliseconds) {
  window.clearTimeout(timer);
  timer = null;
  if (!paused && !over && !document.hidden) timer = window.setTimeout(look, milliseconds);
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = words[paused ? "go_on" : "pause"];
  if (paused) say("paused");
  else state.textContent = "";
  later(0);
});
document.addEventListener("visibilitychange", () => later(0));
window.addEventListener("online", () => { wait = EVERY; later(0); });

document.querySelector("[data-live-again]").hidden = true;
pause.hidden = false;
later(EVERY);
