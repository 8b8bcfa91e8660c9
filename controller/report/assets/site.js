"use strict";

// One site over time: what it draws, what its battery does and why it may.

const SITE_RANK = { idle: 0, rule: 9, threshold: 3, plan_24h: 4, plan: 5, oracle: 6 };
const siteState = { site: 0, policy: null, day: "all" };

function siteStyle(name, names) {
  const others = names.filter((other) => !(other in SITE_RANK));
  const rank = SITE_RANK[name] ?? 7 + (others.indexOf(name) % 2);
  return { color: css(`--policy-${rank}`), symbol: SYMBOLS[rank] };
}

// Courses of the chosen site by their names, in units of the plot; null where a series was not kept.
function courseOf(name, scale = 1) {
  const array = arrays[`site/${name}`];
  return array ? rowOf(array, siteState.site).map((value) => (value === null ? null : value / scale)) : null;
}

function drawSite(site) {
  const { policy, day } = siteState;
  const x = ticksOf(site.time, site.time.n_ticks, 1);
  const rows = siteRows(site, policy).filter((row) => row.courses.length);
  const traces = rows.flatMap((row, rank) => row.courses.map((course) => ({ x, xaxis: "x", yaxis: rank ? `y${rank + 1}` : "y", ...course })));
  const layout = panels(site, day, x, rows);
  layout.uirevision = `${siteState.site} ${day}`;
  layout.shapes = outages(courseOf("mains"), x, site.time.tick_s * 1000);
  if (layout.shapes.length) layout.annotations.push(outageWord(layout.shapes, layout.xaxis.range));
  show("plot-site", traces, layout);
}

function siteRows(site, policy) {
  const course = (name, y, line, rest = {}) => y && { type: "scatter", mode: "lines", y, name, line: { shape: "hv", width: 1.5, ...line }, ...rest };
  const area = (color) => ({ fill: "tozeroy", fillcolor: faint(color) });
  const own = siteStyle(policy, site.policies).color;
  const charge = courseOf(`charge_w/${policy}`, -1000);
  const stored = courseOf(`stored_wh/${policy}`, 1000);
  const [sun, out, into, alarm] = ["--policy-2", "--policy-7", "--policy-1", "--alarm"].map(css);
  const rows = [
    { title: "Power at the meter [kW]", height: 170, axis: { rangemode: "tozero" }, courses: [
      course("panels could give", courseOf("pv_w", 1000), { color: sun, width: 1 }, area(sun)),
      course("load", courseOf("load_w", 1000), { color: css("--text"), dash: "dot" }),
      course(`import, ${plain(policy)}`, courseOf(`import_w/${policy}`, 1000), { color: own, width: 2 }),
    ] },
    { title: "Battery [kW]: discharge up, charge down", height: 120, axis: {}, courses: [
      course("discharge", courseOf(`discharge_w/${policy}`, 1000), { color: out }, area(out)),
      course("charge", charge, { color: into }, area(into)),
    ] },
    { title: `Price of import [${plain(site.currency)}/kWh]`, height: 80, axis: {}, courses: [course("price", courseOf("import_price"), { color: css("--policy-8") })] },
    { title: "Stored energy and reserve floor [kWh]", height: 130, axis: { rangemode: "tozero" }, courses: [
      course("reserve floor", courseOf("floor_wh", 1000), { color: alarm, dash: "dash", shape: "linear" }, area(alarm)),
      course("stored", stored, { color: own, width: 2, shape: "linear" }),
    ] },
    { title: "Temperature [°C]", height: 100, axis: {}, courses: [
      course("battery", courseOf("battery_c"), { color: css("--policy-4"), shape: "linear" }),
      course("outdoor", courseOf("outdoor_c"), { color: css("--muted"), dash: "dot", shape: "linear" }),
    ] },
  ];
  return rows.map((row) => ({ ...row, courses: row.courses.filter(Boolean).map((one) => ({ hovertemplate: "%{y:.3~f}", ...one })) }));
}

// A colour of page.css, seen through.
function faint(color) {
  return `${color}33`;
}

// A band over all panels for each run of steps without mains.
function outages(mains, x, step_ms) {
  const bands = [];
  for (const [step, present] of (mains ?? []).entries()) {
    if (present === null || present > 0.5) continue;
    const last = bands[bands.length - 1];
    if (last && last.x1 === x[step]) last.x1 += step_ms;
    else bands.push({ type: "rect", x0: x[step], x1: x[step] + step_ms, yref: "paper", y0: 0, y1: 1, layer: "below", line: { width: 0 }, fillcolor: faint(css("--muted")) });
  }
  return bands;
}

function outageWord(bands, [from, to]) {
  const seen = bands.find((band) => band.x1 > from && band.x0 < to);
  const place = seen ? { x: Math.max(seen.x0, from), text: "no mains" } : { x: from, text: "" };
  return { ...place, xanchor: "left", y: 1, yref: "paper", yanchor: "top", showarrow: false, font: { size: 11, color: css("--muted") } };
}

function siteNote(site) {
  const { clock_change: change, utc_offset: offset } = site.time;
  return [site.note, change && `Clocks change on ${change}; the axis stays at ${offset}.`].filter(Boolean).join(" ");
}

function siteFragment(name, policy) {
  return `#site=${encodeURIComponent(name)}&site-policy=${encodeURIComponent(policy)}`;
}

function followSite(site) {
  const choice = choiceIn(location.hash, ["site", "site-policy"]);
  if (site.policies.includes(choice["site-policy"])) siteState.policy = choice["site-policy"];
  const found = site.sites.indexOf(choice.site);
  if (found >= 0) siteState.site = found;
  if (Object.keys(choice).length) drawSitePower(site);
  if (choice.site === undefined) return;
  if (found < 0) element("site-note").textContent = `No site ${choice.site} can be opened here. ${site.note}`;
  element("site-choice").scrollIntoView({ block: "center" });
}

function drawSitePower(site) {
  element("site-choice").value = String(siteState.site);
  element("site-day").value = siteState.day;
  for (const select of document.querySelectorAll("select.site-policy")) select.value = siteState.policy;
  element("site-note").textContent = siteNote(site);
  if (site.sites.length && siteState.policy !== null) drawSite(site);
  drawFleet(site);
}

function startSite(site) {
  siteState.policy = site.headline;
  const days = dayOptions(site.time, "all days kept");
  const first = site.first_day_ms === null ? null : site.first_day_ms - (site.first_day_ms % DAY_MS);
  siteState.day = days.some(([value]) => value === String(first)) ? String(first) : "all";
  fillSelect(element("site-choice"), site.sites.map((name, rank) => [String(rank), name]), "0");
  fillSelect(element("site-day"), days, siteState.day);
  const chosen = (select, key, cast = String) => select.addEventListener("change", () => {
    siteState[key] = cast(select.value);
    drawSitePower(site);
  });
  chosen(element("site-choice"), "site", Number);
  chosen(element("site-day"), "day");
  for (const select of document.querySelectorAll("select.site-policy")) {
    fillSelect(select, site.policies.map((name) => [name, name]), siteState.policy);
    chosen(select, "policy");
  }
  startFleet(site);
  drawSitePower(site);
  followSite(site);
  window.addEventListener("hashchange", () => followSite(site));
}
