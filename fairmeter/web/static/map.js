// The map: drag moves it, the wheel zooms, and what it shows then is asked of the desk for the new part. A click on a
// client opens its drawer, on a place a nearer map, on a transformer its page.
"use strict";

const REST = 600; // milliseconds after the last movement
const WHEEL = { displayModeBar: false, responsive: true, scrollZoom: true, doubleClick: false, showTips: false };
const DIGITS = 5; // of degrees, a metre
let waiting = 0;

const drawer = () => document.getElementById("drawer"); // comes anew with the content of each part

/* The client that a link leads to; "" for other links. */
function clientOf(address) {
  const parts = new URL(address, location.href).pathname.split("/client/");
  return parts.length > 1 ? decodeURIComponent(parts[1]) : "";
}

async function open(address) {
  const client = clientOf(address);
  if (!client || !drawer()) { window.location.assign(address); return; }
  const answer = await fetch(`${drawer().dataset.drawer}?${new URLSearchParams({ client })}`, { redirect: "error" }).catch(() => null);
  if (!answer?.ok) { window.location.assign(address); return; }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  drawer().replaceChildren(...page.body.childNodes);
  drawer().hidden = false;
  for (const field of drawer().querySelectorAll("[data-here]")) field.value = location.pathname + location.search;
  drawer().focus();
}

function close() {
  if (drawer()) drawer().hidden = true;
}

document.addEventListener("click", (event) => { if (event.target.closest("#drawer [data-close]")) close(); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });

/* The page of the part that is seen now: its content replaces this one's, without the map jumping. */
async function follow(map) {
  const { xaxis, yaxis } = map.layout;
  const [[west, east], [south, north]] = [xaxis.range, yaxis.range];
  const address = new URL(location.href);
  for (const name of ["near", "lat", "lon"]) address.searchParams.delete(name);
  const inside = (value, end) => Math.min(Math.max(value, -end), end).toFixed(DIGITS);
  address.searchParams.set("box", [inside(south, 90), inside(west, 360), inside(north, 90), inside(east, 360)].join(","));
  const answer = await fetch(address, { redirect: "error" }).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = document.getElementById("main");
  const next = page.getElementById("main");
  if (!next.querySelector('[data-chart="map"]')) return; // no client there: the view stays
  history.replaceState(null, "", address);
  main.replaceChildren(...next.childNodes);
  start();
}

function start() {
  const map = document.querySelector('[data-chart="map"]');
  if (!map) return;
  window.Charts.draw(map).then(() => {
    window.Plotly.setPlotConfig(WHEEL);
    return window.Plotly.newPlot(map, map.data, map.layout, WHEEL);
  }).then(() => {
    map.on("plotly_click", (event) => {
      const address = event.points.map((point) => point.customdata).findLast(Boolean);
      if (address) open(address);
    });
    map.on("plotly_relayout", (change) => {
      if (!Object.keys(change).some((key) => key.startsWith("xaxis.range") || key.startsWith("yaxis.range"))) return;
      window.clearTimeout(waiting);
      waiting = window.setTimeout(() => follow(map), REST);
    });
  });
}

start();
