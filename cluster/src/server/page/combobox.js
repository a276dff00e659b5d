// Type-ahead as the ARIA Authoring Practices describe it: the input keeps the focus, arrows move through the list.

import { element } from "./elements.js";

const WAIT = 120;

/**
 * `find(text, signal)` gives options `{ value, note }` and `more`; `choose(value)` is told what was taken. With `free`, what was typed
 * may be taken as it is.
 */
export function combobox(input, list, { find, choose, free }) {
  let options = [];
  let at = -1;
  let timer;
  let asking;

  const close = () => {
    asking?.abort();
    clearTimeout(timer);
    list.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };

  const take = (value) => {
    close();
    choose(value);
  };

  const mark = (next) => {
    at = next;
    [...list.children].forEach((line, place) => line.setAttribute("aria-selected", String(place === at)));
    const line = list.children[at];
    if (line) {
      input.setAttribute("aria-activedescendant", line.id);
      line.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  };

  const show = (found, more) => {
    options = found;
    const lines = found.map(({ value, note }, place) =>
      element("li", { role: "option", id: `${list.id}-${place}`, "aria-selected": "false", onpointerdown: (event) => {
        event.preventDefault();
        take(value);
      } }, element("span", {}, value), note ? element("span", { class: "kind" }, note) : null));
    if (!found.length) lines.push(element("li", { role: "option", class: "none", "aria-disabled": "true" }, "nothing begins so"));
    if (more) lines.push(element("li", { role: "option", class: "none", "aria-disabled": "true" }, "and more: type on"));
    list.replaceChildren(...lines);
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(-1);
  };

  const look = async () => {
    asking?.abort();
    asking = new AbortController();
    try {
      const { found, more } = await find(input.value, asking.signal);
      if (document.activeElement === input) show(found, more);
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  };

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, WAIT);
  });
  input.addEventListener("focus", () => { if (!free) look(); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const last = options.length - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) look();
      else if (0 <= last) mark(event.key === "ArrowDown" ? (at === last ? 0 : at + 1) : (at <= 0 ? last : at - 1));
    } else if (event.key === "Enter") {
      // Never sends the form from here: Enter takes what is marked.
      event.preventDefault();
      if (!list.hidden && 0 <= at) take(options[at].value);
      else if (free && input.value) take(input.value);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    }
  });
}
