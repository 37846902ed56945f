// Every page: theme switch, search, keys, loading bar, confirmation before forms.
"use strict";

const said = JSON.parse(document.getElementById("texts")?.textContent || "{}");

/* The theme: the system's until the user chooses; a cookie keeps the choice, so that pages load in it at once. */
function themeNow() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  return document.documentElement.dataset.theme || (dark ? "dark" : "light");
}

function choose(theme) {
  document.documentElement.dataset.theme = theme;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  document.dispatchEvent(new Event("themechange"));
}

for (const button of document.querySelectorAll("[data-theme-switch]")) {
  button.addEventListener("click", () => choose(themeNow() === "dark" ? "light" : "dark"));
}
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  document.dispatchEvent(new Event("themechange"));
});

/* Search: results below the field while somebody types; arrows choose, Enter opens. Without scripts the form leads to
   a page with the same results. */
const search = document.querySelector("[data-search]");
if (search) {
  const field = search.querySelector("input");
  const found = document.getElementById(field.getAttribute("aria-controls"));
  let timer = null;
  const hits = () => [...found.querySelectorAll("a")];
  const close = () => { found.hidden = true; found.replaceChildren(); };
  const choose = (step) => {
    const all = hits();
    const at = all.findIndex((hit) => hit.classList.contains("on"));
    const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
    all[at]?.classList.remove("on");
    next?.classList.add("on");
    next?.scrollIntoView({ block: "nearest" });
  };
  const look = async () => {
    const text = field.value.trim();
    if (!text) { close(); return; }
    const answer = await fetch(`${search.dataset.search}?q=${encodeURIComponent(text)}`, { redirect: "error" }).catch(() => null);
    if (!answer?.ok || text !== field.value.trim()) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    found.replaceChildren(...page.body.childNodes);
    found.hidden = false;
    choose(1);
  };
  field.addEventListener("input", () => { window.clearTimeout(timer); timer = window.setTimeout(look, 120); });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { close(); field.blur(); }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { choose(event.key === "ArrowDown" ? 1 : -1); event.preventDefault(); }
  });
  search.addEventListener("submit", (event) => {
    const hit = found.querySelector("a.on");
    if (hit) { event.preventDefault(); window.location.assign(hit.href); }
  });
  document.addEventListener("click", (event) => { if (!search.contains(event.target)) close(); });
}

/* Keys. A letter counts only where nobody types; two letters in a row lead to a page: g s to Suspects. */
const PAGES = { t: "today", s: "suspects", c: "cases", m: "map" };
let before = "";
const types = (target) => target.closest("input, select, textarea, [contenteditable]");
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    search?.querySelector("input").focus();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || types(event.target)) return;
  const page = before === "g" && PAGES[event.key];
  before = event.key;
  if (page) document.querySelector(`.side a[href$="/desk/${page}"]`)?.click();
  else if (event.key === "/") { event.preventDefault(); search?.querySelector("input").focus(); }
  else if (event.key === "?") document.querySelector("[data-help]")?.toggleAttribute("open");
  else if (event.key === "Escape") document.querySelectorAll(".menu-of[open]").forEach((menu) => { menu.open = false; });
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".menu-of[open]")) if (!menu.contains(event.target)) menu.open = false;
});

/* Loading: a bar at the top from the moment a link or form is used; a form is sent once. */
const bar = document.getElementById("progress");
document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = event.submitter?.dataset.confirm || form.dataset.confirm;
  if (event.defaultPrevented || (question && !window.confirm(question))) {
    event.preventDefault();
    return;
  }
  const sent = event.submitter?.formAction || form.action;
  if (sent.includes("format=csv")) return;
  bar.classList.add("on");
  if (form.method === "post") {
    window.setTimeout(() => form.querySelectorAll("button[type=submit]").forEach((b) => { b.disabled = true; }));
  }
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0;
  if (link && plain && !link.target && !link.hasAttribute("download") && !link.getAttribute("href").startsWith("#")) {
    bar.classList.add("on");
  }
});
window.addEventListener("pageshow", () => {
  bar.classList.remove("on");
  document.querySelectorAll("button[type=submit]:disabled").forEach((b) => { b.disabled = false; });
});

/* Signing out removes the cached visits from the phone, but not the results that wait to be sent. */
if (document.querySelector(".sign-in") && window.caches) window.caches.delete("fairmeter-field");

/* Behaviours that attributes switch on. */
for (const select of document.querySelectorAll("[data-submit]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
for (const whole of document.querySelectorAll("[data-check-all]")) {
  const boxes = () => document.querySelectorAll(`input[type=checkbox][name="${whole.dataset.checkAll}"]`);
  const counter = document.querySelector("[data-checked]");
  const tell = () => {
    const n = [...boxes()].filter((box) => box.checked).length;
    if (counter) counter.textContent = said.chosen.replace("{n}", n);
    for (const button of document.querySelectorAll("[data-needs-checked]")) button.disabled = n === 0;
  };
  whole.addEventListener("change", () => { boxes().forEach((box) => { box.checked = whole.checked; }); tell(); });
  boxes().forEach((box) => box.addEventListener("change", tell));
  window.addEventListener("pageshow", tell);
  tell();
}

/* A link to something that is folded away unfolds it. */
function unfold() {
  const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  for (let fold = target && target.closest("details:not([open])"); fold; fold = fold.parentElement.closest("details:not([open])")) {
    fold.open = true;
    target.scrollIntoView();
  }
}
window.addEventListener("hashchange", unfold);
unfold();
document.addEventListener("toggle", () => window.dispatchEvent(new Event("resize")), true); // charts have their size now

/* Tabs: sections of a page, one shown at a time; without scripts all are shown. The address keeps the chosen one. */
for (const tabbed of document.querySelectorAll("[data-tabs]")) {
  const links = [...tabbed.querySelectorAll(":scope > .tabs a")];
  const of = (link) => document.getElementById(link.getAttribute("href").slice(1));
  const show = (chosen) => {
    for (const link of links) {
      of(link).hidden = link !== chosen;
      if (link === chosen) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    window.dispatchEvent(new Event("resize")); // charts and tables that were hidden have their size now
  };
  const byHash = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    const wanted = links.find((link) => target && of(link).contains(target));
    if (wanted || !links.some((link) => link.hasAttribute("aria-current"))) show(wanted || links[0]);
    if (wanted && target !== of(wanted)) target.scrollIntoView();
  };
  tabbed.classList.add("on");
  for (const link of links) {
    link.addEventListener("click", (event) => { event.preventDefault(); history.replaceState(null, "", link.hash); show(link); });
  }
  window.addEventListener("hashchange", byHash);
  byHash();
}

/* Make whatever scrolls sideways reachable from the keyboard. */
function reachable() {
  for (const box of document.querySelectorAll(".table")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
reachable();
window.addEventListener("resize", reachable);
