// Keeps the page true: live values by server-sent events, the slower parts by HTMX, and it says so when the centre is away.
"use strict";

(() => {
  const SILENCE_MS = 10000; // the centre speaks every 2 s
  const RETRY_MS = 3000;
  const SLOW_MS = 60000;
  const body = document.body;
  const site = body.dataset.site;
  let stream = null;
  let heardAt = performance.now();
  let ahead = Number(body.dataset.at) - Date.now(); // the centre's clock minus this computer's
  let lastAt = Number(body.dataset.at);

  // --- clock of the site -------------------------------------------------------------------------------------------
  const clock = new Intl.DateTimeFormat("en-GB", { timeZone: body.dataset.zone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const tick = () => { document.querySelector("[data-clock]").textContent = clock.format(Date.now() + ahead); };

  // --- live values -------------------------------------------------------------------------------------------------
  function apply(live) {
    document.querySelectorAll("[data-live]").forEach((at) => {
      const text = live.texts[at.dataset.live];
      if (text !== undefined && at.textContent !== text) at.textContent = text;
    });
    document.querySelectorAll("[data-state-of]").forEach((dot) => {
      const state = live.states[dot.dataset.stateOf];
      if (state === undefined || dot.dataset.state === state) return;
      dot.dataset.state = state;
      dot.firstElementChild.setAttribute("href", `#dot-${state}`);
    });
    const attention = document.getElementById("attention");
    if (attention && attention.dataset.digest !== live.attention) {
      attention.dataset.digest = live.attention;
      htmx.trigger(attention, "refresh");
    }
  }

  function heard(live) {
    heardAt = performance.now();
    lastAt = live.at;
    ahead = live.at - Date.now();
    if (!document.getElementById("lost").hidden) { found(); slow(); }
    apply(live);
  }

  function lose() {
    const banner = document.getElementById("lost");
    if (!banner.hidden) return;
    const text = banner.querySelector("[data-text]");
    text.textContent = text.dataset.text.replace("{at}", clock.format(lastAt));
    banner.hidden = false;
    body.classList.add("stale");
  }

  function found() {
    document.getElementById("lost").hidden = true;
    body.classList.remove("stale");
  }

  function listen() {
    if (stream) stream.close();
    stream = new EventSource(body.dataset.liveUrl);
    stream.addEventListener("live", (event) => heard(JSON.parse(event.data)));
    stream.addEventListener("error", lose);
  }

  function watch() {
    const silent = performance.now() - heardAt > SILENCE_MS;
    if (silent) lose();
    if (stream.readyState === EventSource.CLOSED || silent) { heardAt = performance.now(); listen(); }
  }

  // --- what changes by the minute ----------------------------------------------------------------------------------
  function slow() {
    wattlineChart.load();
    if (!document.querySelector("#energy details[open]")) htmx.trigger("#figures", "refresh");
    htmx.trigger("#attention", "refresh");
  }

  // --- plant tree --------------------------------------------------------------------------------------------------
  const memory = `wattline.folded.${site}`;
  const folded = new Set(JSON.parse(sessionStorage.getItem(memory) || "[]"));

  function fold(button, away) {
    const part = document.getElementById(button.getAttribute("aria-controls"));
    button.setAttribute("aria-expanded", String(!away));
    part.hidden = away;
    if (away) folded.add(part.id); else folded.delete(part.id);
    sessionStorage.setItem(memory, JSON.stringify([...folded]));
  }

  function select() {
    const panel = document.getElementById("panel");
    document.querySelectorAll(".tree [data-node]").forEach((row) => {
      const link = row.querySelector("a");
      if (row.dataset.node === panel.dataset.node) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
    document.querySelectorAll(".languages a").forEach((link) => {
      const url = new URL(link.href);
      url.searchParams.set("node", panel.dataset.node);
      link.href = url;
    });
  }

  document.querySelector(".tree").addEventListener("click", (event) => {
    const button = event.target.closest("button.fold");
    if (button) fold(button, button.getAttribute("aria-expanded") === "true");
  });
  document.querySelectorAll("button.fold").forEach((button) => {
    if (folded.has(button.getAttribute("aria-controls"))) fold(button, true);
  });

  let drawn = document.getElementById("panel");
  document.addEventListener("htmx:after:swap", () => {
    const panel = document.getElementById("panel");
    if (panel === drawn) return;
    drawn = panel;
    select();
    wattlineChart.load();
  });
  document.addEventListener("click", (event) => { // an open sheet closes when the page is clicked elsewhere
    const sheet = document.getElementById("gateways");
    if (sheet.open && !sheet.contains(event.target)) sheet.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.getElementById("gateways").open = false;
  });
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  tick();
  setInterval(tick, 500);
  setInterval(watch, RETRY_MS);
  setInterval(slow, SLOW_MS);
  wattlineChart.load();
  listen();
})();
