// Asks for the overview every second and shows it; rates are differences between two overviews.
"use strict";

const PERIOD = 1000;
const HISTORY = 120;
const history = [];
let before = null;
let paused = false;

const byId = (id) => document.getElementById(id);

function set(id, text) {
  const element = byId(id);
  if (element.textContent !== String(text)) element.textContent = text;
}

function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit += 1; }
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

const count = (n) => n.toLocaleString("en");

/** Rows of a table by key: kept where they are the same, so that a selection in them survives. */
function fill(id, rows, empty) {
  const body = byId(id).tBodies[0];
  const columns = byId(id).tHead.rows[0].cells;
  const old = new Map(Array.from(body.rows, (row) => [row.dataset.key, row]));
  const wanted = rows.length ? rows : [{ key: "", cells: [{ text: empty, class: "none", span: columns.length }] }];
  wanted.forEach((item, place) => {
    let row = old.get(item.key);
    old.delete(item.key);
    if (!row) {
      row = document.createElement("tr");
      row.dataset.key = item.key;
      item.cells.forEach((_, n) => {
        const cell = document.createElement(n === 0 && rows.length ? "th" : "td");
        if (n === 0 && rows.length) cell.scope = "row";
        row.append(cell);
      });
    }
    item.cells.forEach((cell, n) => {
      const { text, class: name = "", span = 1 } = typeof cell === "object" ? cell : { text: cell };
      const element = row.cells[n];
      const classes = [columns[n].className, name].filter(Boolean).join(" ");
      if (element.textContent !== String(text)) element.textContent = text;
      if (element.className !== classes) element.className = classes;
      if (element.colSpan !== span) element.colSpan = span;
    });
    if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] || null);
  });
  old.forEach((row) => row.remove());
}

function more(id, shown, total) {
  set(`${id}-more`, total > shown ? `and ${count(total - shown)} more` : "");
}

function spark(rate) {
  history.push(rate);
  if (history.length > HISTORY) history.shift();
  const top = Math.max(1, ...history);
  const start = HISTORY - history.length;
  const points = history.map((r, n) => `${start + n},${(29 - (r / top) * 28).toFixed(2)}`);
  byId("spark").firstElementChild.setAttribute("points", points.join(" "));
}

/** Per second since the overview before; counters that were reset count from zero. */
function rates(now, seconds) {
  const per = (a, b) => Math.max(0, a >= b ? a - b : a) / seconds;
  const last = before ? before.data : null;
  const total = (key) => (last ? per(now.totals[key], last.totals[key]) : 0);
  const vips = new Map(now.vips.map((vip) => {
    const old = last && last.vips.find((v) => v.ip === vip.ip);
    const rate = (key) => (old ? per(vip[key], old[key]) : 0);
    return [vip.ip, { requests: rate("requests"), in: rate("bytes_in"), out: rate("bytes_out") }];
  }));
  return { s3: total("s3_requests"), vms: total("vms_requests"), in: total("bytes_in"), out: total("bytes_out"), vips };
}

const rounded = (n) => (n >= 10 || Number.isInteger(n) ? count(Math.round(n)) : n.toFixed(1));

function show(data, rate) {
  set("name", data.name);
  set("version", data.version);
  set("now", data.now);
  byId("now").dateTime = data.now;
  set("s3-rate", rounded(rate.s3));
  set("vms-rate", rounded(rate.vms));
  set("in-rate", `${bytes(rate.in)}/s`);
  set("out-rate", `${bytes(rate.out)}/s`);
  set("s3-requests", count(data.totals.s3_requests));
  set("s3-errors", count(data.totals.s3_errors));
  set("open-uploads", count(data.uploads_total));
  set("active-faults", count(data.faults_total));
  set("used", bytes(data.capacity.used));
  set("total", bytes(data.capacity.total));
  set("free", bytes(data.capacity.free));
  set("objects", count(data.totals.objects));
  const meter = byId("capacity");
  meter.max = data.capacity.total;
  meter.high = data.capacity.total * 0.9;
  meter.value = data.capacity.used;
  meter.textContent = `${bytes(data.capacity.used)} of ${bytes(data.capacity.total)}`;
  fill("views", data.views.map((v) => ({
    key: String(v.id),
    cells: [v.path, v.tenant, v.bucket, bytes(v.bytes), count(v.objects), count(v.uploads), v.quota === null ? "" : bytes(v.quota)],
  })), "no views");
  more("views", data.views.length, data.views_total);
  fill("vips", data.vips.map((v) => {
    const r = rate.vips.get(v.ip);
    return {
      key: v.ip,
      cells: [v.ip, v.cnode, { text: v.state, class: v.state === "serving" ? "good" : "bad" }, rounded(r.requests),
        `${bytes(r.in)}/s`, `${bytes(r.out)}/s`, count(v.requests), count(v.errors), count(v.connections)],
    };
  }), "no VIPs");
  fill("uploads", data.uploads.map((u) => ({
    key: u.id, cells: [u.path, count(u.parts), bytes(u.bytes), u.since],
  })), "none");
  more("uploads", data.uploads.length, data.uploads_total);
  fill("faults", data.faults.map((f) => ({
    key: String(f.id), cells: [f.id, { text: f.effect, class: "bad" }, { text: f.scope, class: "wide" }, count(f.hits)],
  })), "none");
  more("faults", data.faults.length, data.faults_total);
  fill("events", data.events.map((e) => ({
    key: String(e.id),
    cells: [e.time, { text: e.severity, class: e.severity === "INFO" ? "" : "bad" }, { text: e.message, class: "wide" }],
  })), "none yet");
}

function status(text, lost) {
  set("status", text);
  byId("status").classList.toggle("lost", lost);
}

async function look() {
  const answer = await fetch("/sim/v1/overview", { cache: "no-store", signal: AbortSignal.timeout(5 * PERIOD) });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const data = await answer.json();
  const at = performance.now();
  const rate = rates(data, before ? Math.max(0.001, (at - before.at) / 1000) : 1);
  if (before) spark(rate.s3);
  before = { at, data };
  show(data, rate);
  status("live", false);
}

async function run() {
  if (!paused) {
    try {
      await look();
    } catch (error) {
      before = null;
      status(`not connected: ${error.message}`, true);
    }
  }
  setTimeout(run, PERIOD);
}

byId("pause").addEventListener("click", () => {
  paused = !paused;
  before = null;
  byId("pause").setAttribute("aria-pressed", String(paused));
  status(paused ? "paused" : "connecting…", false);
});

run();
