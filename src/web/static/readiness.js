// Watches /ready while the services load, and lets a question wait for the end of it.

import { getJson } from "./api.js";
import { text } from "./texts.js";

const POLL_MS = 1000;
const LONGEST_POLL_MS = 10000;

export class Readiness {
  // show(words, phase) is called whenever there is something to tell.
  constructor(show) {
    this.show = show;
    this.phase = "unknown";
    this.waiting = [];
    this.running = false;
  }

  async watch() {
    if (this.running) return;
    this.running = true;
    let pause = POLL_MS;
    do {
      try {
        const state = await getJson("/ready");
        this.phase = state.phase;
        this.show(describe(state), state.phase);
        pause = POLL_MS;
      } catch {
        this.phase = "lost";
        this.show(text("no_connection"), "lost");
        pause = Math.min(pause * 2, LONGEST_POLL_MS);
      }
      this.settle();
    } while (!this.isSettled && (await sleep(pause)));
    this.running = false;
  }

  get isSettled() {
    return !["unknown", "loading", "lost"].includes(this.phase);
  }

  // Resolves when a question can be sent, or the chat must tell what is wrong.
  async settled(signal) {
    if (this.isSettled) return;
    this.watch();
    await new Promise((resolve, reject) => {
      this.waiting.push(resolve);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  settle() {
    if (!this.isSettled) return;
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

function describe({ phase, loading, index, error }) {
  if (phase === "failed") return error;
  if (phase === "ready" && index) {
    const documents = counted(index.documents, "documents_one", "documents_many");
    return text("ready", { documents, passages: counted(index.chunks, "passages_one", "passages_many") });
  }
  if (phase === "ready" || phase === "cold") return "";
  return loading ? text("waking_up_loading", { part: loading }) : text("waking_up");
}

function counted(count, one, many) {
  return text(count === 1 ? one : many, { count });
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms, true));
}
