// The page of an import while a step waits or runs: says how far it is, and loads the page again when it is done.
"use strict";

const importPlace = document.querySelector("[data-import]");
const importTexts = JSON.parse(document.getElementById("import-texts").textContent);
const importBar = importPlace.querySelector("[data-import-bar]");
const importLine = importPlace.querySelector("[data-import-text]");
const EVERY = 2000; // milliseconds
const LONGEST = 30000; // milliseconds between two tries while the service does not answer

function show(found) {
  const { what, n_done: done, n } = found.progress || {};
  const text = !found.is_running ? importTexts.waits : importTexts[what] || importTexts.runs;
  const filled = text.replace("{done}", done ?? "").replace("{n}", n ?? "");
  if (importLine.textContent !== filled) importLine.textContent = filled;
  if (n) { importBar.max = n; importBar.value = done; } else importBar.removeAttribute("value");
}

async function look(wait) {
  let next = EVERY;
  try {
    const answer = await fetch(importPlace.dataset.import, { credentials: "same-origin", redirect: "manual" });
    if (answer.status >= 400 && answer.status < 500) return location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    const found = await answer.json();
    if (found.step !== importPlace.dataset.step) return location.reload();
    show(found);
  } catch {
    next = Math.min(2 * wait, LONGEST);
  }
  window.setTimeout(look, next, next);
}

window.setTimeout(look, 500, EVERY);
