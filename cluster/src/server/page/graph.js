// The small graph of the best paths: seeds at the left, and every node as far to the right as it is edges away from one.

import { drawn, short } from "./elements.js";

const COLUMN = 250;
/** How wide a letter of a label is, about. */
const LETTER = 6.5;
const LONGEST = 22;
const ROW = 34;
const MARGIN = 24;
const MOST_NODES = 40;
const PASSES = 6;

/** Nodes and edges of the paths of as many results as there is room for. */
function collect(explanation) {
  const nodes = new Map();
  const edges = new Map();
  for (const result of explanation.results) {
    const fresh = new Set(result.paths.flatMap((path) => path.nodes).filter((id) => !nodes.has(id)));
    if (nodes.size && MOST_NODES < nodes.size + fresh.size) break;
    for (const path of result.paths) {
      path.nodes.forEach((id, place) => {
        const node = nodes.get(id) ?? { id, layer: place, seed: false, result: false, of: new Set() };
        node.layer = Math.min(node.layer, place);
        node.seed ||= place === 0;
        node.of.add(result.id);
        nodes.set(id, node);
      });
      path.edges.forEach(({ kinds, probability }, place) => {
        const key = JSON.stringify([path.nodes[place], path.nodes[place + 1]]);
        const edge = edges.get(key) ?? { from: path.nodes[place], to: path.nodes[place + 1], kinds, probability, of: new Set() };
        edge.of.add(result.id);
        edges.set(key, edge);
      });
    }
    if (nodes.has(result.id)) nodes.get(result.id).result = true;
  }
  return { nodes, edges: [...edges.values()] };
}

/** Places in columns by layer; within a column near those they are connected with. */
function place({ nodes, edges }) {
  const columns = [];
  for (const node of nodes.values()) (columns[node.layer] ??= []).push(node);
  const full = columns.filter(Boolean);
  const tallest = Math.max(...full.map((column) => column.length));
  const spread = (column) => column.forEach((node, at) => { node.row = (at + 0.5) * (tallest / column.length); });
  full.forEach(spread);
  for (let pass = 0; pass < PASSES; pass += 1) {
    for (const column of pass % 2 ? [...full].reverse() : full) {
      for (const node of column) {
        const beside = edges.flatMap(({ from, to }) => (from === node.id ? [to] : to === node.id ? [from] : []));
        const rows = beside.map((id) => nodes.get(id).row);
        node.wish = rows.length ? rows.reduce((sum, row) => sum + row, 0) / rows.length : node.row;
      }
      column.sort((a, b) => a.wish - b.wish);
      spread(column);
    }
  }
  full.forEach((column, at) => column.forEach((node) => {
    node.x = MARGIN + at * COLUMN;
    node.y = MARGIN + node.row * ROW;
  }));
  return { width: 2 * MARGIN + full.length * COLUMN, height: 2 * MARGIN + tallest * ROW };
}

function line(from, to) {
  if (from.x === to.x) {
    const aside = from.x - 46;
    return `M${from.x - 7} ${from.y} C${aside} ${from.y} ${aside} ${to.y} ${to.x - 9} ${to.y}`;
  }
  // Behind the label, which stands at the right of its node.
  const behind = (node) => node.x + 16 + LETTER * [...short(node.id, LONGEST)].length;
  const forward = from.x < to.x;
  const [start, end] = forward ? [behind(from), to.x - 10] : [from.x - 8, behind(to)];
  const bend = (end - start) / 2;
  return `M${start} ${from.y} C${start + bend} ${from.y} ${end - bend} ${to.y} ${end} ${to.y}`;
}

/**
 * Draws an explanation. `point(id or null)` is called when somebody points at a node or leaves it, `choose(id)` when they take it.
 * Gives the drawing and `light(id or null)`, which shows the paths of one result.
 */
export function graph(explanation, { point, choose }) {
  const collected = collect(explanation);
  const { nodes, edges } = collected;
  if (nodes.size < 2) return null;
  const { width, height } = place(collected);
  const arrow = drawn("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
    drawn("path", { d: "M0 0 8 4 0 8z" }));
  const lines = edges.map((edge) => {
    const [from, to] = [nodes.get(edge.from), nodes.get(edge.to)];
    const words = edge.kinds.length ? edge.kinds.join(", ") : "";
    edge.shown = drawn("g", { class: "edge" },
      drawn("path", { d: line(from, to), "marker-end": "url(#arrow)", "stroke-width": 1 + 2 * Math.sqrt(edge.probability) }),
      words && from.x < to.x ? drawn("text", { class: "halo", x: to.x - 14, y: to.y - 5, "text-anchor": "end" }, short(words, 16)) : null,
      drawn("title", {}, `${edge.from} — ${words || "edge"} → ${edge.to}, taken with a chance of ${edge.probability.toPrecision(2)}`));
    return edge.shown;
  });
  const dots = [...nodes.values()].map((node) => {
    const role = [node.seed ? "seed" : "", node.result ? "result" : ""].filter(Boolean).join(" and ");
    node.shown = drawn("g", {
      class: `node ${node.seed ? "seed" : ""} ${node.result ? "result" : ""}`, transform: `translate(${node.x} ${node.y})`,
      role: "button", tabindex: 0, "aria-label": `${node.id}${role ? `, ${role}` : ""}`,
      onpointerenter: () => point(node.id), onpointerleave: () => point(null), onfocus: () => point(node.id), onblur: () => point(null),
      onclick: () => choose(node.id),
      onkeydown: (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          choose(node.id);
        }
      },
    },
    drawn("circle", { r: node.result ? 6 : 5 }),
    drawn("text", { class: "halo", x: 11, y: 4 }, short(node.id, LONGEST)),
    drawn("title", {}, node.id));
    return node.shown;
  });
  const picture = drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "Paths from seeds to results" },
    drawn("defs", {}, arrow), ...lines, ...dots);
  const light = (id) => {
    // The paths of a result; of a node in between, those that run through it.
    const lit = (thing) => id !== null && (thing.of.has(id) || thing.id === id || thing.from === id || thing.to === id);
    picture.classList.toggle("some", id !== null && nodes.has(id));
    for (const thing of [...nodes.values(), ...edges]) thing.shown.classList.toggle("lit", lit(thing));
  };
  return { picture, light };
}
