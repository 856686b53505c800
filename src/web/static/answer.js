// Shows an answer: its text with markers that open sources, what kind of answer it is, and where it comes from.

import { el } from "./dom.js";
import { highlightsOf, markSentence } from "./highlight.js";
import { drawMarkdown } from "./markdown.js";
import { text } from "./texts.js";

const MOST_OFFERED = 3;
const MOST_FOLLOW_UPS = 2;
const LONGEST_FOLLOW_UP = 80;

// While an answer streams, its markers stay text.
export function showText(target, text) {
  target.replaceChildren(...drawMarkdown(text, (number) => `[${number}]`));
}

export function showAnswer(target, body, open) {
  const known = new Map(body.citations.map((citation) => [citation.marker, citation]));
  const draw = (number) => (known.has(number) ? markerButton(known.get(number), open) : `[${number}]`);
  target.replaceChildren(...drawMarkdown(body.answer, draw));
  if (body.answered_by !== "extractive") return;
  for (const sentence of body.citations.flatMap(highlightsOf)) markSentence(target, sentence);
}

function markerButton(citation, open) {
  const name = text("source", { number: citation.marker, place: placeOf(citation) });
  const button = el("button", { type: "button", class: "marker", "aria-label": name }, `${citation.marker}`);
  button.dataset.peek = `${placeOf(citation)}\n${firstWords(citation.excerpt, 400)}`;
  button.addEventListener("click", () => open(citation, citation.url, button));
  return button;
}

export function placeOf({ title, section, page }) {
  return [title, section, page ? text("page_number", { page }) : ""].filter(Boolean).join(" · ");
}

// What a person should know about how the answer came about: [short mark, explanation].
export function remarks(body) {
  const found = [];
  const { model, mode, notice, sources } = body;
  if (body.answered_by === "none") {
    // A greeting has neither an answer nor sources, and needs no remark.
    if (sources.length) found.push([text("no_answer"), text("no_answer_note")]);
  } else if (body.answered_by === "extractive") {
    found.push([text("quoted"), text("quoted_note")]);
  } else {
    found.push([text("written_by_ai"), text("written_by_ai_note", { model: model ?? text("a_language_model") })]);
  }
  if (mode === "DEGRADED" && sources.length && !notice) {
    found.push([text("word_search_only"), text("word_search_only_note")]);
  } else if (mode === "CAUTIOUS" && sources.length) {
    found.push([text("fewer_passages"), text("fewer_passages_note")]);
  }
  return found;
}

export function showRemarks(target, body) {
  target.replaceChildren(...remarks(body).map(([mark, words]) => el("p", { class: "remark" }, el("span", { class: "badge" }, mark), ` ${words}`)));
}

// What else there is to read: what an LLM was given, or the passages that no quotation took.
export function sourcesList(body, open) {
  if (body.answered_by === "llm") return allSources(body, open);
  const others = uncited(body).slice(0, MOST_OFFERED);
  if (!others.length) return null;
  const items = others.map((source) => {
    const link = el("a", { href: urlOf(source), class: "source" }, placeOf(source));
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      open(source, urlOf(source), link);
    });
    return el("li", { class: "line" }, link, ` ${firstWords(source.text, 160)}`);
  });
  const heading = text(body.citations.length ? "more_passages" : "nearest_passages");
  return el("section", { class: "sources", "aria-label": heading }, el("h3", {}, heading), el("ul", {}, ...items));
}

function uncited({ sources, citations }) {
  const holds = (source) => (citation) =>
    citation.document === source.document && (source.text.includes(citation.excerpt) || citation.excerpt.includes(source.text));
  return sources.filter((source) => !citations.some(holds(source)));
}

// Other sections of the cited document: something to ask next.
export function followUps(body) {
  const document = body.citations[0]?.document;
  const asked = new Set(body.citations.map((citation) => citation.section));
  const near = uncited(body).filter((source) => source.document === document && source.section && !asked.has(source.section));
  const questions = near.map(({ title, section }) => `${title}: ${section.split(" > ").at(-1)}`);
  return [...new Set(questions)].filter((question) => question.length <= LONGEST_FOLLOW_UP).slice(0, MOST_FOLLOW_UPS);
}

function allSources(body, open) {
  if (!body.sources.length) return null;
  const cited = body.citations.map((citation) => sourceItem(citation, citation.url, `${citation.marker}`, citation.excerpt, open));
  const read = body.sources.map((source) => sourceItem(source, urlOf(source), null, source.text, open));
  const summary = text("cited_and_read", { cited: cited.length, read: read.length });
  const details = el("details", { class: "sources" }, el("summary", {}, summary));
  if (cited.length) details.append(el("h3", {}, text("cited")), el("ul", {}, ...cited));
  details.append(el("h3", {}, text("all_read")), el("ul", {}, ...read));
  return details;
}

function sourceItem(source, url, marker, text, open) {
  const button = el("button", { type: "button", class: "source" }, marker ? el("span", { class: "number" }, marker) : null, placeOf(source));
  button.addEventListener("click", () => open(source, url, button));
  return el("li", {}, button, el("p", { dir: "auto" }, firstWords(text, 200)));
}

function urlOf({ document, chunk_id }) {
  const path = document.split("/").map(encodeURIComponent).join("/");
  return `/documents/${path}?passage=${chunk_id.slice(chunk_id.lastIndexOf("#") + 1)}`;
}

// The beginning of a passage in one line, without headings and signs.
function firstWords(text, limit) {
  const words = text.replace(/^(#{1,6} .*\n+)+/, "").replace(/^(```|~~~).*|-{3,}|[`|]/gm, " ").replace(/\s+/g, " ").trim();
  return words.length > limit ? `${words.slice(0, limit).trimEnd()} …` : words;
}

export function asPlainText(body) {
  const notes = body.citations.map((citation) => `[${citation.marker}] ${placeOf(citation)} (${new URL(citation.url, location.href)})`);
  return [body.answer, ...(notes.length ? ["", ...notes] : [])].join("\n");
}
