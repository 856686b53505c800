// One question and what became of it.

import { asPlainText, followUps, showAnswer, showRemarks, showText, sourcesList } from "./answer.js";
import { postJson } from "./api.js";
import { byId, copyText, el } from "./dom.js";
import { openSource } from "./source_panel.js";
import { text } from "./texts.js";

const takesFeedback = byId("conversation").dataset.feedback === "on";

export class ExchangeView {
  // ask(question) sends another question; again(view) sends this one again.
  constructor(question, { ask, again }) {
    this.question = question;
    this.ask = ask;
    this.again = again;
    this.state = el("p", { class: "state" });
    this.notice = el("div");
    this.text = el("div", { class: "text" });
    this.remarks = el("div", { class: "remarks" });
    this.more = el("div", { class: "more" });
    const parts = [this.state, this.notice, this.text, this.remarks, this.more];
    this.root = el("article", { class: "exchange" }, el("h2", { class: "question", dir: "auto" }, question), ...parts);
    byId("conversation").append(this.root);
  }

  say(words) {
    this.state.textContent = words;
  }

  stream(answer) {
    // At most one redraw a frame, however fast the tokens come.
    this.answer = answer;
    this.say("");
    this.text.classList.add("streaming");
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      showText(this.text, this.answer);
    });
  }

  finish(body) {
    this.clear();
    this.body = body;
    if (body.notice) this.notice.append(el("p", { class: "note" }, body.notice));
    showAnswer(this.text, body, openSource);
    showRemarks(this.remarks, body);
    const copy = quietButton(text("copy_answer"), async () => {
      await copyText(asPlainText(body));
      copy.textContent = text("copied");
      setTimeout(() => (copy.textContent = text("copy_answer")), 2000);
    });
    const feedback = takesFeedback && body.sources.length ? feedbackButtons(body.request_id) : [];
    const next = followUps(body).map((question) => quietButton(question, () => this.ask(question)));
    this.more.append(sourcesList(body, openSource) ?? "", el("div", { class: "actions" }, copy, this.againButton(text("ask_again")), ...feedback));
    if (next.length) this.more.append(el("div", { class: "actions next", role: "group", "aria-label": text("ask_next") }, ...next));
  }

  tell(mark, words, ...buttons) {
    this.stop();
    this.remarks.replaceChildren(el("p", { class: "remark trouble" }, el("span", { class: "badge" }, mark), " ", ...[words].flat()));
    this.more.replaceChildren(el("div", { class: "actions" }, ...buttons));
  }

  againButton(label) {
    return el("button", { type: "button", class: "quiet again", onclick: () => this.again(this) }, label);
  }

  // What was written so far stays.
  stop() {
    this.say("");
    this.text.classList.remove("streaming");
  }

  clear() {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    this.stop();
    for (const part of [this.notice, this.text, this.remarks, this.more]) part.replaceChildren();
  }
}

function quietButton(label, onclick) {
  return el("button", { type: "button", class: "quiet", onclick }, label);
}

function feedbackButtons(requestId) {
  const send = async (helpful, pressed) => {
    for (const button of buttons) button.setAttribute("aria-pressed", button === pressed);
    try {
      await postJson("/feedback", { request_id: requestId, helpful });
    } catch (problem) {
      pressed.setAttribute("aria-pressed", "false");
      pressed.title = problem.message;
    }
  };
  const buttons = [[text("helpful"), true], [text("not_helpful"), false]].map(([label, helpful]) => {
    const button = quietButton(label, () => send(helpful, button));
    button.setAttribute("aria-pressed", "false");
    return button;
  });
  return buttons;
}
