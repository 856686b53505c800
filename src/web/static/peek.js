// Shows the passage behind a marker while the mouse or the keyboard is on it.

import { el } from "./dom.js";

const CLOSE_AFTER_MS = 150;
const box = el("div", { id: "peek", class: "peek", role: "tooltip", hidden: true });
let shown = null;
let closing = 0;

function show(marker) {
  if (marker === shown) return clearTimeout(closing);
  hide();
  shown = marker;
  box.textContent = marker.dataset.peek;
  box.hidden = false;
  marker.setAttribute("aria-describedby", box.id);
  const at = marker.getBoundingClientRect();
  const left = Math.min(at.left, document.documentElement.clientWidth - box.offsetWidth - 8);
  const isRoomAbove = at.top > box.offsetHeight + 8;
  box.style.left = `${Math.max(8, left) + scrollX}px`;
  box.style.top = `${(isRoomAbove ? at.top - box.offsetHeight - 4 : at.bottom + 4) + scrollY}px`;
}

// Tells whether there was something to hide.
export function hide() {
  const wasShown = shown !== null;
  clearTimeout(closing);
  shown?.removeAttribute("aria-describedby");
  shown = null;
  box.hidden = true;
  return wasShown;
}

// Time to move the mouse onto the passage.
function hideSoon() {
  clearTimeout(closing);
  closing = setTimeout(hide, CLOSE_AFTER_MS);
}

document.body.append(box);
for (const name of ["mouseover", "focusin"]) {
  document.addEventListener(name, ({ target }) => {
    const marker = target.closest?.("[data-peek]");
    if (marker && (name === "mouseover" || marker.matches(":focus-visible"))) show(marker);
    else if (box.contains(target)) clearTimeout(closing);
    else if (shown) hideSoon();
  });
}
document.addEventListener("click", hide);
