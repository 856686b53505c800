// Shows an answer: its text with markers that open sources, what kind of answer it is, and where it comes from.

import { el } from "./dom.js";

const INLINE =
  /\[(\d{1,3})\]|`([^`\n]+)`|\*\*([^*\n]+)\*\*|\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>"')\]]*[^\s<>"')\].,;:!?])/g;

// citations: null while the answer streams, when markers are not yet known to be true.
export function showText(target, text, citations, open) {
  const known = new Map((citations ?? []).map((citation) => [citation.marker, citation]));
  target.replaceChildren(...blocks(text, (line) => inline(line, known, open)));
}

function blocks(text, write) {
  const found = [];
  let list = null;
  let paragraph = null;
  let code = null;
  for (const line of text.split("\n")) {
    if (line.trimStart().startsWith("```")) {
      code = code ? null : found[found.push(el("pre", { tabindex: "0" })) - 1];
      list = paragraph = null;
    } else if (code) {
      code.append(line + "\n");
    } else if (!line.trim()) {
      list = paragraph = null;
    } else {
      const item = /^\s*(?:([-*•])|(\d{1,3})[.)])\s+(.*)$/.exec(line);
      const heading = /^#{1,6}\s+(.*)$/.exec(line);
      if (item) {
        const name = item[1] ? "ul" : "ol";
        if (list?.localName !== name) found.push((list = el(name, { start: item[2] })));
        list.append(el("li", { dir: "auto" }, ...write(item[3])));
        paragraph = null;
      } else if (heading) {
        found.push(el("p", { dir: "auto" }, el("strong", {}, ...write(heading[1]))));
        list = paragraph = null;
      } else {
        if (paragraph) paragraph.append("\n");
        else found.push((paragraph = el("p", { dir: "auto" })));
        paragraph.append(...write(line));
        list = null;
      }
    }
  }
  return found;
}

function inline(line, known, open) {
  const nodes = [];
  let at = 0;
  for (const match of line.matchAll(INLINE)) {
    nodes.push(line.slice(at, match.index));
    at = match.index + match[0].length;
    const [whole, marker, code, bold, label, target, bare] = match;
    if (marker) nodes.push(known.has(+marker) ? markerButton(known.get(+marker), open) : whole);
    else if (code) nodes.push(el("code", {}, code));
    else if (bold) nodes.push(el("strong", {}, ...inline(bold, known, open)));
    else nodes.push(link(target ?? bare, label ?? bare));
  }
  nodes.push(line.slice(at));
  return nodes;
}

function link(href, label) {
  return el("a", { href, rel: "noopener noreferrer nofollow", target: "_blank" }, label);
}

function markerButton(citation, open) {
  const name = `Source ${citation.marker}: ${placeOf(citation)}`;
  const button = el("button", { type: "button", class: "marker", "aria-label": name, title: placeOf(citation) }, `${citation.marker}`);
  button.addEventListener("click", () => open(citation, citation.url, button));
  return button;
}

export function placeOf({ title, section, page }) {
  return [title, section, page ? `page ${page}` : ""].filter(Boolean).join(" · ");
}

// What a person should know about how the answer came about: [short mark, explanation].
export function remarks(body) {
  const found = [];
  const isShort = body.mode === "DEGRADED";
  if (body.answered_by === "none") {
    // A greeting has neither an answer nor sources, and needs no remark.
    if (body.sources.length) found.push(["No answer found", "Nothing was made up. The passages that come nearest are listed below."]);
  } else if (body.answered_by === "extractive") {
    const words = "These sentences stand in the documents word for word; no language model wrote or joined them.";
    found.push(["Quoted", (!isShort && body.notice) || words]);
  } else {
    found.push(["Written by AI", `${body.model ?? "A language model"} wrote this from the passages below. Check what matters.`]);
  }
  if (isShort && body.sources.length) {
    const words = body.notice ?? "The server is short of memory, so it looked for your words, not their meaning.";
    found.push(["Word search only", `${words} It may have missed passages that say it in other words.`]);
  } else if (body.mode === "CAUTIOUS" && body.sources.length) {
    found.push(["Fewer passages", "The server's memory is getting short, so it read fewer passages than usual."]);
  }
  if (body.notice && !isShort && body.answered_by !== "extractive") found.push(["Note", body.notice]);
  return found;
}

export function showRemarks(target, body) {
  target.replaceChildren(...remarks(body).map(([mark, words]) => el("p", { class: "remark" }, el("span", { class: "badge" }, mark), ` ${words}`)));
}

export function sourcesList(body, open) {
  if (!body.sources.length) return null;
  const details = el("details", { class: "sources" });
  const cited = body.citations.map((citation) => sourceItem(citation, citation.url, `${citation.marker}`, citation.excerpt, open));
  const read = body.sources.map((source) => {
    const path = source.document.split("/").map(encodeURIComponent).join("/");
    const passage = source.chunk_id.slice(source.chunk_id.lastIndexOf("#") + 1);
    return sourceItem(source, `/documents/${path}?passage=${passage}`, null, source.text, open);
  });
  const words = cited.length ? `${cited.length} cited, ${read.length} read` : `${read.length} nearest`;
  details.append(el("summary", {}, `Passages: ${words}`));
  if (cited.length) details.append(el("h3", {}, "Cited"), el("ul", {}, ...cited));
  if (read.length) details.append(el("h3", {}, cited.length ? "All that were read" : "Nearest passages"), el("ul", {}, ...read));
  return details;
}

function sourceItem(source, url, marker, text, open) {
  const button = el("button", { type: "button", class: "source" }, marker ? el("span", { class: "number" }, marker) : null, placeOf(source));
  button.addEventListener("click", () => open(source, url, button));
  const start = text.replace(/^(#{1,6} .*\n+)+/, "").slice(0, 200).trimEnd();
  return el("li", {}, button, el("p", {}, text.trimEnd().endsWith(start) ? start : `${start} …`));
}

export function asPlainText(body) {
  const notes = body.citations.map((citation) => `[${citation.marker}] ${placeOf(citation)} (${new URL(citation.url, location.href)})`);
  return [body.answer, ...(notes.length ? ["", ...notes] : [])].join("\n");
}
