// Talks to the server: the key, what can go wrong in words, and the event stream of an answer.

import { text } from "./texts.js";

const KEY = "rag.key";
const BUSY = new Set([429, 502, 503, 504]);
const DEFAULT_WAIT_S = 5;
const LONGEST_WAIT_S = 3600;

// kind: "key" a key is needed, "busy" worth waiting `waitS` seconds, "lost" no connection, "failed" anything else.
export class Problem extends Error {
  constructor(kind, message, { waitS = 0, code = "" } = {}) {
    super(message);
    this.kind = kind;
    this.waitS = waitS;
    this.code = code;
  }
}

export function keepKey(key) {
  sessionStorage.setItem(KEY, key);
}

export function keptKey() {
  return sessionStorage.getItem(KEY);
}

export async function request(path, options = {}) {
  const key = keptKey();
  const headers = { Accept: "application/json", ...options.headers };
  if (key) headers.Authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("lost", text("service_lost"));
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

export async function getJson(path, options) {
  return (await request(path, options)).json();
}

export function postJson(path, body) {
  return request(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

// Yields ["sources" | "token" | "done", data] and ends after "done"; anything else ends in a Problem.
export async function* askStreaming(message, history, signal) {
  const response = await request("/chat", {
    method: "POST",
    signal,
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
    body: JSON.stringify({ message, history, stream: true }),
  });
  for await (const [name, data] of readEvents(response.body)) {
    if (name === "error") throw new Problem("failed", data.error.message, { code: data.error.code });
    yield [name, data];
    if (name === "done") return;
  }
  throw new Problem("lost", text("broke_off"));
}

async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const frames = (rest + value).split("\n\n");
      rest = frames.pop();
      for (const frame of frames) yield parseFrame(frame);
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof Problem) throw error;
    throw new Problem("lost", text("service_lost"));
  }
}

function parseFrame(frame) {
  let name = "message";
  const data = [];
  for (const line of frame.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  return [name, data.length ? JSON.parse(data.join("\n")) : null];
}

async function problemOf(response) {
  const body = await response.text();
  let error = {};
  try {
    error = JSON.parse(body).error ?? {};
  } catch {
    // A page of ours says it in a note.
    error.message = new DOMParser().parseFromString(body, "text/html").querySelector(".note")?.textContent;
  }
  const message = error.message ?? text("service_error", { status: response.status });
  if (response.status === 401) return new Problem("key", message);
  if (BUSY.has(response.status)) {
    return new Problem("busy", message, { waitS: waitOf(response.headers.get("Retry-After")), code: error.code });
  }
  return new Problem("failed", message, { code: error.code });
}

function waitOf(header) {
  const seconds = /^\d+$/.test(header ?? "") ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(Math.ceil(seconds), 1), LONGEST_WAIT_S) : DEFAULT_WAIT_S;
}
