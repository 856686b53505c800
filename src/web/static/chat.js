// Sends questions, shows what comes back, waits out what can be waited out.

import { askStreaming, getJson, Problem } from "./api.js";
import { asMarkdown, clean, historyOf, keepAsked, keptAsked, loadExchanges, saveExchanges } from "./conversation.js";
import { byId, el, saveFile } from "./dom.js";
import { ExchangeView } from "./exchange_view.js";
import { askForKey, onKey, showKeyForm } from "./key_form.js";
import { hide as hidePeek } from "./peek.js";
import { closeSource } from "./source_panel.js";
import { Readiness } from "./readiness.js";
import { text } from "./texts.js";

const MAX_WAITS = 10;
const input = byId("message");
const handlers = { ask: (question) => running || send(question), again: askAgain };

let exchanges = loadExchanges();
let running = null;
const readiness = new Readiness((words, phase) => {
  byId("status").dataset.phase = phase;
  byId("status").textContent = words;
  if (running && phase === "loading") running.view.say(text("sent_when_ready", { state: words }));
});

async function send(question) {
  const view = new ExchangeView(question, handlers);
  const stopper = new AbortController();
  const { signal } = stopper;
  running = { view, stopper };
  keepAsked(question);
  showRunning(true);
  view.root.scrollIntoView({ block: "start" });
  const place = scrollY;
  try {
    const body = await persist(view, signal);
    view.finish(body);
    exchanges.push({ question, body });
    saveExchanges(exchanges);
    keepAsked("");
    if (scrollY === place) view.root.scrollIntoView({ block: "start" });
  } catch (problem) {
    if (problem.name === "AbortError") view.tell(text("stopped"), text("stopped_note"), view.againButton(text("ask_again")));
    else view.tell(text(problem.kind === "lost" ? "connection_lost" : "not_answered"), problem.message, view.againButton(text("try_again")));
    if (problem.code === "invalid_request") input.value ||= question;
    if (!(problem instanceof Problem) && problem.name !== "AbortError") throw problem;
  } finally {
    running = null;
    showRunning(false);
  }
}

// Asks until there is an answer or something that waiting does not cure.
async function persist(view, signal) {
  for (let waits = 0; ; ) {
    try {
      await readiness.settled(signal);
      return await readAnswer(view, signal);
    } catch (problem) {
      if (problem.kind === "key") await waitForKey(view, signal);
      else if (problem.kind === "busy" && waits++ < MAX_WAITS) await waitOut(view, problem, signal);
      else throw problem;
      view.clear();
    }
  }
}

async function readAnswer(view, signal) {
  let answer = "";
  view.say(text("looking_up"));
  for await (const [name, data] of askStreaming(view.question, historyOf(exchanges), signal)) {
    if (name === "sources") view.say(text("reading_passages"));
    if (name === "token") view.stream((answer += data.text));
    if (name === "done") return data;
  }
}

// Counts down on the page; a screen reader says it once.
async function waitOut(view, problem, signal) {
  if (problem.code === "warming_up") readiness.watch();
  const end = Date.now() + problem.waitS * 1000;
  const left = el("span", { "aria-hidden": "true", class: "countdown" });
  byId("status").textContent = text("busy", { seconds: problem.waitS });
  await new Promise((resolve, reject) => {
    const stop = (then) => () => (clearInterval(timer), then());
    const now = el("button", { type: "button", class: "quiet", onclick: () => stop(resolve)() }, text("ask_now"));
    const tick = () => {
      const seconds = Math.ceil((end - Date.now()) / 1000);
      left.textContent = ` ${text("asking_again_in", { seconds: Math.max(seconds, 0) })}`;
      if (seconds <= 0) stop(resolve)();
    };
    const timer = setInterval(tick, 250);
    view.tell(text("one_moment"), [problem.message, left], now);
    tick();
    signal.addEventListener("abort", stop(() => reject(signal.reason)), { once: true });
  });
}

async function waitForKey(view, signal) {
  view.tell(text("key_is_needed"), text("key_is_needed_note"));
  await askForKey(signal);
  input.focus();
}

function askAgain(view) {
  if (running) return;
  exchanges = exchanges.filter((exchange) => exchange.body !== view.body);
  view.root.remove();
  send(view.question);
  input.focus();
}

function showRunning(isRunning) {
  // A screen reader reads it once.
  byId("conversation").setAttribute("aria-busy", isRunning);
  byId("welcome").hidden = byId("conversation").childElementCount > 0;
  for (const id of ["new", "save"]) byId(id).hidden = isRunning || byId("conversation").childElementCount === 0;
  byId("send").hidden = isRunning;
  byId("stop").hidden = !isRunning;
}

async function suggest() {
  try {
    const { suggestions } = await getJson("/suggestions");
    const buttons = suggestions.map((question) => el("button", { type: "button", onclick: () => handlers.ask(question) }, question));
    byId("suggestions").replaceChildren(...buttons.map((button) => el("li", {}, button)));
  } catch (problem) {
    // A key that is needed is asked for before the question.
    if (problem.kind === "key") showKeyForm();
  }
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = clean(input.value).trim();
  if (running || !question) return;
  input.value = "";
  send(question);
});
byId("stop").addEventListener("click", () => {
  running?.stopper.abort();
  input.focus();
});
byId("new").addEventListener("click", () => {
  exchanges = [];
  saveExchanges(exchanges);
  keepAsked("");
  byId("conversation").replaceChildren();
  showRunning(false);
  input.focus();
});
byId("save").addEventListener("click", () => saveFile(text("conversation_file"), new Blob([asMarkdown(exchanges)])));
input.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    byId("ask").requestSubmit();
  } else if (event.key === "ArrowUp" && !input.value && (keptAsked() || exchanges.length)) {
    event.preventDefault();
    input.value = keptAsked() || exchanges.at(-1).question;
  }
});
// One layer at a time.
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, textarea");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    input.focus();
  } else if (event.key === "Escape") {
    if (!hidePeek() && !closeSource()) running?.stopper.abort();
  }
});

for (const { question, body } of exchanges) new ExchangeView(question, handlers).finish(body);
showRunning(false);
input.value ||= keptAsked();
// `autofocus` would scroll to the top.
input.focus({ preventScroll: true });
readiness.watch();
onKey(suggest);
suggest();
