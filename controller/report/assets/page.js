"use strict";

// What the page does: one state (policy and cell), kept in the fragment of the address, drawn by plots.js.

const MATCHES_SHOWN = 12;
const data = JSON.parse(document.getElementById("data").textContent);
const state = { policy: data.headline, cell: -1, day: "all" };
let arrays = {};

function element(id) {
  return document.getElementById(id);
}

// #cell=ID&policy=NAME, each part percent-encoded; a part that is absent leaves its choice as it was.
function choiceIn(fragment, keys = ["cell", "policy"]) {
  const choice = {};
  for (const part of fragment.replace(/^#/, "").split("&")) {
    const [key, value] = [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)];
    if (!keys.includes(key)) continue;
    try {
      choice[key] = decodeURIComponent(value);
    } catch {
      choice[key] = value; // typed by hand, with a lone percent sign
    }
  }
  return choice;
}

function fragmentOf(cell, policy) {
  return `#cell=${encodeURIComponent(cell)}&policy=${encodeURIComponent(policy)}`;
}

function follow(fragment) {
  const choice = choiceIn(fragment);
  if (Object.hasOwn(data.policies, choice.policy ?? "")) state.policy = choice.policy;
  const found = data.cells.indexOf(choice.cell);
  if (found >= 0) state.cell = found;
  if (Object.keys(choice).length) draw();
  if (choice.cell === undefined) return;
  if (found < 0) element("cell-note").textContent = `No cell ${choice.cell} can be opened here. ${data.cells_note}`;
  element("cell").scrollIntoView();
}

function draw() {
  for (const select of document.querySelectorAll("select.policy")) select.value = state.policy;
  for (const select of document.querySelectorAll("select.day")) select.value = state.day;
  if (state.policy !== null) {
    drawTime(data, arrays, state);
    drawWorst();
  }
  drawOneCell();
}

function drawOneCell() {
  const known = state.cell >= 0;
  element("cell-name").textContent = known ? data.cells[state.cell] : "";
  element("cell-note").textContent = known ? data.cells_note : `No cell can be opened. ${data.cells_note}`;
  if (known) drawCell(data, arrays, state);
}

function drawWorst() {
  const rows = data.policies[state.policy].worst.map((worst) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.append(data.cells.includes(worst.cell) ? cellLink(worst.cell) : worst.cell);
    row.append(head, ...worst.figures.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  });
  element("worst-cells").replaceChildren(...rows);
}

function cellLink(cell) {
  return Object.assign(document.createElement("a"), { href: fragmentOf(cell, state.policy), textContent: cell });
}

function showMatches() {
  const wanted = element("cell-search").value.trim().toLowerCase();
  const found = wanted ? data.cells.filter((cell) => cell.toLowerCase().includes(wanted)) : [];
  const items = found.slice(0, MATCHES_SHOWN).map((cell) => {
    const item = document.createElement("li");
    item.append(cellLink(cell));
    return item;
  });
  const rest = wanted && (found.length ? found.length - items.length : "no");
  if (rest) items.push(Object.assign(document.createElement("li"), { textContent: found.length ? `and ${rest} more` : "no cell matches" }));
  element("cell-matches").replaceChildren(...items);
  return found;
}

function openFirstMatch(event) {
  if (event.key !== "Enter") return;
  const found = showMatches();
  const exact = found.find((cell) => cell === element("cell-search").value.trim());
  if (found.length) location.hash = fragmentOf(exact ?? found[0], state.policy);
}

function fillSelect(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value, false, value === chosen)));
}

// The days of a time axis, each beginning at local midnight, as choices of what it shows.
function dayOptions({ first_local_ms: first, tick_s: tick, n_ticks: count }, all) {
  const options = [["all", all]];
  for (let day = first - (first % DAY_MS); day < first + count * tick * 1000; day += DAY_MS) {
    options.push([String(day), new Date(day).toLocaleDateString("en-GB", { timeZone: "UTC", weekday: "short", day: "numeric", month: "short", year: "numeric" })]);
  }
  return options;
}

function curveChoice() {
  return {
    measure: element("curve-measure").value,
    target: element("curve-target").value,
    sigma: element("curve-sigma").value,
  };
}

function fillCurveSelects() {
  const distinct = (key) => [...new Set(data.curve.map((point) => point[key]))].sort((a, b) => a - b);
  const options = (key, unit) => [["all", "all"], ...distinct(key).map((value) => [String(value), `${value}${unit}`])];
  const own = (key, value) => (distinct(key).includes(value) ? String(value) : "all");
  fillSelect(element("curve-target"), options("target_mbit_s", " Mbit/s"), own("target_mbit_s", data.limits.target_mbit_s));
  fillSelect(element("curve-sigma"), options("sigma", ""), own("sigma", data.sigma));
  for (const id of ["curve-measure", "curve-target", "curve-sigma"]) {
    element(id).addEventListener("change", () => drawCurve(data, curveChoice()));
  }
}

function drawAll() {
  drawCurve(data, curveChoice());
  drawLevels(data);
  draw();
  if (data.site && siteState.policy !== null) drawSitePower(data.site);
}

function timeNote() {
  const { stride, tick_s: tick, clock_change: change, utc_offset: offset } = data.time;
  const notes = [];
  if (stride > 1) notes.push(`Each point is the mean of ${stride} ticks of ${tick / 60} min.`);
  if (change) notes.push(`Clocks change on ${change}; the axis stays at ${offset}.`);
  return notes.join(" ");
}

function listen() {
  const names = Object.keys(data.policies).map((name) => [name, name]);
  for (const select of document.querySelectorAll("select.policy")) {
    fillSelect(select, names, state.policy);
    select.addEventListener("change", () => {
      state.policy = select.value;
      history.replaceState(null, "", state.cell >= 0 ? fragmentOf(data.cells[state.cell], state.policy) : "#");
      draw();
    });
  }
  const days = dayOptions(data.time, "whole trace");
  for (const select of document.querySelectorAll("select.day")) {
    fillSelect(select, days, state.day);
    select.addEventListener("change", () => {
      state.day = select.value;
      draw();
    });
  }
  element("cell-search").addEventListener("input", showMatches);
  element("cell-search").addEventListener("keydown", openFirstMatch);
  window.addEventListener("hashchange", () => follow(location.hash));
  for (const media of [NARROW, window.matchMedia("(prefers-color-scheme: dark)"), window.matchMedia("print")]) {
    media.addEventListener("change", drawAll);
  }
}

async function start() {
  const [buffer, plotly] = await Promise.all([inflated(element("arrays").textContent), inflated(element("plotly").textContent)]);
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(plotly);
  document.head.append(script);
  arrays = unpacked(buffer, data.arrays);
  const worst = state.policy === null ? [] : data.policies[state.policy].worst.map((cell) => data.cells.indexOf(cell.cell));
  state.cell = worst.find((cell) => cell >= 0) ?? (data.cells.length ? 0 : -1);
  fillCurveSelects();
  listen();
  element("time-note").textContent = timeNote();
  drawAll();
  follow(location.hash);
  if (data.site) startSite(data.site);
}

start().catch((problem) => {
  element("trouble").textContent = `The plots could not be drawn: ${problem.message}`;
  element("trouble").hidden = false;
  throw problem;
});
