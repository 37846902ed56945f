// The demonstration: a scenario played day by day, a theft set by two sliders, a pasted client.
// Every score comes from the desk's model; reasons are loaded for the current day only, because they take longer.
"use strict";

const demo = JSON.parse(document.getElementById("demo-data").textContent);
const find = (selector, within = document) => within.querySelector(selector);
const say = (key, values = {}) => demo.texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
const MAX_BYTES = 4 * 2 ** 20; // of a file: a client with two years of hours has 2 MB
const percent = (share) => `${Math.round(share * 100)} %`;
// An answer of /predict: a probability, or a percentile of a model without labels.
const stated = ({ probability, percentile }) => {
  if (percentile != null) return say("percentile", { place: percentile.toFixed(1) });
  return probability == null ? "–" : percent(probability);
};

function list(place, scored) {
  const lines = [...(scored.reasons || []), ...(scored.harmless || [])];
  place.replaceChildren(...lines.map((text, i) => {
    const item = document.createElement("li");
    item.textContent = text;
    if (i >= (scored.reasons || []).length) item.className = "harmless";
    return item;
  }));
}

function verdict(name, scored, note = "") {
  const place = find(`[data-verdict="${name}"]`);
  const badge = find(`[data-badge-of="${scored.severity}"]`);
  find("[data-badge]", place).replaceChildren(...(badge ? [badge.content.cloneNode(true)] : []));
  find("[data-score]", place).textContent = scored.score ?? stated(scored);
  if (scored.reasons || scored.reasons === null) list(find("[data-reasons]", place), scored); // null: not known yet
  find("[data-note]", place).textContent = note || (scored.reasons && !scored.reasons.length ? say("nothing_speaks") : "");
}

const busy = (name, is) => find(`[data-verdict="${name}"]`).classList.toggle("busy", is);

async function asked(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

/* --- the player --- */
function player() {
  const place = find('[data-chart="played"]');
  const whole = JSON.parse(document.getElementById("chart-played").textContent).data;
  const slider = find("[data-frame]");
  const button = find("[data-play]");
  const { frames } = demo;
  const known = new Map();
  const told = new Map(); // reasons by day, once they are here: those of another day are never shown
  let timer = null;
  let wanted = null;
  slider.max = frames.length - 1;
  slider.value = frames.length - 1;

  async function reasons(frame) {
    wanted = frame.day;
    if (!known.has(frame.day)) {
      busy("played", true);
      const query = new URLSearchParams({ client: demo.client, day: frame.day });
      known.set(frame.day, asked(`demo/reasons?${query}`));
    }
    try {
      const scored = await known.get(frame.day);
      told.set(frame.day, scored);
      if (wanted === frame.day) verdict("played", { ...scored, ...frame });
    } catch {
      known.delete(frame.day);
      if (wanted === frame.day) verdict("played", { ...frame, reasons: [] }, say("failed"));
    }
    if (wanted === frame.day) busy("played", false);
  }

  function show(withReasons) {
    const frame = frames[Number(slider.value)];
    const cut = whole.map((trace) => {
      const n = trace.x.findLastIndex((day) => day <= frame.day) + 1;
      return { x: trace.x.slice(0, n), y: trace.y.slice(0, n) };
    });
    window.Charts.change(place, cut);
    find("[data-day]").textContent = frame.told;
    slider.setAttribute("aria-valuetext", frame.told);
    verdict("played", { reasons: null, ...told.get(frame.day), ...frame });
    if (withReasons) reasons(frame);
  }

  function stop() {
    window.clearInterval(timer);
    timer = null;
    button.textContent = say("play");
    show(true);
  }

  button.addEventListener("click", () => {
    if (timer) { stop(); return; }
    if (Number(slider.value) === frames.length - 1) slider.value = 0;
    button.textContent = say("pause");
    timer = window.setInterval(() => {
      slider.value = Number(slider.value) + 1;
      const isLast = Number(slider.value) >= frames.length - 1;
      const turned = frames[slider.value].severity !== frames[slider.value - 1].severity;
      if (isLast) stop(); else show(turned);
    }, 260);
  });
  slider.addEventListener("input", () => show(false));
  slider.addEventListener("change", () => show(true));
  window.Charts.drawAll().then(() => show(true));
  document.addEventListener("themechange", () => window.Charts.draw(place).then(() => show(false)));
}

/* --- a theft --- */
function thief() {
  const place = find('[data-chart="thief"]');
  const used = JSON.parse(document.getElementById("chart-thief").textContent).data[0];
  const [share, days] = [find("[data-share]"), find("[data-days]")];
  let timer = null;
  let turn = 0;

  async function score(withReasons) {
    const mine = ++turn;
    busy("thief", true);
    const query = new URLSearchParams({ share: share.value / 100, days: days.value, reasons: withReasons ? 1 : 0 });
    try {
      const scored = await asked(`demo/thief?${query}`);
      if (mine !== turn) return;
      verdict("thief", withReasons ? scored : { ...scored, reasons: undefined });
    } catch {
      if (mine === turn) verdict("thief", { reasons: [] }, say("failed"));
    }
    if (mine === turn) busy("thief", false);
  }

  function show() {
    find("[data-share-told]").textContent = `${share.value} %`;
    find("[data-days-told]").textContent = say("days", { n: days.value });
    const first = used.x.length - Number(days.value);
    const y = used.y.map((kwh, i) => (i < first ? kwh : kwh * (1 - share.value / 100)));
    window.Charts.change(place, [{}, { y }]);
  }

  for (const slider of [share, days]) {
    slider.addEventListener("input", () => {
      show();
      window.clearTimeout(timer);
      timer = window.setTimeout(() => score(false), 150);
    });
    slider.addEventListener("change", () => { window.clearTimeout(timer); score(true); });
  }
  window.Charts.draw(place).then(() => { show(); score(true); });
  document.addEventListener("themechange", () => window.Charts.draw(place).then(show));
}

/* --- a pasted client --- */
function own() {
  const form = find("[data-own]");
  find("[data-file]", form).addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    if (file.size > MAX_BYTES) { verdict("own", { reasons: [] }, say("too_large")); return; }
    find("[data-body]", form).value = await file.text();
    form.requestSubmit();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    busy("own", true);
    const headers = { "Content-Type": "application/json", "X-CSRF-Token": form.dataset.token };
    try {
      const answer = await fetch(form.dataset.address, { method: "POST", headers, body: find("[data-body]").value });
      const scored = await answer.json();
      find("[data-answer]").textContent = JSON.stringify(scored, null, 2);
      if (answer.ok) {
        const texts = (rows) => rows.map((row) => row.text);
        const fits = scored.harmless.filter((cause) => cause.verdict === "fits");
        const speaks = scored.reasons.filter((reason) => reason.effect > 0);
        verdict("own", { ...scored, reasons: texts(speaks).slice(0, 3), harmless: texts(fits).map((text) => say("harmless", { text })) });
      } else verdict("own", { reasons: [] }, scored.error.message);
    } catch {
      verdict("own", { reasons: [] }, say("failed"));
    }
    busy("own", false);
  }, true);
}

if (demo.frames) { player(); thief(); }
own();
