// Draws each [data-chart] from its block of JSON (pages/charts.py) with ECharts, in the colours of the theme, again when
// the theme changes. A chart that is folded away is drawn once it is seen.
"use strict";

const lang = document.documentElement.lang || "en";
const css = () => getComputedStyle(document.documentElement);
const SYMBOLS = { diamond: "diamond", "triangle-up": "triangle", circle: "circle", "circle-open": "emptyCircle", square: "rect", x: "pin" };
const DASHES = { dot: "dotted", dash: "dashed", solid: "solid" };
const isDay = (value) => typeof value === "string" && /^\d{4}-\d\d-\d\d/.test(value);
const plain = (text) => String(text ?? "").replace(/<br>/g, "\n").replace(/&lt;/g, "<").replace(/&#8594;/g, "→").replace(/&amp;/g, "&");

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

/* --- numbers and days as texts --- */
function numbers(format) {
  const share = /^\.(\d)%$/.exec(format || "");
  if (share) {
    const whole = new Intl.NumberFormat(lang, { maximumFractionDigits: Number(share[1]) });
    return (value) => `${whole.format(100 * value)}\u202f%`;
  }
  const any = new Intl.NumberFormat(lang, { maximumFractionDigits: 2 });
  return (value) => any.format(value);
}
const fullDay = new Intl.DateTimeFormat(lang, { day: "numeric", month: "short", year: "numeric" });
function days(spec) {
  const all = spec.data.flatMap((trace) => trace.x || []).filter(isDay).sort();
  const span = (new Date(all.at(-1)) - new Date(all[0])) / 86400000;
  const form = span > 900 ? { month: "short", year: "numeric" } : span > 150 ? { month: "short", year: "2-digit" } : { day: "numeric", month: "short" };
  const short = new Intl.DateTimeFormat(lang, form);
  return (value) => short.format(value);
}

/* --- axes --- */
function axis(own, values, spec, colours, isX) {
  const given = own || {};
  const title = typeof given.title === "string" ? given.title : given.title?.text;
  const kind = given.type === "date" || values.some(isDay) ? "time" : given.type === "log" ? "log" : values.some((v) => typeof v === "string") ? "category" : "value";
  const quiet = { color: colours.quiet, fontSize: 12 };
  const common = {
    type: kind, name: plain(title).replaceAll("\n", " "), nameLocation: "middle", nameGap: isX ? 26 : 34, nameTextStyle: quiet, inverse: given.autorange === "reversed",
    axisLine: { show: isX, lineStyle: { color: colours.line2 } }, axisTick: { show: false }, axisLabel: { ...quiet, hideOverlap: true },
    splitLine: { show: given.showgrid !== false && !(isX && kind !== "value"), lineStyle: { color: colours.line } },
  };
  if (kind === "time") common.axisLabel.formatter = days(spec);
  else if (kind === "category") {
    common.data = [...new Set(values)].map(label);
    Object.assign(common.axisLabel, { interval: 0, width: 190, lineHeight: 14, overflow: common.data.length > 9 ? "truncate" : "break" });
  }
  else common.axisLabel.formatter = numbers(given.tickformat);
  if (given.range && kind !== "category") {
    [common.min, common.max] = given.range;
    if (kind === "value") common.axisLabel.showMaxLabel = false; // 1.02 is no round number
  }
  if (given.nticks) common.splitNumber = given.nticks;
  if (given.overlaying) { common.position = given.side === "right" ? "right" : "left"; common.scale = !given.rangemode; common.splitLine = { show: false }; }
  return common;
}

/* --- traces --- */
const label = (value) => (typeof value === "string" && !isDay(value) ? plain(value).replaceAll("\n", " ") : value);
const pairs = (trace) => trace.x.map((x, i) => [label(x), label(trace.y[i])]);

function line(trace, at) {
  const markers = (trace.mode || "").includes("markers");
  return {
    ...at, type: "line", data: pairs(trace), name: plain(trace.name), showSymbol: markers, symbol: "circle", symbolSize: trace.marker?.size || 5,
    step: trace.line?.shape === "hv" ? "end" : false, connectNulls: false,
    lineStyle: { color: trace.line?.color, width: trace.line?.width ?? 2, type: DASHES[trace.line?.dash] || "solid" }, itemStyle: { color: trace.line?.color },
  };
}

function points(trace, at) {
  const { color, symbol, size, line: rim } = trace.marker;
  const of = (value, i) => (Array.isArray(value) ? value[i] : value);
  const data = pairs(trace).map((value, i) => ({ value, symbol: SYMBOLS[of(symbol, i)] || "circle", itemStyle: { color: of(color, i), borderColor: rim?.color, borderWidth: rim?.width || 0 } }));
  return { ...at, type: "scatter", data, name: plain(trace.name), symbolSize: size || 9, itemStyle: { color: of(color, 0) } };
}

function band(low, high, at, i) {
  const bare = { ...at, type: "line", showSymbol: false, lineStyle: { width: 0 }, stack: `band${i}`, stackStrategy: "all", silent: true };
  const difference = high.x.map((x, n) => [x, high.y[n] - low.y[n]]);
  return [
    { ...bare, data: pairs(low), band: true },
    { ...bare, data: difference, name: plain(high.name), band: true, areaStyle: { color: high.fillcolor, opacity: 1 }, itemStyle: { color: high.fillcolor } },
  ];
}

function errors(trace, at) {
  const data = trace.x.flatMap((x, i) => [[x, trace.y[i] - trace.error_y.arrayminus[i]], [x, trace.y[i] + trace.error_y.array[i]], [x, null]]);
  return { ...at, type: "line", data, showSymbol: false, silent: true, band: true, lineStyle: { color: trace.error_y.color, width: 1.5 } };
}

function waterfall(trace, at) {
  let sum = 0;
  const colour = { relative: (v) => (v > 0 ? trace.increasing : trace.decreasing), absolute: () => trace.totals, total: () => trace.totals };
  const rows = trace.x.map((value, i) => {
    const kind = trace.measure[i];
    const [from, to] = kind === "relative" ? [sum, sum + value] : [0, value];
    sum = to;
    return { from: Math.min(from, to), size: Math.abs(to - from), color: colour[kind](value).marker.color, text: trace.text[i] };
  });
  const bar = { ...at, type: "bar", stack: "steps", barCategoryGap: "25%" };
  return [
    { ...bar, data: rows.map((row, i) => [row.from, i]), itemStyle: { color: "transparent" }, silent: true, band: true },
    { ...bar, data: rows.map((row, i) => ({ value: [row.size, i], itemStyle: { color: row.color }, label: { show: true, position: "right", formatter: row.text } })), texts: trace.text, labelLayout: { hideOverlap: false } },
  ];
}

function heat(trace, at, width) {
  const colours = trace.colorscale.map(([, color]) => color);
  const data = trace.z.flatMap((row, r) => row.map((z, c) => ({ z, value: [trace.x[c], r, z] }))).filter(({ z }) => z != null)
    .map(({ z, value }) => ({ value, itemStyle: { color: window.echarts.color.lerp(Math.min(Math.max(z / trace.zmax, 0), 1), colours) } }));
  return { ...at, type: "scatter", symbol: "rect", symbolSize: [Math.max((width - 130) / trace.x.length, 1.5), 16], data, heat: true };
}

function series(spec, width) {
  const stacked = ["stack", "relative"].includes(spec.layout.barmode);
  return spec.data.flatMap((trace, i) => {
    const at = trace.yaxis === "y2" ? { yAxisIndex: 1, xAxisIndex: spec.layout.yaxis2?.domain ? 1 : 0 } : {};
    if (trace.type === "waterfall") return waterfall(trace, at);
    if (trace.type === "heatmap") return [heat(trace, at, width)];
    if (trace.type === "bar") return [{ ...at, type: "bar", data: pairs(trace), name: plain(trace.name), itemStyle: { color: trace.marker.color, borderRadius: stacked ? 0 : 2 }, stack: stacked ? "bars" : undefined, barCategoryGap: "25%" }];
    if (spec.data[i + 1]?.fill === "tonexty") return [];
    if (trace.fill === "tonexty") return band(spec.data[i - 1], trace, at, i);
    const drawn = trace.mode === "markers" ? points(trace, at) : line(trace, at);
    if (trace.hoverinfo === "skip") drawn.band = true;
    return trace.error_y ? [errors(trace, at), drawn] : [drawn];
  });
}

/* Vertical lines with their notes, and level lines, hang on the first series. */
function marks(layout, colours) {
  const notes = layout.annotations || [];
  const lines = (layout.shapes || []).map((shape) => {
    const lineStyle = { color: shape.line.color, width: shape.line.width, type: DASHES[shape.line.dash] || "solid" };
    if (shape.x0 === shape.x1) {
      const note = notes.find((one) => one.x === shape.x0);
      return { xAxis: shape.x0, lineStyle, label: { show: Boolean(note), formatter: plain(note?.text), color: shape.line.color, position: "end" } };
    }
    return [{ coord: [shape.x0, shape.y0], lineStyle, label: { show: false } }, { coord: [shape.x1, shape.y1] }];
  });
  const texts = notes.filter((one) => one.yref !== "paper").map((one) => ({ coord: [one.x, one.y], symbolSize: 1, label: { formatter: plain(one.text), color: colours.ink, position: "left", offset: [-6, -10] } }));
  return { markLine: { silent: true, symbol: "none", data: lines }, markPoint: { silent: true, data: texts } };
}

function tooltip(spec, colours) {
  const value = numbers(spec.layout.yaxis?.tickformat || (spec.data[0]?.orientation === "h" && spec.layout.xaxis?.tickformat));
  const { encodeHTML } = window.echarts.format;
  const row = (one) => {
    const [x, y] = one.value;
    const known = spec.data[0]?.orientation === "h" || spec.data[0]?.type === "waterfall" ? x : y;
    return known == null ? "" : `<br>${one.marker}${encodeHTML(one.seriesName.startsWith("series\u0000") ? "" : one.seriesName)} <b>${value(known)}</b>`;
  };
  return {
    trigger: spec.data.some((trace) => ["heatmap", "waterfall"].includes(trace.type) || trace.mode === "markers") ? "item" : "axis",
    confine: true, backgroundColor: colours.card, borderColor: colours.line2, textStyle: { color: colours.ink, fontSize: 13 },
    formatter: (given) => {
      const shown = [given].flat().filter((one) => !one.data?.band && !spec.hidden.has(one.seriesIndex));
      if (!shown.length) return "";
      const head = shown[0].value[0];
      const name = isDay(head) ? fullDay.format(new Date(head)) : shown[0].axisValueLabel || shown[0].name;
      if (shown[0].value.length === 3) return `${encodeHTML(name)}, <b>${value(shown[0].value[2])}</b>`;
      return encodeHTML(String(name ?? "")) + shown.map(row).join("");
    },
  };
}

function optionOf(spec, styles, width) {
  const colour = (name) => styles.getPropertyValue(name).trim();
  const colours = { ink: colour("--ink"), quiet: colour("--ink-3"), line: colour("--line"), line2: colour("--line-2"), card: colour("--card") };
  const { layout } = spec;
  const twice = Boolean(layout.yaxis2?.domain);
  const of = (name, axisName) => spec.data.filter((trace) => (trace.yaxis === "y2") === (axisName === "y2")).flatMap((trace) => trace[name] || []);
  const drawn = series(spec, width);
  spec.hidden = new Set(drawn.flatMap((one, i) => (one.band ? [i] : [])));
  if (drawn.length) Object.assign(drawn[0], marks(layout, colours));
  const legend = layout.showlegend && { show: true, type: "scroll", bottom: 0, itemHeight: 8, itemWidth: 18, textStyle: { color: colours.quiet, fontSize: 12 }, data: [...new Set(drawn.map((one) => one.name).filter(Boolean))] };
  const xs = spec.data.flatMap((trace) => trace.x || []);
  const grid = { left: 8, right: 12, top: 24, bottom: layout.showlegend ? 34 : 8, outerBoundsMode: "same", outerBoundsContain: "all" };
  const x = axis(layout.xaxis, xs, spec, colours, true);
  const y = axis(layout.yaxis, of("y", "y"), spec, colours, false);
  const option = { animation: false, grid, xAxis: x, yAxis: y, series: drawn, legend: legend || { show: false }, tooltip: tooltip(spec, colours), textStyle: { fontFamily: "system-ui, sans-serif" } };
  if (layout.yaxis2) {
    option.yAxis = [y, { ...axis(layout.yaxis2, of("y", "y2"), spec, colours, false), gridIndex: twice ? 1 : 0 }];
    if (twice) {
      option.grid = [{ ...grid, bottom: "40%" }, { ...grid, top: "68%" }];
      option.xAxis = [{ ...x, axisLabel: { show: false } }, { ...x, gridIndex: 1 }];
    }
  }
  if (layout.zoom) {
    option.grid.bottom += 26;
    if (legend) legend.bottom = 24;
    option.dataZoom = [{ type: "inside", zoomOnMouseWheel: "ctrl" }, { type: "slider", height: 16, bottom: 2, showDetail: false, borderColor: colours.line, handleStyle: { color: colours.quiet }, brushSelect: false }];
  }
  return option;
}

/* --- drawing --- */
const instances = new Map();
const specs = new Map();

function specOf(place) {
  if (!specs.has(place)) specs.set(place, JSON.parse(document.getElementById(`chart-${place.dataset.chart}`).textContent));
  return specs.get(place);
}

async function draw(place) {
  place.classList.add("drawn");
  if (!window.echarts) { place.textContent = said.no_charts; return place; }
  if (!place.clientWidth) return place;
  instances.get(place)?.dispose();
  const styles = css();
  const chart = window.echarts.init(place, null, { renderer: "svg" });
  chart.setOption(optionOf(coloured(specOf(place), styles), styles, place.clientWidth));
  instances.set(place, chart);
  return place;
}

/* Other values for the first traces of a chart. [changes: {x, y} by trace] */
function change(place, changes) {
  const spec = specOf(place);
  changes.forEach((values, i) => Object.assign(spec.data[i], values));
  const styles = css();
  instances.get(place)?.setOption(optionOf(coloured(spec, styles), styles, place.clientWidth), { replaceMerge: ["series"] });
}

const places = () => [...document.querySelectorAll("[data-chart]")];
const drawAll = () => Promise.all(places().map(draw));
const fit = () => places().forEach((place) => {
  if (instances.has(place)) instances.get(place).resize();
  else if (place.clientWidth) draw(place);
});

window.Charts = { draw, drawAll, change };
drawAll();
document.addEventListener("themechange", drawAll);
window.addEventListener("resize", fit);
window.addEventListener("beforeprint", fit);
