// The words of the page: src/web/texts.json, which the server puts into every page.

const texts = JSON.parse(document.getElementById("texts").textContent);

export function text(key, values = {}) {
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
