// Draws what the server is charged, live, from /memory/stats.

import { byId, el } from "./dom.js";
import { getJson, Problem } from "./api.js";
import { text } from "./texts.js";

const POLL_MS = 2000;
const KEPT_S = 600;
const BOX = { left: 48, right: 708, top: 12, bottom: 268 };
const page = byId("memory").dataset;
const samples = [];
const handovers = [];
let workers = null;

function svg(name, attributes, words) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (words) element.textContent = words;
  return element;
}

const fixed = (number, digits = 1) => (Number.isFinite(number) ? number.toFixed(digits) : "–");
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString();
const sizeOf = (process) => process.pss_mb ?? process.rss_mb;

async function poll() {
  try {
    take(await getJson("/memory/stats"));
    byId("status").textContent = "";
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    byId("status").textContent = text("problem_trying_again", { problem: problem.message });
  } finally {
    setTimeout(poll, document.hidden ? POLL_MS * 5 : POLL_MS);
  }
}

function take(stats) {
  const now = Date.now() / 1000;
  const { processes, charged_mb, limit_mb, percent, mode } = stats;
  samples.push({ at: now, mb: charged_mb, processes });
  while (samples[0].at < now - KEPT_S) samples.shift();
  noteHandover(now, processes);
  byId("now").textContent = text("megabytes", { mb: fixed(charged_mb, 0) });
  byId("of").textContent = text("of_limit", { mb: limit_mb, percent: fixed(percent, 0) });
  byId("mode").textContent = text({ NORMAL: "normal", CAUTIOUS: "cautious", DEGRADED: "words_only" }[mode]);
  byId("mode").dataset.mode = mode;
  draw(charged_mb, limit_mb, now);
  showTables(stats);
}

// A worker that was not there before is a successor.
function noteHandover(now, processes) {
  const present = new Set(processes.filter(({ role }) => role === "worker").map(({ pid }) => pid));
  if (workers && [...present].some((pid) => !workers.has(pid))) handovers.push(now);
  if (present.size) workers = present;
}

function draw(charged, limit, now) {
  // Units are pixels, so that words keep their size.
  const pixels = Math.max(byId("plot").clientWidth, 240);
  BOX.right = pixels - 12;
  byId("plot").setAttribute("viewBox", `0 0 ${pixels} 300`);
  const start = Math.min(samples[0].at, now - 60);
  const x = (at) => BOX.left + ((at - start) / (now - start)) * (BOX.right - BOX.left);
  const y = (mb) => BOX.bottom - (Math.min(mb, limit) / limit) * (BOX.bottom - BOX.top);
  const share = (percent) => y((limit * percent) / 100);
  const width = BOX.right - BOX.left;
  byId("bands").replaceChildren(
    svg("rect", { class: "cautious", x: BOX.left, width, y: share(page.degraded), height: share(page.cautious) - share(page.degraded) }),
    svg("rect", { class: "degraded", x: BOX.left, width, y: BOX.top, height: share(page.degraded) - BOX.top }),
    svg("text", { x: BOX.left + 8, y: share(page.cautious) - 8 }, text("cautious")),
    svg("text", { x: BOX.left + 8, y: share(page.degraded) - 8 }, text("words_only")),
  );
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => part * limit);
  byId("axis").replaceChildren(
    ...ticks.map((mb) => svg("line", { x1: BOX.left, x2: BOX.right, y1: y(mb), y2: y(mb) })),
    ...ticks.map((mb) => svg("text", { x: BOX.left - 8, y: y(mb) + 4, "text-anchor": "end" }, fixed(mb, 0))),
    svg("text", { x: BOX.left, y: 290 }, text("minutes_ago", { minutes: fixed((now - start) / 60) })),
    svg("text", { x: BOX.right, y: 290, "text-anchor": "end" }, text("now")),
  );
  byId("marks").replaceChildren(
    ...handovers.filter((at) => at > start).map((at) => svg("line", { class: "handover", x1: x(at), x2: x(at), y1: BOX.top, y2: BOX.bottom })),
  );
  const path = (points) => points.map(([at, mb], place) => `${place ? "L" : "M"}${fixed(x(at))} ${fixed(y(mb))}`).join("");
  const lines = new Map();
  for (const { at, processes } of samples) {
    for (const process of processes) lines.set(process.pid, [...(lines.get(process.pid) ?? []), [at, sizeOf(process)]]);
  }
  byId("lines").replaceChildren(
    ...[...lines.values()].map((points) => svg("path", { class: "process", d: path(points) })),
    ...samples.at(-1).processes.map((process) =>
      svg("text", { x: BOX.right, y: y(sizeOf(process)) + 14, "text-anchor": "end" }, `${process.role} ${process.pid}`),
    ),
    svg("path", { class: "charged", d: path(samples.map(({ at, mb }) => [at, mb])) }),
    svg("circle", { cx: BOX.right, cy: y(charged), r: 3.5 }),
  );
  const highest = fixed(Math.max(...samples.map(({ mb }) => mb)), 0);
  byId("plot-text").textContent = text("plot_text", { mb: fixed(charged, 0), limit, highest });
}

function row(...cells) {
  return el("tr", {}, ...cells.map((cell) => el("td", {}, `${cell}`)));
}

function fill(id, children) {
  const target = byId(id);
  target.closest("section").hidden = !children.length;
  target.replaceChildren(...children);
}

function showTables({ processes, steps, caches, counts, mode_history }) {
  fill("processes", processes.map((process) => row(process.role, process.pid, fixed(sizeOf(process)), process.threads)));
  fill("loaded", steps.map((step) => row(step.step.replaceAll("_", " "), fixed(step.after_mb - step.before_mb - step.given_back_mb), fixed(step.seconds, 2))));
  fill("caches", Object.entries(caches).map(([name, cache]) => row(name, cache.hits, cache.misses, cache.entries)));
  fill("counts", Object.entries(counts).flatMap(([name, number]) => [el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, `${number}`)]));
  const changes = mode_history.slice(-20).reverse();
  fill("history", changes.map(({ at, before, after, percent }) => el("li", {}, text("mode_change", { time: clock(at), before, after, percent: fixed(percent, 0) }))));
}

poll();
