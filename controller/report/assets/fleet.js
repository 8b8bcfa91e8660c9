"use strict";

// All sites: one row each, as a plot of one figure under every policy and as a table of one policy's figures.

const ROWS_PLOTTED = 40;
const ROWS_LISTED = 50;
const fleetState = { figure: null, sort: "saved_share", descending: false };

// The sites that the search leaves, in the order of the table.
function fleetOrder(fleet) {
  const wanted = element("fleet-search").value.trim().toLowerCase();
  const found = fleet.sites.map((_, row) => row).filter((row) => fleet.sites[row].toLowerCase().includes(wanted));
  const keys = sortKeys(fleet);
  const sign = fleetState.descending ? -1 : 1;
  const compare = (a, b) => (typeof keys[a] === "string" ? keys[a].localeCompare(keys[b], "en", { numeric: true }) : keys[a] - keys[b]);
  const last = (row) => keys[row] === null || keys[row] === undefined; // what is undefined stands last both ways
  return found.sort((a, b) => last(a) - last(b) || (last(a) ? 0 : sign * compare(a, b)) || a - b);
}

function sortKeys(fleet) {
  if (fleetState.sort === "site") return fleet.sites;
  if (fleetState.sort === "class") return fleet.classes;
  if (fleetState.sort === "alarms") return fleet.alarms.map((alarms) => alarms.length);
  return fleet.figures[siteState.policy]?.[fleetState.sort] ?? [];
}

function drawFleet({ fleet, sites, currency }) {
  const order = fleetOrder(fleet);
  drawFleetHead(fleet);
  element("fleet-rows").replaceChildren(...order.slice(0, ROWS_LISTED).map((row) => fleetRow(fleet, sites, row)));
  element("fleet-note").textContent = fleetNote(fleet, order);
  if (fleetState.figure !== null) drawFleetPlot(fleet, order.slice(0, ROWS_PLOTTED), currency);
}

function fleetNote(fleet, order) {
  const { sort, descending } = fleetState;
  const { label } = fleetHeadings(fleet).find(({ name }) => name === sort);
  const whose = sort in (fleet.figures[siteState.policy] ?? {}) ? ` under ${siteState.policy}, ${descending ? "highest" : "lowest"} first` : "";
  const sorted = order.length > 1 ? ` Sorted by ${label[0].toLowerCase()}${label.slice(1)}${whose}.` : "";
  const cut = order.length > ROWS_PLOTTED ? ` The plot shows the first ${ROWS_PLOTTED}, the table the first ${Math.min(ROWS_LISTED, order.length)}.` : "";
  const found = order.length === fleet.sites.length ? `${order.length}` : `${order.length} of ${fleet.sites.length}`;
  return `${found} ${fleet.sites.length === 1 ? "site" : "sites"}.${sorted}${cut}`;
}

function fleetHeadings(fleet) {
  const word = (name, label) => ({ name, label });
  const classes = fleet.classes.length ? [word("class", "Class")] : [];
  const alarms = fleet.alarms.some((own) => own.length) ? [word("alarms", "Alarms")] : [];
  return [word("site", "Site"), ...classes, ...fleet.columns, ...alarms];
}

function drawFleetHead(fleet) {
  const cells = fleetHeadings(fleet).map(({ name, label }) => {
    const cell = Object.assign(document.createElement("th"), { scope: "col" });
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
    button.dataset.sort = name;
    cell.append(button);
    if (name === fleetState.sort) cell.setAttribute("aria-sort", fleetState.descending ? "descending" : "ascending");
    return cell;
  });
  element("fleet-head").replaceChildren(...cells);
}

function fleetRow(fleet, opened, row) {
  const cell = (text) => Object.assign(document.createElement("td"), { textContent: text });
  const name = fleet.sites[row];
  const head = Object.assign(document.createElement("th"), { scope: "row" });
  const link = { href: siteFragment(name, siteState.policy), textContent: name };
  head.append(opened.includes(name) ? Object.assign(document.createElement("a"), link) : name);
  const figures = fleet.columns.map((column) => cell(fleetText(column, fleet.figures[siteState.policy]?.[column.name]?.[row])));
  const line = document.createElement("tr");
  line.append(head, ...(fleet.classes.length ? [cell(fleet.classes[row])] : []), ...figures);
  if (fleet.alarms.some((own) => own.length)) line.append(alarmCell(fleet.alarms[row]));
  return line;
}

function alarmCell(alarms) {
  const cell = document.createElement("td");
  cell.append(...alarms.map((alarm) => Object.assign(document.createElement("small"), { textContent: alarm })));
  return cell;
}

// As percent, count and number in words.py.
function fleetText(column, value) {
  if (value === null || value === undefined) return "–";
  if (column.form === "percent") return `${(100 * value).toFixed(1).replace(/^-0\.0$/, "0.0")}\u00a0%`;
  if (value === 0) return "0";
  const decimals = column.form === "count" ? 0 : Math.min(Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))), 8);
  return value.toLocaleString("en-GB", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

function drawFleetPlot(fleet, rows, currency) {
  const column = fleet.columns.find(({ name }) => name === fleetState.figure);
  const names = rows.map((row) => plain(fleet.sites[row]));
  const traces = fleet.policies
    .map((policy) => ({ policy, x: rows.map((row) => fleet.figures[policy][column.name][row]) }))
    .filter(({ x }) => x.some((value) => value !== null))
    .map(({ policy, x }) => fleetMarks(fleet, column, policy, x, rows));
  const money = column.name === "cost" ? ` [${plain(currency)}]` : "";
  const layout = layoutOf(130 + 24 * Math.max(rows.length, 2), {
    hovermode: "closest",
    xaxis: { title: { text: column.label + money }, tickformat: column.form === "percent" ? ".0%" : "" },
    yaxis: { tickvals: rows.map((_, rank) => rank), ticktext: names.map(shortened), range: [rows.length - 0.5, -0.5], zeroline: false },
    legend: { ...LEGEND, y: 1 + 10 / (24 * Math.max(rows.length, 2)) },
  });
  show("plot-fleet", traces, layout);
}

function fleetMarks(fleet, column, policy, x, rows) {
  const { color, symbol } = siteStyle(policy, fleet.policies);
  const chosen = policy === siteState.policy;
  return {
    type: "scatter",
    mode: "markers",
    x,
    y: rows.map((_, rank) => rank),
    text: rows.map((row, rank) => `<b>${plain(fleet.sites[row])}</b><br>${plain(policy)}: ${fleetText(column, x[rank])}`),
    hovertemplate: "%{text}<extra></extra>",
    name: plain(policy),
    marker: { color, symbol: chosen ? symbol : `${symbol}-open`, size: chosen ? 11 : 8, line: { color, width: 1.5 } },
  };
}

function shortened(name) {
  const room = NARROW.matches ? 12 : 28; // characters
  return name.length > room ? `${name.slice(0, room - 1)}…` : name;
}

function startFleet(site) {
  const { fleet } = site;
  const labels = Object.fromEntries(fleet.columns.map(({ name, label }) => [name, label]));
  fleetState.figure = fleet.plots[0] ?? null;
  if (!(fleetState.sort in labels)) fleetState.sort = "site";
  fillSelect(element("fleet-figure"), fleet.plots.map((name) => [name, labels[name]]), fleetState.figure);
  element("fleet-figure").addEventListener("change", ({ target }) => {
    fleetState.figure = target.value;
    drawFleet(site);
  });
  element("fleet-search").addEventListener("input", () => drawFleet(site));
  element("fleet-head").addEventListener("click", ({ target }) => {
    const name = target.dataset.sort;
    if (name === undefined) return;
    fleetState.descending = fleetState.sort === name && !fleetState.descending;
    fleetState.sort = name;
    drawFleet(site);
    document.querySelector(`#fleet-head [data-sort="${name}"]`).focus(); // the heading was drawn anew
  });
}
