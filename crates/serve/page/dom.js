// Elements, made one by one. Nothing here turns text into markup: children that
// are strings become text nodes, and what could run or load is refused.

const SVG = "http://www.w3.org/2000/svg";

/** Where an `href` or `src` may lead: within this page, this server, or memory. */
const ADDRESS = /^(#|\/(?!\/)|blob:)/;

/**
 * Makes an element. Keys of `attributes`: `on` (an object of listeners), `data`
 * (an object), `vars` (an object of CSS variables), or a name of an attribute;
 * `true` sets it empty, `false` and nullish leave it out.
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Makes an element of SVG. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "on") {
      for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
    } else if (name === "data") {
      Object.assign(element.dataset, value);
    } else if (name === "vars") {
      for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    } else {
      set(element, name, value);
    }
  }
  append(element, children);
  return element;
}

function set(element, name, value) {
  const lower = name.toLowerCase();
  if (lower.startsWith("on") || lower === "style" || lower === "srcdoc") {
    throw new Error(`the attribute \`${name}\` is not set by this page`);
  }
  if ((lower === "href" || lower === "src") && !ADDRESS.test(value)) {
    throw new Error(`the address \`${value}\` is not of this page`);
  }
  element.setAttribute(name, value === true ? "" : String(value));
}

/** Appends children: nodes, strings, numbers, lists of these; nullish is nothing. */
export function append(element, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(typeof child === "object" ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** Puts `children` in the place of what `element` holds. */
export function replace(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

/** Text for screen readers alone. */
export function hidden(text) {
  return h("span", { class: "sr-only" }, text);
}
