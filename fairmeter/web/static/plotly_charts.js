// The map: drawn from its block of JSON with Plotly in the colours of the theme, again when the theme changes.
"use strict";

const css = () => getComputedStyle(document.documentElement);

function coloured(value, styles) {
  if (typeof value === "string") {
    return value.replace(/var\((--[\w-]+)\)/g, (_, name) => styles.getPropertyValue(name).trim());
  }
  if (Array.isArray(value)) return value.map((one) => coloured(one, styles));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, coloured(one, styles)]));
  }
  return value;
}

function axis(own) {
  const base = {
    gridcolor: "var(--line)", linecolor: "var(--line)", zerolinecolor: "var(--line-2)", automargin: true,
    tickfont: { size: 12 }, title: { font: { size: 12 }, standoff: 8 }, fixedrange: true,
  };
  const given = typeof own?.title === "string" ? { ...own, title: { ...base.title, text: own.title } } : own;
  return { ...base, ...given };
}

function layoutOf(own) {
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 48, r: 16, t: 16, b: 40 }, autosize: true, bargap: 0.25, barcornerradius: 3,
    font: { family: "system-ui, sans-serif", color: "var(--ink-2)", size: 13 },
    hoverlabel: { bgcolor: "var(--card)", bordercolor: "var(--line-2)", font: { color: "var(--ink)" } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } },
    dragmode: false, showlegend: false, ...own,
  };
  for (const name of ["xaxis", "yaxis", "xaxis2", "yaxis2"]) {
    if (name in layout || !name.endsWith("2")) layout[name] = axis(layout[name]);
  }
  return layout;
}

// Plotly rounds at drawing; nothing is sent anywhere and nothing is fetched.
const OPTIONS = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };

function draw(place) {
  const spec = JSON.parse(document.getElementById(`chart-${place.dataset.chart}`).textContent);
  const { data, layout } = coloured({ data: spec.data, layout: layoutOf(spec.layout) }, css());
  return window.Plotly.react(place, data, layout, OPTIONS).then(() => {
    place.classList.add("drawn");
    return place;
  });
}

function drawAll() {
  return Promise.all([...document.querySelectorAll("[data-chart]")].map(draw));
}

drawAll();
document.addEventListener("themechange", drawAll);
window.addEventListener("beforeprint", () => document.querySelectorAll("[data-chart]").forEach((p) => window.Plotly.Plots.resize(p)));
window.Charts = { draw, drawAll };
