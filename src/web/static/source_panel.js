// Opens a source beside the answer (on a phone: over it), with its passage marked.

import { request } from "./api.js";
import { placeOf } from "./answer.js";
import { byId } from "./dom.js";
import { highlightsOf, markSentence } from "./highlight.js";
import { text } from "./texts.js";

const WIDE = matchMedia("(min-width: 62rem)");
const dialog = byId("source-panel");
let opener = null;
let loading = null;

export async function openSource(source, url, button) {
  opener = button;
  loading?.abort();
  const { signal } = (loading = new AbortController());
  byId("source-title").textContent = source.title;
  byId("source-place").textContent = placeOf({ ...source, title: source.document });
  byId("source-link").href = url;
  byId("source-text").textContent = text("opening_document");
  if (!dialog.open) WIDE.matches ? dialog.show() : dialog.showModal();
  document.body.classList.add("reading");
  byId("source-close").focus();
  try {
    const response = await request(url, { signal, headers: { Accept: "text/html" } });
    showDocument(await response.text(), source.highlights ? highlightsOf(source) : []);
  } catch (problem) {
    if (problem.name !== "AbortError") byId("source-text").textContent = text("problem_close_and_press", { problem: problem.message });
  }
}

// The server's own page, in which all is escaped; only its article is taken.
function showDocument(html, highlights) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const article = page.getElementById("document");
  for (const element of article.querySelectorAll("[id]")) if (element.id !== "marked") element.removeAttribute("id");
  article.removeAttribute("id");
  byId("source-text").replaceChildren(document.adoptNode(article));
  const mark = byId("marked");
  if (!mark) return;
  for (const sentence of highlights) markSentence(byId("source-text"), sentence, mark);
  const area = byId("source-text");
  area.scrollTop += mark.getBoundingClientRect().top - area.getBoundingClientRect().top - area.clientHeight / 4;
}

// Tells whether there was something to close.
export function closeSource() {
  const wasOpen = dialog.open;
  loading?.abort();
  dialog.close();
  return wasOpen;
}

dialog.addEventListener("close", () => {
  document.body.classList.remove("reading");
  opener?.focus();
});
byId("source-close").addEventListener("click", closeSource);
