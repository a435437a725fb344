// Elements made without any HTML: what an event says only ever becomes text.

const SVG = "http://www.w3.org/2000/svg";

function make(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

export const element = (name, attributes = {}, ...children) =>
  make(document.createElement(name), attributes, children);

export const picture = (name, attributes = {}, ...children) =>
  make(document.createElementNS(SVG, name), attributes, children);

export const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

// A length in one or two units: 345 ms, 2.3 s, 45 s, 12 min, 3 h 04 min.
export function length(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}
