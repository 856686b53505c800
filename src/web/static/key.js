// A page of documents that wants a key: asks for it once, then fetches the same page with it.

import { keepKey, keptKey, request } from "./api.js";
import { byId } from "./dom.js";

async function open() {
  const response = await request(location.href, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  document.title = page.title;
  byId("main").replaceWith(document.adoptNode(page.getElementById("main")));
  byId("main").focus();
  byId("marked")?.scrollIntoView({ block: "center" });
}

byId("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  keepKey(byId("key").value.trim());
  byId("status").textContent = "Trying the key …";
  try {
    await open();
  } catch (problem) {
    byId("status").textContent = problem.kind === "key" ? "This key does not fit." : problem.message;
  }
});

if (keptKey()) open().catch(() => {});
