// As much of a document as the page's modules need to build elements, so that
// they can be tested without a browser.

class Text {
  constructor(text) {
    this.textContent = String(text);
  }
}

class Element {
  constructor(tag) {
    this.tag = tag;
    this.attributes = {};
    this.dataset = {};
    this.children = [];
    this.style = { setProperty() {} };
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  append(...children) {
    for (const child of children) this.children.push(typeof child === "object" ? child : new Text(child));
  }

  replaceChildren(...children) {
    this.children = [];
    this.append(...children);
  }

  addEventListener() {}

  get textContent() {
    return this.children.map((child) => child.textContent).join("");
  }

  /** All elements within, in order. */
  all(tag) {
    const own = this.children.filter((child) => child instanceof Element);
    return own.flatMap((child) => [
      ...(tag === undefined || child.tag === tag ? [child] : []),
      ...child.all(tag),
    ]);
  }
}

globalThis.document = {
  createElement: (tag) => new Element(tag),
  createElementNS: (_, tag) => new Element(tag),
  createTextNode: (text) => new Text(text),
};

/** An element that holds `nodes`. */
export function holding(nodes) {
  const element = new Element("div");
  element.append(...nodes);
  return element;
}
