// Asking the server: every answer or problem as an object, never an exception for what the server says.

const KEY = "walkprint-key";

export class Problem extends Error {
  constructor(body) {
    super(body.detail);
    this.body = body;
  }
}

/** Keeps a key for as long as the tab is open. */
export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

export function hasKey() {
  return Boolean(sessionStorage.getItem(KEY));
}

async function send(path, options) {
  const headers = { ...options.headers };
  const key = sessionStorage.getItem(KEY);
  if (key) headers.authorization = `Bearer ${key}`;
  const began = performance.now();
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "No connection", detail: "The server cannot be reached. Is it running?", request_id: "" });
  }
  const body = await response.json();
  if (!response.ok) throw new Problem(body);
  return { body, timing: response.headers.get("server-timing") ?? "", milliseconds: performance.now() - began };
}

export async function get(path, signal) {
  return (await send(path, { signal })).body;
}

export function post(path, content, signal) {
  const headers = { "content-type": "application/json" };
  return send(path, { method: "POST", headers, body: JSON.stringify(content), signal });
}

const part = encodeURIComponent;

export const stores = (after, signal) => get(`/v1/stores?limit=1000${after ? `&after=${part(after)}` : ""}`, signal);
export const store = (name, signal) => get(`/v1/stores/${part(name)}`, signal);
export const nodes = (name, prefix, signal) => get(`/v1/stores/${part(name)}/nodes?limit=12&prefix=${part(prefix)}`, signal);
export const neighbors = (name, id, signal) => get(`/v1/stores/${part(name)}/neighbors/${part(id)}?limit=12`, signal);
export const query = (name, request, signal) => post(`/v1/stores/${part(name)}/query`, request, signal);
