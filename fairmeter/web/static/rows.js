// Rows with a drawer: j and k move, Enter or a click opens it, a assigns, x ticks, Esc closes. Saved views of a list.
"use strict";

const table = document.querySelector("[data-rows]");
const drawer = document.getElementById("drawer");
const rows = () => [...document.querySelectorAll("[data-row]")];
const linkOf = (row) => row.querySelector("[data-opens]");
let opened = null;

function current() {
  return document.activeElement?.closest("[data-row]") || opened;
}

function go(step) {
  const all = rows();
  const at = all.indexOf(current());
  const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  if (!next) return;
  linkOf(next).focus();
  next.scrollIntoView({ block: "nearest" });
  if (!drawer.hidden) open(next);
}

async function open(row, acts = false) {
  opened?.classList.remove("open");
  opened = row;
  row.classList.add("open");
  const query = new URLSearchParams({ client: row.dataset.row });
  const answer = await fetch(`${table.dataset.drawer}?${query}`, { redirect: "error" }).catch(() => null);
  if (opened !== row) return;
  if (!answer?.ok) { window.location.assign(linkOf(row).href); return; }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  drawer.replaceChildren(...page.body.childNodes);
  drawer.hidden = false;
  for (const field of drawer.querySelectorAll("[data-here]")) field.value = location.pathname + location.search;
  if (acts) drawer.querySelector("[data-first]")?.focus();
}

function close() {
  drawer.hidden = true;
  drawer.replaceChildren();
  opened?.classList.remove("open");
  if (opened) linkOf(opened).focus();
  opened = null;
}

if (table && drawer) {
  table.addEventListener("click", (event) => {
    const row = event.target.closest("[data-row]");
    const other = event.target.closest("a:not([data-opens]), input, button, label");
    if (!row || other || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation(); // no loading bar: the page stays
    open(row, event.detail === 0); // by the keyboard: the focus goes to what can be done
  });
  drawer.addEventListener("click", (event) => { if (event.target.closest("[data-close]")) close(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !drawer.hidden) { close(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), select, textarea")) return;
    const row = current();
    if (event.key === "j" || event.key === "k") go(event.key === "j" ? 1 : -1);
    else if (event.key === "a" && (row || rows()[0])) open(row || rows()[0], true);
    else if (event.key === "x" && row) row.querySelector("input[type=checkbox]")?.click();
  });
}

/* The bar for many appears once something is ticked. */
const bulk = document.querySelector("[data-bulk]");
if (bulk) {
  const boxes = [...document.querySelectorAll("[data-rows] tbody input[type=checkbox], input[data-check-all]")];
  const show = () => { bulk.hidden = !boxes.some((box) => box.checked); };
  boxes.forEach((box) => box.addEventListener("change", () => window.setTimeout(show)));
  window.addEventListener("pageshow", show);
}

/* Saved views: addresses with a name, kept by this browser. */
const views = document.querySelector("[data-views]");
if (views) {
  const key = `views-${views.dataset.views}`;
  const place = views.querySelector("[data-saved]");
  const kept = () => { try { return JSON.parse(localStorage.getItem(key)) || []; } catch { return []; } };
  const keep = (all) => { try { localStorage.setItem(key, JSON.stringify(all)); } catch { /* a full or closed storage */ } show(); };
  const show = () => {
    place.replaceChildren(...kept().map(({ name, query }) => {
      const [item, link, away] = ["li", "a", "button"].map((tag) => document.createElement(tag));
      link.textContent = name;
      link.href = location.pathname + query;
      away.type = "button";
      away.textContent = "×";
      away.className = "round";
      away.setAttribute("aria-label", said.forget.replace("{name}", name));
      away.addEventListener("click", () => keep(kept().filter((one) => one.name !== name)));
      item.append(link, away);
      return item;
    }));
  };
  views.querySelector("[data-save-view]").addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopPropagation();
    const name = event.target.elements.name.value.trim();
    if (name) keep([...kept().filter((one) => one.name !== name), { name, query: location.search }]);
    event.target.reset();
  });
  show();
}
