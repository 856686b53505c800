// The conversation: sends questions, shows what comes back, waits out what can be waited out.

import { asPlainText, showRemarks, showText, sourcesList } from "./answer.js";
import { askStreaming, getJson, keepKey, Problem } from "./api.js";
import { clean, historyOf, loadExchanges, saveExchanges } from "./conversation.js";
import { byId, copyText, el } from "./dom.js";
import { openSource } from "./source_panel.js";
import { Readiness } from "./readiness.js";

const MAX_WAITS = 10;
const input = byId("message");
const say = (words) => (byId("status").textContent = words);

let exchanges = loadExchanges();
let running = null;
const readiness = new Readiness((words, phase) => {
  byId("status").dataset.phase = phase;
  say(running && phase === "loading" ? `${words} Your question is sent as soon as it is ready.` : words);
});

class ExchangeView {
  constructor(question) {
    this.question = question;
    this.text = el("div", { class: "text" });
    this.remarks = el("div", { class: "remarks" });
    this.more = el("div", { class: "more" });
    this.root = el("article", { class: "exchange" }, el("h2", { class: "question" }, question), this.text, this.remarks, this.more);
    byId("conversation").append(this.root);
  }

  stream(answer) {
    // At most one redraw a frame, however fast the tokens come.
    this.answer = answer;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      showText(this.text, this.answer, null);
    });
  }

  finish(body) {
    this.clear();
    this.body = body;
    showText(this.text, body.answer, body.citations, openSource);
    showRemarks(this.remarks, body);
    const copy = el("button", { type: "button", class: "quiet" }, "Copy");
    copy.addEventListener("click", async () => {
      await copyText(asPlainText(body));
      copy.textContent = "Copied";
      setTimeout(() => (copy.textContent = "Copy"), 2000);
    });
    this.more.replaceChildren(sourcesList(body, openSource) ?? "", el("div", { class: "actions" }, copy, this.againButton("Ask again")));
  }

  tell(mark, words, ...buttons) {
    this.remarks.replaceChildren(el("p", { class: "remark trouble" }, el("span", { class: "badge" }, mark), " ", ...[words].flat()));
    this.more.replaceChildren(el("div", { class: "actions" }, ...buttons));
  }

  againButton(label) {
    return el("button", { type: "button", class: "quiet again", onclick: () => askAgain(this) }, label);
  }

  clear() {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    this.text.replaceChildren();
    this.remarks.replaceChildren();
    this.more.replaceChildren();
  }
}

async function send(question) {
  const view = new ExchangeView(question);
  const { signal } = (running = new AbortController());
  showRunning(true);
  view.root.scrollIntoView({ block: "start" });
  try {
    const body = await persist(view, signal);
    view.finish(body);
    exchanges.push({ question, body });
    saveExchanges(exchanges);
    say("");
    view.root.scrollIntoView({ block: "start" });
  } catch (problem) {
    if (problem.name === "AbortError") view.tell("Stopped", "You stopped this answer.", view.againButton("Ask again"));
    else view.tell(problem.kind === "lost" ? "Connection lost" : "Not answered", problem.message, view.againButton("Try again"));
    say("");
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
      if (problem.kind === "key") await askForKey(signal);
      else if (problem.kind === "busy" && waits++ < MAX_WAITS) await waitOut(view, problem, signal);
      else throw problem;
      view.clear();
    }
  }
}

async function readAnswer(view, signal) {
  let answer = "";
  say("Looking it up …");
  for await (const [name, data] of askStreaming(view.question, historyOf(exchanges), signal)) {
    if (name === "sources") say("Reading the passages …");
    if (name === "token") view.stream((answer += data.text));
    if (name === "done") return data;
  }
}

// Counts down on the page; a screen reader says it once.
async function waitOut(view, problem, signal) {
  if (problem.code === "warming_up") readiness.watch();
  const end = Date.now() + problem.waitS * 1000;
  const left = el("span", { "aria-hidden": "true", class: "countdown" });
  say(`The service is busy. Asking again by itself in ${problem.waitS} seconds.`);
  await new Promise((resolve, reject) => {
    const stop = (then) => () => (clearInterval(timer), then());
    const now = el("button", { type: "button", class: "quiet", onclick: () => stop(resolve)() }, "Ask now");
    const tick = () => {
      const seconds = Math.ceil((end - Date.now()) / 1000);
      left.textContent = ` Asking again in ${Math.max(seconds, 0)} s.`;
      if (seconds <= 0) stop(resolve)();
    };
    const timer = setInterval(tick, 250);
    view.tell("One moment", [problem.message, left], now);
    tick();
    signal.addEventListener("abort", stop(() => reject(signal.reason)), { once: true });
  });
}

function askForKey(signal) {
  const form = byId("key-form");
  form.hidden = false;
  byId("key").focus();
  say("A key is needed.");
  return new Promise((resolve, reject) => {
    const end = (then) => {
      form.hidden = true;
      form.onsubmit = null;
      byId("key").value = "";
      then();
    };
    form.onsubmit = (event) => {
      event.preventDefault();
      keepKey(byId("key").value.trim());
      end(resolve);
      input.focus();
    };
    signal.addEventListener("abort", () => end(() => reject(signal.reason)), { once: true });
  });
}

function askAgain(view) {
  if (running) return;
  exchanges = exchanges.filter((exchange) => exchange.body !== view.body);
  view.root.remove();
  send(view.question);
  input.focus();
}

function showRunning(isRunning) {
  // Held back until the answer is whole, so that a screen reader reads it once.
  byId("conversation").setAttribute("aria-busy", isRunning);
  byId("welcome").hidden = byId("conversation").childElementCount > 0;
  byId("new").hidden = isRunning || byId("conversation").childElementCount === 0;
  byId("send").hidden = isRunning;
  byId("stop").hidden = !isRunning;
}

async function suggest() {
  try {
    const { suggestions } = await getJson("/suggestions");
    const buttons = suggestions.map((question) => el("button", { type: "button", onclick: () => running || send(question) }, question));
    byId("suggestions").replaceChildren(...buttons.map((button) => el("li", {}, button)));
  } catch {
    // Suggestions are a courtesy: without them one types.
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
  running?.abort();
  input.focus();
});
byId("new").addEventListener("click", () => {
  exchanges = [];
  saveExchanges(exchanges);
  byId("conversation").replaceChildren();
  showRunning(false);
  input.focus();
});
input.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    byId("ask").requestSubmit();
  }
});

for (const { question, body } of exchanges) new ExchangeView(question).finish(body);
showRunning(false);
readiness.watch();
suggest();
