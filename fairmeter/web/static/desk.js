// Every page: theme switch, menu on a phone, loading bar, confirmation before forms.
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

for (const button of document.querySelectorAll("[data-menu]")) {
  const menu = document.getElementById(button.getAttribute("aria-controls"));
  button.addEventListener("click", () => {
    const open = menu.classList.toggle("open");
    button.setAttribute("aria-expanded", String(open));
  });
}

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

/* Make whatever scrolls sideways reachable from the keyboard. */
function reachable() {
  for (const box of document.querySelectorAll(".table")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
reachable();
window.addEventListener("resize", reachable);
