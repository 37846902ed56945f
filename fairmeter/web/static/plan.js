// A day's plan: drag a visit to another place or crew. Each drop sends the same form as the buttons of a visit; the
// answer is the page as it is then, of which the content is taken over.
"use strict";

const words = JSON.parse(document.getElementById("plan-texts").textContent);
const main = document.getElementById("main");
const say = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
let held = null;

/* Sends a change, and shows the answer. `back` chooses what has the focus afterwards. */
async function send(form, fields, back) {
  const body = new URLSearchParams(new FormData(form));
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  main.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", body, credentials: "same-origin" });
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    main.replaceChildren(...page.getElementById("main").childNodes);
    back();
  } catch {
    document.querySelector("[data-said]").textContent = say("failed");
    window.location.reload();
  } finally {
    main.removeAttribute("aria-busy");
  }
}

const stopOf = (client) => document.getElementById(`stop-${client}`);

function found(client) {
  const stop = stopOf(client);
  if (!stop) return;
  stop.querySelector("a").focus({ preventScroll: true });
  const column = stop.closest("[data-crew]");
  const crew = column.querySelector("h2").firstElementChild.textContent.trim();
  document.querySelector("[data-said]").textContent = say("moved", { client, n: Number(stop.dataset.place) + 1, crew });
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-board]");
  const button = event.submitter;
  if (!form || !button) return;
  event.preventDefault();
  event.stopPropagation();
  const client = button.closest("[data-client]").dataset.client;
  send(form, { button: button.value }, () => found(client));
}, true);

/* --- dragging --- */
const ends = () => document.querySelectorAll(".drop").forEach((one) => one.classList.remove("drop"));

/* Where a drop would put the visit: its crew, its place there, and what shows it. */
function target(event) {
  const column = event.target.closest?.("[data-crew]");
  if (!held || !column) return null;
  const stops = [...column.querySelectorAll("[data-client]")].filter((one) => one !== held);
  const after = stops.find((one) => {
    const box = one.getBoundingClientRect();
    return event.clientY < box.top + box.height / 2;
  });
  return { crew: column.dataset.crew, place: after ? stops.indexOf(after) : stops.length, shows: after || column.querySelector(".cards") };
}

document.addEventListener("dragstart", (event) => {
  held = event.target.closest?.("[data-client][draggable]");
  if (!held) return;
  held.classList.add("held");
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", held.dataset.client);
});
document.addEventListener("dragover", (event) => {
  const to = target(event);
  if (!to) return;
  event.preventDefault();
  ends();
  to.shows.classList.add("drop");
});
document.addEventListener("drop", (event) => {
  const to = target(event);
  if (!to) return;
  event.preventDefault();
  const client = held.dataset.client;
  send(held.closest("[data-board]"), { button: `move ${to.crew} ${to.place} ${client}` }, () => found(client));
});
document.addEventListener("dragend", () => {
  held?.classList.remove("held");
  held = null;
  ends();
});

/* --- the map and the columns point at each other --- */
function mark(client, on) {
  stopOf(client)?.classList.toggle("on", on);
  document.querySelector(`[data-stop="${CSS.escape(client)}"]`)?.classList.toggle("on", on);
}
for (const [name, on] of [["mouseover", true], ["mouseout", false], ["focusin", true], ["focusout", false]]) {
  document.addEventListener(name, (event) => {
    const one = event.target.closest?.("[data-client], [data-stop]");
    if (one) mark(one.dataset.client || one.dataset.stop, on);
  });
}

/* One menu at a time; Escape closes it. */
document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.(".stop-menu[open]")) return;
  for (const other of document.querySelectorAll(".stop-menu[open]")) if (other !== event.target) other.open = false;
}, true);
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector(".stop-menu[open]");
  if (open) { open.open = false; open.querySelector("summary").focus(); }
});
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll(".stop-menu[open]")) if (!open.contains(event.target)) open.open = false;
});
