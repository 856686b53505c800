// A page of documents that wants a key: asks for it once, then fetches the same page with it.

import { keepKey, keptKey, request } from "./api.js";
import { byId, saveFile } from "./dom.js";
import { text } from "./texts.js";

async function open() {
  const response = await request(location.href, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  document.title = page.title;
  byId("main").replaceWith(document.adoptNode(page.getElementById("main")));
  byId("main").focus();
  const link = document.querySelector("a[download]");
  link?.addEventListener("click", async (event) => {
    event.preventDefault(); // it would be asked for without the key
    saveFile(decodeURIComponent(location.pathname.split("/").pop()), await (await request(link.href)).blob());
  });
  byId("marked")?.scrollIntoView({ block: "center" });
}

byId("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  keepKey(byId("key").value.trim());
  byId("status").textContent = text("trying_key");
  try {
    await open();
  } catch (problem) {
    byId("status").textContent = problem.kind === "key" ? text("key_does_not_fit") : problem.message;
  }
});

if (keptKey()) open().catch(() => {});
