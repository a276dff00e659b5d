// Making elements. Ids are the users' own bytes: they only ever become text, never markup.

const SVG = "http://www.w3.org/2000/svg";
const LONGEST = 28;

export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** A text of which the middle is left out where it is long. */
export function short(text, longest = LONGEST) {
  const letters = [...text];
  if (letters.length <= longest) return text;
  const head = Math.ceil(longest / 2);
  return `${letters.slice(0, head).join("")}…${letters.slice(letters.length - (longest - head - 1)).join("")}`;
}

export function percent(share) {
  if (share >= 0.0995) return `${Math.round(share * 100)} %`;
  return share > 0 ? `${(share * 100).toPrecision(2)} %` : "0 %";
}

/** Milliseconds, or seconds where they are many. */
export function duration(milliseconds) {
  if (1000 <= milliseconds) return `${(milliseconds / 1000).toFixed(1)} s`;
  return 10 <= milliseconds ? `${Math.round(milliseconds)} ms` : `${milliseconds.toPrecision(2)} ms`;
}

export function number(value) {
  if (value === 0) return "0";
  return Math.abs(value) < 1e-4 || 1e5 <= Math.abs(value) ? value.toExponential(2) : value.toPrecision(4);
}
