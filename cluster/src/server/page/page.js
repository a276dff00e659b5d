// The page: a question in a form, its answer as a table and as a drawing, and the same question as a link and for curl.
// What is asked is kept in the address behind the #, so that a link shows the same and "back" goes back.

import { hasKey, neighbors, nodes, Problem, query, store, stores, useKey } from "./api.js";
import { combobox } from "./combobox.js";
import { drawn, duration, element, number, percent, short } from "./elements.js";
import { graph } from "./graph.js";

const at = (id) => document.getElementById(id);
const NUMBERS = ["top", "min_support", "precision", "debias"];
const CHECKS = ["exclude_seeds", "exclude_neighbors"];
const CHOICES = ["method", "dangling", "index"];
const USUAL = { top: 15, min_support: 0, precision: null, debias: 0, exclude_seeds: false, exclude_neighbors: false, method: "auto", dangling: "restart", index: "" };

/** What is asked. */
let asked = { store: "", seeds: [], only: [], exclude: [], ...USUAL };
/** What the answer on the page is made of. */
let shown = null;
let asking = null;
let reading = null;

// ---- the question -------------------------------------------------------------------------------------------------------------

function request() {
  const { seeds, only, exclude } = asked;
  const body = { seeds: seeds.map(({ id, weight }) => (weight === 1 ? id : { id, weight })) };
  for (const [name, usual] of Object.entries(USUAL)) {
    if (asked[name] !== usual && asked[name] !== null || name === "top") body[name] = asked[name];
  }
  if (only.length) body.only = only;
  if (exclude.length) body.exclude = exclude;
  return body;
}

function readForm() {
  for (const name of NUMBERS) asked[name] = at(name).value === "" ? USUAL[name] : Number(at(name).value);
  for (const name of CHECKS) asked[name] = at(name).checked;
  for (const name of CHOICES) asked[name] = at(name).value;
  at("debias-shown").value = asked.debias;
  showCurl();
}

function fillForm() {
  for (const name of NUMBERS) at(name).value = asked[name] ?? "";
  for (const name of CHECKS) at(name).checked = asked[name];
  for (const name of CHOICES) at(name).value = asked[name];
  at("store").value = asked.store;
  at("debias-shown").value = asked.debias;
  const rare = ["precision", "debias", "min_support", "dangling", ...CHECKS].some((name) => asked[name] !== USUAL[name]);
  at("more").open ||= rare || Boolean(asked.only.length + asked.exclude.length);
  showSeeds();
  showWords("only");
  showWords("exclude");
  showCurl();
}

function showCurl() {
  const key = hasKey() ? ` \\\n  -H "authorization: Bearer $WALKPRINT_KEY"` : "";
  const body = JSON.stringify({ ...request(), explain: true }).replaceAll("'", "'\\''");
  const path = `/v1/stores/${encodeURIComponent(asked.store)}/query`;
  at("curl").textContent = `curl '${location.origin}${path}' \\\n  -H 'content-type: application/json'${key} \\\n  -d '${body}'`;
}

function showSeeds() {
  const lines = asked.seeds.map((seed, place) => {
    const name = `Weight of ${seed.id}`;
    const set = (weight) => {
      if (!(0 <= weight)) return;
      seed.weight = weight;
      slider.value = weight;
      exact.value = weight;
      showCurl();
    };
    const slider = element("input", { type: "range", min: 0, max: 10, step: 0.1, value: seed.weight, "aria-label": name, oninput: () => set(Number(slider.value)) });
    const exact = element("input", { type: "number", min: 0, step: "any", value: seed.weight, "aria-label": `${name}, as a number`, onchange: () => set(Number(exact.value)) });
    const remove = element("button", { type: "button", class: "remove", "aria-label": `Remove ${seed.id}`, onclick: () => {
      asked.seeds.splice(place, 1);
      showSeeds();
      showCurl();
      at("seed").focus();
    } }, "✕");
    return element("li", {}, element("span", { class: "id", title: seed.id }, short(seed.id)), slider, exact, remove);
  });
  at("seeds").replaceChildren(...lines);
}

function addSeed(id) {
  at("seed").value = "";
  if (!asked.seeds.some((seed) => seed.id === id)) asked.seeds.push({ id, weight: 1 });
  showSeeds();
  showCurl();
}

function showWords(name) {
  const lines = asked[name].map((word, place) => element("li", {}, short(word, 40), element("button", {
    type: "button", class: "remove", "aria-label": `Remove ${word}`, onclick: () => {
      asked[name].splice(place, 1);
      showWords(name);
      showCurl();
      at(name).focus();
    },
  }, "✕")));
  at(`${name}-words`).replaceChildren(...lines);
}

function addWord(name, word) {
  if (word && !asked[name].includes(word)) asked[name].push(word);
  at(name).value = "";
  showWords(name);
  showCurl();
}

// ---- the store ----------------------------------------------------------------------------------------------------------------

async function chooseStore(name) {
  const changed = asked.store !== name;
  asked.store = name;
  at("store").value = name;
  if (changed) asked.index = "";
  reading?.abort();
  reading = new AbortController();
  const facts = await store(name, reading.signal);
  const count = (value) => value.toLocaleString("en");
  at("store-facts").textContent = `${count(facts.nodes)} nodes, ${count(facts.edges)} ${facts.weighted ? "weighted " : ""}edges, generation ${facts.generation}`
    + (facts.refused ? "; a newer generation is broken and was refused" : "");
  const options = facts.indexes.map((index) => element("option", { value: index.name }, `${index.name}, restart ${index.restart_prob}`));
  const usual = facts.indexes.length ? "any that fits" : "none: answers are exact";
  at("index").replaceChildren(element("option", { value: "" }, usual), ...options);
  at("index").value = asked.index;
  at("kinds").replaceChildren(...facts.node_types.map((kind) => element("option", { value: `type:${kind}` })));
  showCurl();
}

// ---- asking -------------------------------------------------------------------------------------------------------------------

async function ask() {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  at("answer").classList.add("waiting");
  at("ask").setAttribute("aria-busy", "true");
  try {
    const { body, timing, milliseconds } = await query(asked.store, { ...request(), explain: true }, signal);
    hideProblem();
    showAnswer(body, timing, milliseconds);
  } catch (error) {
    if (error.name === "AbortError") return; // a newer question is under way
    showProblem(error);
  }
  at("answer").classList.remove("waiting");
  at("ask").removeAttribute("aria-busy");
}

function hideProblem() {
  at("problem").hidden = true;
}

function showProblem(error) {
  if (error.name === "AbortError") return;
  const body = error instanceof Problem ? error.body : { title: "This page failed", detail: String(error), request_id: "" };
  const [title, detail, id] = at("problem").children;
  title.textContent = body.title;
  detail.textContent = body.detail;
  id.textContent = body.request_id ? `request ${body.request_id}` : "";
  at("problem").hidden = false;
  if (body.status === 401) {
    at("key-field").hidden = false;
    at("key").focus();
  }
}

/** `queue;dur=0.03, answer;dur=2.1` in words. */
function inWords(timing, milliseconds) {
  const stages = [...timing.matchAll(/(\w+);dur=([\d.]+)/g)].map(([, name, time]) => `${name} ${duration(Number(time))}`);
  return [...stages, `there and back ${duration(milliseconds)}`].join(", ");
}

function showAnswer(body, timing, milliseconds) {
  const { results, status, method, dangling, truncated, index, store: from } = body;
  const sure = status.kind === "exact"
    ? `exact: all scores together off by at most ${number(status.error_bound)}`
    : `estimated: all scores together off by about ${number(status.l1_error)}`;
  const by = index.name ? `, index ${index.name}` : "";
  const few = truncated ? " Fewer nodes than asked for can be reached and pass the filters." : "";
  at("summary").replaceChildren(
    `${results.length} ${results.length === 1 ? "result" : "results"} by ${method}${by}, restart probability ${index.restart_prob}, dangling ${dangling}, generation ${from.generation}; ${sure}.${few} `,
    element("small", {}, `${inWords(timing, milliseconds)}.`),
  );
  const explained = new Map(body.explanation.results.map((result) => [result.id, result]));
  const most = Math.max(...results.map((result) => result.score + result.std_error), Number.MIN_VALUE);
  const rows = results.map((result) => {
    const row = element("tr", {
      onclick: () => choose(result.id), onpointerenter: () => point(result.id), onpointerleave: () => point(null),
    },
    element("td", {}, `${result.rank}${result.rank_stable ? "" : " ·"}`),
    element("td", {}, element("button", {
      type: "button", title: result.id, onfocus: () => point(result.id), onblur: () => point(null),
    }, short(result.id, 44)), result.type ? element("span", { class: "kind" }, ` ${result.type}`) : null),
    element("td", { class: "bars" }, element("div", { class: "score" }, bar(result, most), element("span", {}, number(result.score)))),
    element("td", { class: "number" }, status.kind === "exact" ? "—" : number(result.std_error)));
    return [result.id, row];
  });
  at("results").tBodies[0].replaceChildren(...rows.map(([, row]) => row));
  at("results").hidden = !results.length;
  const picture = graph(body.explanation, { point, choose });
  at("drawing").replaceChildren(...(picture ? [picture.picture] : []));
  at("picture").hidden = !picture;
  shown = { explained, rows: new Map(rows), light: picture?.light ?? (() => {}), chosen: null };
  at("chosen").hidden = true;
}

function bar({ score, std_error: error }, most) {
  const x = (value) => 100 * Math.max(0, Math.min(1, value / most));
  const picture = drawn("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" },
    drawn("rect", { class: "bar", x: 0, y: 2, width: x(score), height: 8 }));
  if (error > 0) {
    const [low, high] = [x(score - error), x(score + error)];
    picture.append(drawn("path", { class: "whisker", d: `M${low} 6H${high}M${low} 3V9M${high} 3V9` }));
  }
  return picture;
}

/** Shows the paths of what somebody points at; else of what is chosen. */
function point(id) {
  if (!shown) return;
  const lit = id ?? shown.chosen;
  shown.light(lit);
  for (const [result, row] of shown.rows) row.classList.toggle("lit", result === lit);
}

// ---- one result ---------------------------------------------------------------------------------------------------------------

function choose(id) {
  if (!shown) return;
  shown.chosen = id;
  for (const [result, row] of shown.rows) row.classList.toggle("chosen", result === id);
  point(null);
  const found = shown.explained.get(id);
  const parts = [element("h2", { tabindex: -1 }, id)];
  const actions = element("div", { class: "actions" },
    element("button", { type: "button", onclick: () => addSeed(id) }, "Add as seed"),
    element("button", { type: "button", onclick: () => {
      at("more").open = true;
      addWord("exclude", `id:${id}`);
    } }, "Leave out"));
  parts.push(actions);
  if (found) {
    const shares = found.contributions.slice(0, 8).map((one) => element("li", {}, element("span", { class: "share" }, percent(one.share)), one.id));
    if (found.others) shares.push(element("li", {}, element("span", { class: "share" }, percent(found.others.share)), `${found.others.seeds} other seeds`));
    parts.push(element("h3", {}, "What seeds contribute"), element("ul", {}, ...shares));
    const paths = found.paths.map((path) => element("li", { class: "path" }, element("span", { class: "share" }, percent(path.share)), ...inSteps(path)));
    const none = { unreachable: "No path leads here.", beyond: "The paths here are too long to be listed." }[found.status];
    parts.push(element("h3", {}, "Best paths, and their share of the score"), element("ul", {}, ...(paths.length ? paths : [element("li", {}, none ?? "None was found.")])));
  }
  const beside = element("ul", { id: "neighbors" }, element("li", {}, "…"));
  parts.push(element("h3", {}, "Edges from here"), beside);
  at("chosen").replaceChildren(...parts);
  at("chosen").hidden = false;
  showNeighbors(id, beside);
}

function inSteps({ nodes: ids, edges }) {
  return ids.flatMap((id, place) => {
    const edge = edges[place - 1];
    const step = edge ? [" ", element("span", { class: "edge-kind" }, `— ${edge.kinds.join(", ") || "edge"} →`), " "] : [];
    return [...step, short(id, 40)];
  });
}

async function showNeighbors(id, list) {
  try {
    const found = await neighbors(asked.store, id);
    const lines = found.neighbors.map((one) => element("li", {}, element("span", { class: "share" }, percent(one.probability)), short(one.id, 36),
      element("span", { class: "kind" }, ` ${one.types.join(", ")}`)));
    if (found.more) lines.push(element("li", { class: "kind" }, `and ${(found.degree - found.neighbors.length).toLocaleString("en")} more`));
    list.replaceChildren(...(lines.length ? lines : [element("li", {}, "None: walks end here.")]));
  } catch (error) {
    list.replaceChildren(element("li", {}, error.message));
  }
}

// ---- the address --------------------------------------------------------------------------------------------------------------

function toAddress() {
  const kept = Object.fromEntries(Object.entries(asked).filter(([name, value]) => value !== USUAL[name] && value !== null));
  return `#${encodeURIComponent(JSON.stringify(kept))}`;
}

async function fromAddress() {
  let kept = {};
  try {
    kept = JSON.parse(decodeURIComponent(location.hash.slice(1)) || "{}");
  } catch {
    // A link that was cut off shows the empty page.
  }
  const list = (value) => (Array.isArray(value) ? value.map(String) : []);
  const seeds = (Array.isArray(kept.seeds) ? kept.seeds : []).filter((seed) => seed && typeof seed.id === "string");
  asked = { ...USUAL, store: "", seeds: seeds.map(({ id, weight }) => ({ id, weight: Number.isFinite(weight) ? weight : 1 })), only: list(kept.only), exclude: list(kept.exclude) };
  for (const name of Object.keys(USUAL)) if (name in kept) asked[name] = kept[name];
  fillForm();
  try {
    const index = asked.index;
    const name = typeof kept.store === "string" && kept.store ? kept.store : (await stores()).stores[0]?.name;
    if (!name) {
      at("store-facts").textContent = "There is no store here yet: make one with walkprint load.";
      return;
    }
    await chooseStore(name);
    asked.index = index;
    fillForm();
    if (asked.seeds.length) await ask();
  } catch (error) {
    showProblem(error);
  }
}

// ---- begin --------------------------------------------------------------------------------------------------------------------

combobox(at("store"), at("store-options"), {
  find: async (text, signal) => {
    const { stores: all, more } = await stores(text ? text.slice(0, -1) : "", signal);
    const found = all.filter(({ name }) => name.includes(text) || text === asked.store).slice(0, 12);
    return { found: found.map(({ name, nodes: count }) => ({ value: name, note: count ? `${count.toLocaleString("en")} nodes` : "" })), more };
  },
  choose: (name) => chooseStore(name).then(hideProblem, showProblem),
});
combobox(at("seed"), at("seed-options"), {
  free: true,
  find: async (text, signal) => {
    const { nodes: found, more } = await nodes(asked.store, text, signal);
    return { found: found.map(({ id, type }) => ({ value: id, note: type })), more };
  },
  choose: addSeed,
});
for (const name of ["only", "exclude"]) {
  at(name).addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    addWord(name, at(name).value.trim());
  });
  at(name).addEventListener("change", () => addWord(name, at(name).value.trim()));
}
at("question").addEventListener("input", readForm);
at("question").addEventListener("submit", (event) => {
  event.preventDefault();
  // What was typed and not yet added is meant.
  if (at("seed").value) addSeed(at("seed").value);
  readForm();
  if (location.hash === toAddress()) ask();
  else location.hash = toAddress();
});
at("copy").addEventListener("click", async () => {
  await navigator.clipboard?.writeText(at("curl").textContent).catch(() => {});
  at("copy").textContent = "Copied";
  setTimeout(() => { at("copy").textContent = "Copy"; }, 1500);
});
at("key-use").addEventListener("click", () => {
  useKey(at("key").value);
  at("key").value = "";
  at("key-field").hidden = true;
  hideProblem();
  fromAddress();
});
window.addEventListener("hashchange", fromAddress);
fromAddress();
