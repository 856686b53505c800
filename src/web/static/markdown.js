// Draws the Markdown of documents and answers. It makes text nodes and the elements named below, never HTML, so there
// is nothing to sanitise. A link or an image is its words: a page loads nothing that an answer names.

import { el } from "./dom.js";
import { text } from "./texts.js";

const FENCE = /^\s*(`{3,}(?!.*`)|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)[\s#]*$/;
const RULE = /^\s*([-*_])(\s*\1){2,}\s*$/;
const QUOTE = /^\s{0,3}>\s?/;
const ITEM = /^(\s*)([-*+•]|\d{1,4}[.)])(\s+)(?=\S)/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
// Each block runs in the direction of its own script.
const AUTO = { dir: "auto" };
// Bounded, so that signs that end nowhere cost little.
const INLINE = new RegExp(
  [
    /\\(?<escaped>[!-/:-@[-`{-~])/,
    /(?<!`)(?<ticks>`+)(?!`)(?<code>.{1,999}?)(?<!`)\k<ticks>(?!`)/,
    /\[(?<marker>\d{1,3})\]/,
    /!?\[(?<label>[^\]]{0,999})\]\((?<target>[^\s()]+)(?:\s+"[^"]*")?\)/,
    /\*\*(?=\S)(?<bold>.{1,999}?)\*\*(?!\*)|(?<!\w)__(?=\S)(?<bold_>.{1,999}?)__(?!\w)/,
    /\*(?=[^\s*])(?<italic>.{1,999}?)(?<=\S)\*(?!\*)|(?<!\w)_(?=[^\s_])(?<italic_>.{1,999}?)(?<=\S)_(?!\w)/,
    /~~(?=\S)(?<struck>.{1,999}?)~~/,
  ]
    .map((part) => part.source)
    .join("|"),
  "gs",
);

// What is nested deeper stays as it was written.
const MOST_DEEP = 16;

// drawMarker(n) gives what stands for [n]: an element, or the text itself.
export function drawMarkdown(text, drawMarker) {
  const write = (words) => inline(words, drawMarker);
  return blocks(text.split("\n"), write, 0);
}

function blocks(lines, write, depth) {
  if (depth > MOST_DEEP) return [el("p", AUTO, lines.join("\n"))];
  const found = [];
  for (let at = 0; at < lines.length; ) {
    const [end, element] = block(lines, at, write, depth);
    if (element) found.push(element);
    at = end;
  }
  return found;
}

// Returns the line after the block that begins at `at`, and its element; null for a blank line.
function block(lines, at, write, depth) {
  const line = lines[at];
  const fence = FENCE.exec(line)?.[1];
  const heading = HEADING.exec(line);
  if (!line.trim()) return [at + 1, null];
  if (fence) {
    const end = endOf(lines, at + 1, (other) => other.trim() !== fence);
    return [end + 1, el("pre", { tabindex: "0" }, el("code", {}, lines.slice(at + 1, end).join("\n")))];
  }
  if (heading) return [at + 1, el(heading[1].length < 3 ? "h3" : "h4", AUTO, ...write(heading[2]))];
  if (RULE.test(line)) return [at + 1, el("hr")];
  if (QUOTE.test(line)) {
    const end = endOf(lines, at, (other) => QUOTE.test(other));
    const inner = lines.slice(at, end).map((other) => other.replace(QUOTE, ""));
    return [end, el("blockquote", {}, ...blocks(inner, write, depth + 1))];
  }
  if (isTable(lines, at)) {
    const end = endOf(lines, at, (other) => other.includes("|"));
    return [end, table(lines.slice(at, end), write)];
  }
  if (ITEM.test(line)) return list(lines, at, write, depth);
  const end = endOf(lines, at + 1, (other, place) => other.trim() && !beginsBlock(lines, place));
  return [end, el("p", AUTO, ...write(lines.slice(at, end).map((other) => other.trim()).join("\n")))];
}

function endOf(lines, at, goesOn) {
  while (at < lines.length && goesOn(lines[at], at)) at += 1;
  return at;
}

function beginsBlock(lines, at) {
  return [FENCE, HEADING, RULE, QUOTE, ITEM].some((start) => start.test(lines[at])) || isTable(lines, at);
}

function isTable(lines, at) {
  const below = lines[at + 1] ?? "";
  return lines[at].includes("|") && below.includes("|") && TABLE_RULE.test(below);
}

function table([head, , ...rows], write) {
  const cells = (line, name) =>
    line.trim().replace(/^\||(?<!\\)\|$/g, "").split(/(?<!\\)\|/).map((cell) => el(name, {}, ...write(cell.trim().replaceAll("\\|", "|"))));
  const body = rows.map((line) => el("tr", {}, ...cells(line, "td")));
  const drawn = el("table", AUTO, el("thead", {}, el("tr", {}, ...cells(head, "th"))), el("tbody", {}, ...body));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": text("table") }, drawn);
}

// An item's lines are indented further than its mark, and are blocks again.
function list(lines, at, write, depth) {
  const [, indent, mark] = ITEM.exec(lines[at]);
  const isOrdered = /\d/.test(mark);
  const drawn = isOrdered ? el("ol", { ...AUTO, start: parseInt(mark) }) : el("ul", AUTO);
  const isInside = (line, place) => {
    if (!line.trim()) return depthOf(nextText(lines, place)) > indent.length;
    return depthOf(line) > indent.length || (lines[place - 1].trim() && !beginsBlock(lines, place));
  };
  for (let item = ITEM.exec(lines[at]); item && /\d/.test(item[2]) === isOrdered; item = ITEM.exec(lines[at] ?? "")) {
    const end = endOf(lines, at + 1, isInside);
    const margin = new RegExp(`^\\s{0,${item[0].length}}`);
    const inner = lines.slice(at + 1, end).map((line) => line.replace(margin, ""));
    const [head, ...rest] = blocks([lines[at].slice(item[0].length), ...inner], write, depth + 1);
    drawn.append(el("li", {}, ...(head.localName === "p" ? head.childNodes : [head]), ...rest));
    // Blank lines between two items of one list do not end it.
    at = ITEM.test(nextText(lines, end)) ? endOf(lines, end, (line) => !line.trim()) : end;
  }
  return [at, drawn];
}

const depthOf = (line) => /^\s*/.exec(line)[0].length;
const nextText = (lines, at) => lines.slice(at).find((line) => line.trim()) ?? "";

function inline(text, drawMarker, depth = 0) {
  if (depth > MOST_DEEP) return [text];
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const { escaped, code, marker, label, target, bold, bold_, italic, italic_, struck } = match.groups;
    const wrap = (name, words) => el(name, {}, ...inline(words, drawMarker, depth + 1));
    nodes.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    if (escaped) nodes.push(escaped);
    else if (code) nodes.push(el("code", {}, code.trim() || code));
    else if (marker) nodes.push(drawMarker(+marker));
    else if (target) nodes.push(...inline(label, drawMarker, depth + 1), label === target ? "" : ` (${target})`);
    else if (bold ?? bold_) nodes.push(wrap("strong", bold ?? bold_));
    else if (italic ?? italic_) nodes.push(wrap("em", italic ?? italic_));
    else nodes.push(wrap("s", struck));
  }
  nodes.push(text.slice(at));
  return nodes;
}
