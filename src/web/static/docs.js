// Copies curl lines.

import { copyText } from "./dom.js";

for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  const label = button.firstChild;
  button.addEventListener("click", async () => {
    await copyText(button.parentElement.querySelector("code").textContent);
    label.data = "Copied";
    setTimeout(() => (label.data = "Copy"), 2000);
  });
}
