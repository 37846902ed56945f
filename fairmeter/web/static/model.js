// The threshold's slider: clients above it in the store, and errors at it in the report.
"use strict";

const place = document.getElementById("slider");
const known = JSON.parse(document.getElementById("slider-data").textContent);
const whole = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 });
const share = { format: (part) => `${tenths.format(100 * part)}\u202f%` }; // as filter `percent` of i18n.py

function tell(name, text) {
  for (const spot of document.querySelectorAll(`[data-slider="${name}"]`)) spot.textContent = text;
}

function show() {
  const step = Math.min(Number(place.value), known.steps - 1);
  const n = known.n[step];
  const threshold = share.format(step / known.steps);
  place.setAttribute("aria-valuetext", threshold);
  tell("threshold", threshold);
  tell("visits", whole.format(n));
  tell("share", share.format(n / known.n_clients));
  tell("expected", whole.format(known.total[step]));
  tell("rate", n ? share.format(known.total[step] / n) : "–");
  if (known.report) showReport(step / known.steps);
}

function showReport(threshold) {
  const { score, recall, false_positive_rate: fpr, n, n_fraud: frauds } = known.report;
  let i = 0;
  while (i + 1 < score.length && score[i + 1] >= threshold) i += 1;
  const hit = recall[i] * frauds;
  const false_ = fpr[i] * (n - frauds);
  tell("tp", whole.format(hit));
  tell("fp", whole.format(false_));
  tell("fn", whole.format(frauds - hit));
  tell("tn", whole.format(n - frauds - false_));
  tell("precision", hit + false_ ? share.format(hit / (hit + false_)) : "–");
  tell("recall", share.format(recall[i]));
}

place.addEventListener("input", show);
show();
