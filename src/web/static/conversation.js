// Keeps the conversation in this browser tab, and gives it to the server in the bounds of the API.

import { asPlainText } from "./answer.js";

const STORE = "rag.conversation";
const ASKED = "rag.asked";
const MAX_TURNS = 50;
const MAX_CHARS = 8000;
// Of the body's 256 KiB; the question needs some.
const MAX_BYTES = 200 * 1024;
const FORBIDDEN = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

export const clean = (text) => text.replace(/\r\n?/g, "\n").replace(FORBIDDEN, " ");

export function loadExchanges() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORE)) ?? [];
    return stored.filter(({ body }) => Array.isArray(body?.citations) && Array.isArray(body.sources));
  } catch {
    return [];
  }
}

// exchanges: [{ question, body }], body as POST /chat gives it.
export function saveExchanges(exchanges) {
  for (let kept = exchanges.slice(-MAX_TURNS / 2); ; kept = kept.slice(1)) {
    try {
      sessionStorage.setItem(STORE, JSON.stringify(kept));
      return;
    } catch {
      if (!kept.length) return;
    }
  }
}

// The question that has no answer yet; "" for none.
export function keepAsked(question) {
  try {
    sessionStorage.setItem(ASKED, question);
  } catch {} // it is full
}

export const keptAsked = () => sessionStorage.getItem(ASKED) ?? "";

// The newest turns that fit, oldest first.
export function historyOf(exchanges) {
  const turns = [];
  let bytes = 0;
  for (const { question, body } of exchanges.slice(-MAX_TURNS / 2).reverse()) {
    const pair = [turn("user", question), turn("assistant", body.answer)];
    bytes += new TextEncoder().encode(JSON.stringify(pair)).length;
    if (bytes > MAX_BYTES) break;
    turns.unshift(...pair.filter(({ content }) => content.trim()));
  }
  return turns;
}

// Questions as headings, answers with their sources.
export function asMarkdown(exchanges) {
  return exchanges.map(({ question, body }) => `## ${question}\n\n${asPlainText(body)}\n`).join("\n");
}

function turn(role, text) {
  return { role, content: clean(text.slice(0, MAX_CHARS)) };
}
