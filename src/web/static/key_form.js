// Asks for the key of the service, which is kept until the tab is closed.

import { keepKey, keptKey } from "./api.js";
import { byId } from "./dom.js";

const form = byId("key-form");
const input = byId("key");
const listeners = [];

// heard() is called whenever a key was typed.
export function onKey(heard) {
  listeners.push(heard);
}

export function showKeyForm() {
  byId("key-trouble").hidden = !keptKey();
  form.hidden = false;
  form.scrollIntoView({ block: "nearest" });
}

// Resolves when a key was typed.
export function askForKey(signal) {
  showKeyForm();
  input.focus();
  return new Promise((resolve, reject) => {
    listeners.push(resolve);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey(input.value.trim());
  input.value = "";
  form.hidden = true;
  for (const heard of [...listeners]) heard();
});
