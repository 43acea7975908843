// The load curve: a step for each interval, open where nothing was read, dashed while an interval still runs.
"use strict";

window.wattlineChart = (() => {
  let chart = null;
  let shown = null;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // Vertices of all intervals of the given kinds: [x, y, interval], with a break wherever another kind comes between.
  function steps(curve, kinds) {
    const points = [];
    curve.values.forEach((value, i) => {
      if (value === null || !kinds.includes(curve.kinds[i])) {
        if (points.length && points[points.length - 1][1] !== null) points.push([i, null, i]);
        return;
      }
      points.push([i, value, i], [i + 1, value, i]);
    });
    return points;
  }

  // Runs of intervals without data, as [first, last + 1].
  function gaps(curve) {
    const runs = [];
    curve.kinds.forEach((kind, i) => {
      if (kind !== "gap") return;
      const last = runs[runs.length - 1];
      if (last && last[1] === i) last[1] = i + 1;
      else runs.push([i, i + 1]);
    });
    return runs;
  }

  function number(value) {
    const size = Math.abs(value);
    const places = size < 10 ? 2 : size < 100 ? 1 : 0;
    return value.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
  }

  function option(curve, width) {
    const ink = colour("--muted"), line = colour("--line"), accent = colour("--accent");
    const last = curve.values.length;
    const every = width < 620 ? 16 : 8;
    const one = { type: "line", symbol: "none", connectNulls: false, lineStyle: { width: 2, color: accent }, itemStyle: { color: accent }, silent: true };
    const text = { fontFamily: colour("--font"), fontSize: 14, color: ink };
    return {
      animation: false,
      textStyle: text,
      grid: { left: 8, right: 14, top: 12, bottom: 2, containLabel: true },
      tooltip: { trigger: "axis", showContent: false, axisPointer: { type: "line", snap: false, label: { show: false }, lineStyle: { color: ink, type: "dotted" } } },
      xAxis: {
        type: "value", min: 0, max: last, interval: every, axisLabel: { ...text, formatter: (x) => curve.labels[x] || "", hideOverlap: true },
        axisTick: { show: true, lineStyle: { color: line } }, axisLine: { lineStyle: { color: line } }, splitLine: { show: false },
      },
      yAxis: {
        type: "value", splitNumber: 3, axisTick: { show: false }, axisLabel: { ...text, formatter: (y) => y.toLocaleString("en-US") },
        splitLine: { lineStyle: { color: line } }, axisLine: { show: false },
      },
      series: [
        { ...one, id: "measured", data: steps(curve, ["measured"]), areaStyle: { color: accent, opacity: 0.14 },
          markArea: { silent: true, itemStyle: { color: colour("--gap") },
            label: { show: false }, data: gaps(curve).map(([from, to]) => [{ xAxis: from }, { xAxis: to }]) } },
        { ...one, id: "estimated", data: steps(curve, ["estimated"]), areaStyle: { color: accent, opacity: 0.06 }, lineStyle: { width: 2, color: accent, type: [3, 3] } },
        { ...one, id: "running", data: steps(curve, ["running"]), lineStyle: { width: 2.5, color: accent, type: [5, 3] } },
      ],
    };
  }

  // What stands under the pointer is said beside the title: it covers nothing, and is as large as all other text.
  function say(i) {
    const at = document.getElementById("load-subtitle");
    if (i === null || !shown || !shown.labels[i + 1] || shown.kinds[i] === "ahead") { at.textContent = shown ? shown.subtitle : ""; return; }
    const value = shown.values[i] === null ? "" : ` · ${number(shown.values[i])} ${shown.unit}`;
    at.textContent = `${shown.labels[i]}\u2013${shown.labels[i + 1]}${value} · ${shown.words[shown.kinds[i]]}`;
  }

  function init(host) {
    const made = echarts.init(host, null, { renderer: "svg" });
    made.on("updateAxisPointer", (event) => {
      const axis = (event.axesInfo || []).find((info) => info.axisDim === "x");
      say(axis ? Math.floor(axis.value) : null);
    });
    made.getZr().on("globalout", () => say(null));
    return made;
  }

  function draw() {
    const box = document.getElementById("load");
    if (!box || !shown) return;
    const host = box.firstElementChild; // without an id: HTMX carries the style of what has one over a swap, inline
    if (chart && chart.getDom() !== host) { chart.dispose(); chart = null; }
    const empty = document.getElementById("load-empty");
    empty.textContent = shown.empty;
    empty.hidden = !shown.empty;
    box.hidden = Boolean(shown.empty);
    say(null);
    box.setAttribute("aria-label", shown.summary);
    document.querySelectorAll("#load-legend [data-kind]").forEach((item) => {
      item.hidden = Boolean(shown.empty) || !shown.kinds.includes(item.dataset.kind);
    });
    if (shown.empty) return;
    chart = chart || init(host);
    chart.resize();
    chart.setOption(option(shown, box.clientWidth), { notMerge: true });
  }

  async function load() {
    const panel = document.getElementById("panel");
    const url = panel.dataset.curveUrl;
    const response = await fetch(url).catch(() => null);
    if (!response || !response.ok) return;
    const curve = await response.json();
    if (document.getElementById("panel").dataset.curveUrl !== url) return;
    shown = curve;
    draw();
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("resize", draw);
  addEventListener("beforeprint", draw);
  return { load };
})();
