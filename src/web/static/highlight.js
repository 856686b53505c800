// Marks a sentence in drawn text, by its letters and digits alone.

import { el } from "./dom.js";

const LETTER = /[\p{L}\p{N}]/u;
// Greek has a small sigma of its own for the end of a word.
const letters = (text) => [...text.toLowerCase().replaceAll("ς", "σ")].filter((sign) => LETTER.test(sign)).join("");

// The sentences of a citation that fit the question best, as text.
export function highlightsOf({ excerpt, start, highlights }) {
  const signs = [...excerpt];
  return (highlights ?? []).map(([first, last]) => signs.slice(first - start, last - start).join(""));
}

// from: an element in `root` before which nothing is looked for; null: the whole of it.
export function markSentence(root, sentence, from = null) {
  const { text, places } = readLetters(root, from);
  for (const words of [sentence, sentence.replace(/\]\([^)\s]*\)/g, "]")]) {
    const wanted = letters(words);
    const at = wanted ? text.indexOf(wanted) : -1;
    if (at >= 0) return wrap(places.slice(at, at + wanted.length));
  }
}

// Every letter, and for each UTF-16 unit its node and its place there.
function readLetters(root, from) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const places = [];
  let text = "";
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const isBefore = from && !from.contains(node) && from.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_PRECEDING;
    if (isBefore || node.parentElement.closest(".cut, button")) continue;
    let at = 0;
    for (const sign of node.data) {
      const kept = letters(sign);
      for (let unit = 0; unit < kept.length; unit += 1) places.push([node, at, at + sign.length]);
      text += kept;
      at += sign.length;
    }
  }
  return { text, places };
}

function wrap(places) {
  const spans = new Map();
  for (const [node, start, end] of places) spans.set(node, [spans.get(node)?.[0] ?? start, end]);
  const [first, last] = [places[0][0], places.at(-1)[0]];
  for (const [node, [begin, end]] of spans) {
    const start = node === first ? begin : 0;
    const piece = start ? node.splitText(start) : node;
    // The full stop, which is no letter, belongs to the sentence.
    const length = node === last ? end - start + /^[.!?…]?/.exec(piece.data.slice(end - start))[0].length : piece.data.length;
    if (length < piece.data.length) piece.splitText(length);
    const mark = el("span", { class: "fit" });
    piece.replaceWith(mark);
    mark.append(piece);
  }
}
