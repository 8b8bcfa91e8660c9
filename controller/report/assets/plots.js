"use strict";

// Builds the plots. Every colour comes from page.css, so that light, dark and print differ only there.

const NARROW = window.matchMedia("screen and (max-width: 599px)");
const DAY_MS = 86400000;
const MARGIN = { l: 56, r: 16, t: 24, b: 48 };
const PANEL_GAP = 46; // room for a panel's title [px]
const LEGEND = { orientation: "h", x: 0, yanchor: "bottom", traceorder: "normal" };
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "triangle-down", "x", "pentagon"];
const KNOWN = ["none", "symbol", "timer", "threshold", "logged", "predictive", "oracle"];

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// On a narrow screen a finger scrolls the page and does not zoom a plot.
function show(id, traces, layout) {
  Plotly.react(id, traces, { ...layout, dragmode: NARROW.matches ? false : "zoom" }, { responsive: true, displayModeBar: false });
}

// Plotly reads text as a small dialect of HTML; what comes from data must not.
function plain(text) {
  const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
  return String(text).replace(/[&<>]/g, (character) => entities[character]);
}

function policyStyle(name, names) {
  const known = KNOWN.indexOf(name);
  const rank = known >= 0 ? known : KNOWN.length + (names.filter((other) => !KNOWN.includes(other)).indexOf(name) % 3);
  return { color: css(`--policy-${rank}`), symbol: SYMBOLS[rank] };
}

// The shades run from shallow to deep: 0 full, 1 symbol, 2 to 4 RF channels, 5 night, 6 carrier, 7 dormancy.
const LEVEL_SHADE = { full: 0, symbol: 1, night_shutdown: 5, carrier_shutdown: 6, deep_dormancy: 7 };

function levelColor(levels, rank) {
  const { name } = levels[rank];
  const channels = levels.filter((level) => level.name.startsWith("rf_channel_")).findIndex((level) => level.name === name);
  return css(`--level-${LEVEL_SHADE[name] ?? Math.min(2 + Math.max(channels, 0), 4)}`);
}

function layoutOf(height, rest) {
  const axis = { gridcolor: css("--grid"), zerolinecolor: css("--grid"), linecolor: css("--grid"), automargin: true };
  const layout = {
    height,
    margin: MARGIN,
    paper_bgcolor: css("--surface"),
    plot_bgcolor: css("--surface"),
    font: { family: "system-ui, sans-serif", size: 13, color: css("--text") },
    hoverlabel: { bgcolor: css("--raised"), bordercolor: css("--grid"), font: { color: css("--text") } },
    legend: { ...LEGEND, y: 1.02 },
    ...rest,
  };
  for (const key of Object.keys(layout)) {
    if (/^[xy]axis\d*$/.test(key)) layout[key] = { ...axis, ...layout[key] };
  }
  return layout;
}

// Panels of given pixel heights under each other on one time axis, each with its title above it.
function panels({ time }, day, x, rows) {
  const total = rows.reduce((sum, row) => sum + row.height, PANEL_GAP * (rows.length - 1));
  const range = day === "all" ? [x[0], x[x.length - 1] + time.stride * time.tick_s * 1000] : [Number(day), Number(day) + DAY_MS];
  const title = { text: `Local time${NARROW.matches ? "<br>" : " "}(${plain(time.zone)}, ${time.utc_offset})` };
  const anchor = rows.length > 1 ? `y${rows.length}` : "y";
  const layout = {
    hovermode: "x unified",
    hoversubplots: "axis",
    uirevision: day, // a zoom outlives a change of policy or cell
    legend: { ...LEGEND, y: 1 + 24 / total },
    xaxis: { type: "date", title, range, anchor },
    annotations: [],
  };
  let top = total;
  for (const [rank, { title: text, height, axis }] of rows.entries()) {
    layout[rank ? `yaxis${rank + 1}` : "yaxis"] = { ...axis, domain: [(top - height) / total, top / total] };
    const place = { x: 0, xref: "paper", xanchor: "left", y: top / total, yref: "paper", yanchor: "bottom" };
    layout.annotations.push({ text: `<b>${text}</b>`, showarrow: false, ...place });
    top -= height + PANEL_GAP;
  }
  return layoutOf(total + (NARROW.matches ? 270 : 160), layout);
}

function ticksOf(time, count, stride) {
  return Array.from({ length: count }, (_, tick) => time.first_local_ms + tick * stride * time.tick_s * 1000);
}

// Load and levels over time

function drawTime(data, arrays, { policy, day }) {
  const x = ticksOf(data.time, arrays.offered.shape[0], data.time.stride);
  const line = (name, y, axis, color, dash = "solid") => ({
    type: "scatter", mode: "lines", x, y, name: plain(name), xaxis: "x", yaxis: axis, line: { color, width: 1.5, dash, shape: "hv" },
  });
  const energy = (name, color, dash) => line(`energy, ${name}`, rowOf(arrays[`energy/${name}`]), "y2", color, dash);
  const others = ["none", "oracle"].filter((name) => name in data.policies && name !== policy);
  const traces = [
    line("offered load", rowOf(arrays.offered), "y", css("--text")),
    ...others.map((name) => energy(name, policyStyle(name, []).color, name === "none" ? "dot" : "dash")),
    energy(policy, policyStyle(policy, Object.keys(data.policies)).color, "solid"),
    ...levelAreas(data, arrays, policy, x),
  ];
  show("plot-time", traces, timeLayout(data, day, x));
}

function levelAreas(data, arrays, policy, x) {
  return data.levels
    .map((level, rank) => ({ level, rank, y: rowOf(arrays[`level_share/${policy}`], rank) }))
    .filter(({ y }) => y.some((share) => share > 0))
    .map(({ level, rank, y }) => ({
      type: "scatter",
      mode: "lines",
      stackgroup: "levels",
      x,
      y,
      xaxis: "x",
      yaxis: "y3",
      name: plain(level.label),
      line: { width: 0, shape: "hv" },
      fillcolor: levelColor(data.levels, rank),
      hovertemplate: "%{y:.1%}",
    }));
}

function timeLayout(data, day, x) {
  const unit = plain(data.energy_unit);
  return panels(data, day, x, [
    { title: "Mean offered load", height: 120, axis: { tickformat: ".0%", rangemode: "tozero" } },
    { title: `Energy per tick [${unit}]`, height: 120, axis: { rangemode: "tozero" } },
    { title: "Share of cell-time at each level", height: 240, axis: { tickformat: ".0%", range: [0, 1] } },
  ]);
}

// Energy by level

function drawLevels(data) {
  const names = Object.keys(data.policies).reverse();
  const base = data.policies.none && data.policies.none.energy;
  const traces = data.levels.map((level, rank) => ({
    type: "bar",
    orientation: "h",
    y: names.map(plain),
    x: names.map((name) => data.policies[name].energy_by_level[rank] / (base || 1)),
    name: plain(level.label),
    marker: { color: levelColor(data.levels, rank) },
    hovertemplate: base ? "%{x:.1%}" : "%{x:.4g}",
  }));
  const title = base ? "Energy relative to none" : `Energy [${plain(data.energy_unit)}]`;
  const layout = layoutOf(120 + 38 * names.length, {
    barmode: "stack",
    hovermode: "y unified",
    xaxis: { title: { text: title }, tickformat: base ? ".0%" : "" },
    yaxis: {},
  });
  show("plot-levels", traces.filter((trace) => trace.x.some((share) => share > 0)), layout);
}

// One cell

function drawCell(data, arrays, { cell, policy, day }) {
  const count = arrays["cell/load"].shape[1];
  const x = ticksOf(data.time, count, 1);
  const series = (name, y, style) => ({ type: "scatter", mode: "lines", x, y, name, xaxis: "x", yaxis: "y", hovertemplate: "%{y:.1%}", line: { shape: "hv", ...style } });
  const traces = [
    series("upper quantile (0.95)", rowOf(arrays["cell/upper"], cell), { color: css("--forecast"), width: 1, dash: "dot" }),
    series("expected", rowOf(arrays["cell/expected"], cell), { color: css("--forecast"), width: 1.5 }),
    { ...series("load", rowOf(arrays["cell/load"], cell), { color: css("--text"), width: 1.5 }), legendrank: 1 },
  ];
  const level = arrays[`cell/level/${policy}`];
  if (level) traces.push(levelSteps(data, rowOf(level, cell), x));
  const reason = arrays[`cell/reason/${policy}`];
  const reasons = reason ? rowOf(reason, cell) : [];
  const occurring = [...new Set(reasons)].sort((a, b) => a - b);
  if (reason) traces.push(reasonMarks(data, reasons, occurring, x));
  show("plot-cell", traces, cellLayout(data, day, x, Boolean(level), occurring));
}

function levelSteps(data, levels, x) {
  const shades = data.levels.map((_, rank) => levelColor(data.levels, rank));
  return {
    type: "scatter",
    mode: "lines+markers",
    x,
    y: levels,
    text: levels.map((level) => plain(data.levels[level].label)),
    hovertemplate: "%{text}",
    name: "level",
    xaxis: "x",
    yaxis: "y2",
    line: { color: css("--muted"), width: 2, shape: "hv" },
    marker: { size: 6, symbol: "square", color: levels.map((level) => shades[level]) },
    showlegend: false,
  };
}

function reasonMarks(data, reasons, occurring, x) {
  return {
    type: "scatter",
    mode: "markers",
    x,
    y: reasons.map((reason) => occurring.indexOf(reason)),
    text: reasons.map((reason) => plain(data.reasons[reason])),
    hovertemplate: "%{text}",
    name: "reason",
    xaxis: "x",
    yaxis: "y3",
    marker: { size: 5, symbol: "square", color: css("--muted") },
    showlegend: false,
  };
}

function tickLabel(text) {
  const width = NARROW.matches ? 14 : 24; // characters
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1];
    if (last && last.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = last ? `${last} ${word}` : word;
  }
  return lines.map(plain).join("<br>");
}

// A panel with one row per label, the first on top.
function rowsPanel(title, labels) {
  const axis = {
    tickvals: labels.map((_, rank) => rank),
    ticktext: labels.map(tickLabel),
    tickfont: { size: NARROW.matches ? 10 : 12 },
    range: [labels.length - 0.5, -0.5],
    zeroline: false,
  };
  return { title, height: labels.length * (NARROW.matches ? 38 : 32), axis };
}

function cellLayout(data, day, x, hasLevel, reasons) {
  const rows = [{ title: "Load", height: 200, axis: { tickformat: ".0%", rangemode: "tozero" } }];
  if (hasLevel) rows.push(rowsPanel("Level", data.levels.map((level) => level.label)));
  if (reasons.length) rows.push(rowsPanel("Reason", reasons.map((reason) => data.reasons[reason])));
  return panels(data, day, x, rows);
}
