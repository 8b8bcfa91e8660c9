"use strict";

// Savings against service: the policies of the report and the runs on the curve.

function drawCurve(data, choice) {
  const names = Object.keys(data.policies);
  const shown = data.curve.filter(
    (point) =>
      (choice.target === "all" || point.target_mbit_s === Number(choice.target)) &&
      (choice.sigma === "all" || point.sigma === Number(choice.sigma)),
  );
  const marks = names
    .map((name) => ({ policy: name, label: "this report", ...data.policies[name] }))
    .filter((mark) => mark.policy !== "none" && mark.energy_saved_vs_none !== null && mark[choice.measure] !== null);
  const floor = floorOf([...shown, ...marks].map((point) => point[choice.measure]).concat(data.limits[choice.measure]));
  const traces = curveLines(shown, data, choice, floor).concat(
    marks.map((mark) => policyMark(mark, names, choice.measure, floor)),
  );
  show("plot-curve", traces, curveLayout(data, choice, floor));
}

// A logarithmic axis has no zero: half a decade left of the smallest share stands for it.
function floorOf(shares) {
  const positive = shares.filter((share) => share > 0);
  return 10 ** (Math.floor(Math.log10(Math.min(...positive, 1e-4)) - 0.01) - 0.5);
}

// One line per policy, target and sigma; where several of these are shown, its right end says which it is.
function curveLines(points, data, { measure, target, sigma }, floor) {
  const groups = new Map();
  for (const point of points) {
    if (point.energy_saved_vs_none === null || point[measure] === null) continue;
    const key = JSON.stringify([point.policy, point.target_mbit_s, point.sigma]);
    groups.set(key, [...(groups.get(key) ?? []), point]);
  }
  return [...groups.values()].map((run) => {
    run.sort((a, b) => a.energy_saved_vs_none - b.energy_saved_vs_none);
    const [{ policy, target_mbit_s: ownTarget, sigma: ownSigma }] = run;
    const { color, symbol } = policyStyle(policy, Object.keys(data.policies));
    const end = [target === "all" ? `${ownTarget} Mbit/s` : "", sigma === "all" ? `σ ${ownSigma}` : ""].filter(Boolean).join(", ");
    const about = `target ${ownTarget} Mbit/s, sigma ${ownSigma}`;
    return {
      type: "scatter",
      mode: "lines+markers+text",
      x: run.map((point) => Math.max(point[measure], floor)),
      y: run.map((point) => point.energy_saved_vs_none),
      text: run.map((_, rank) => (rank === run.length - 1 ? end : "")),
      textposition: "middle right",
      textfont: { size: 11, color },
      cliponaxis: false,
      customdata: run.map((point) => hoverText(`${policy}, ${point.label}`, point, measure, about)),
      hovertemplate: "%{customdata}<extra></extra>",
      line: { color, width: 1.5 },
      marker: { symbol: run.map((point) => symbol + (point.limits_held ? "" : "-open")), size: 7, color },
      showlegend: false,
    };
  });
}

function policyMark(mark, names, measure, floor) {
  const { color, symbol } = policyStyle(mark.policy, names);
  return {
    type: "scatter",
    mode: "markers",
    x: [Math.max(mark[measure], floor)],
    y: [mark.energy_saved_vs_none],
    text: [hoverText(mark.policy, mark, measure, mark.label)],
    hovertemplate: "%{text}<extra></extra>",
    marker: { symbol: symbol + (mark.limits_held === false ? "-open" : ""), size: 14, color, line: { width: 2, color } },
    name: plain(mark.policy),
  };
}

function hoverText(title, point, measure, run) {
  const gain = point.ee_gain_vs_none === null ? "" : `<br>efficiency gain ${percentText(point.ee_gain_vs_none)}`;
  const service = `${measure === "unserved_share" ? "unserved" : "below target"} ${percentText(point[measure])}`;
  const verdict = point.limits_held === false ? "<br>limits missed" : "";
  return `<b>${plain(title)}</b><br>${plain(run)}<br>energy saved ${percentText(point.energy_saved_vs_none)}${gain}<br>${service}${verdict}`;
}

function curveLayout(data, { measure, target, sigma }, floor) {
  const limit = data.limits[measure];
  const decades = [];
  for (let power = Math.ceil(Math.log10(floor) + 0.25); power <= 0; power += 1) decades.push(10 ** power);
  return layoutOf(460, {
    margin: { ...MARGIN, r: target === "all" || sigma === "all" ? 90 : MARGIN.r }, // room for what the ends of lines say
    xaxis: {
      type: "log",
      title: { text: measure === "unserved_share" ? "Unserved share of the traffic" : "Share of the traffic below target" },
      tickvals: [floor, ...decades],
      ticktext: ["0", ...decades.map(percentText)],
      zeroline: false,
    },
    yaxis: { title: { text: "Energy saved against none" }, tickformat: ".0%" },
    shapes: [{ type: "line", x0: limit, x1: limit, y0: 0, y1: 1, yref: "paper", line: { color: css("--alarm"), width: 2, dash: "dash" } }],
    annotations: [{ x: Math.log10(limit), y: 1, yref: "paper", xanchor: "left", yanchor: "top", xshift: 4, showarrow: false, text: "limit", font: { color: css("--alarm") } }],
  });
}

// Three digits that count, no exponent: as small_share in words.py.
function percentText(share) {
  const percent = 100 * share;
  if (percent === 0) return "0 %";
  const text = percent.toFixed(Math.min(Math.max(0, 2 - Math.floor(Math.log10(Math.abs(percent)))), 8));
  return `${text.includes(".") ? text.replace(/\.?0+$/, "") : text} %`;
}
