// How well a sentence of an answer is supported, in words and signs.

/** Below this a checked sentence shares too little with its source to take it on trust. */
const LOOSE = 0.8;

/** The ways in which a sentence can be supported. */
export const SUPPORT = {
  quoted: { icon: "quote", short: "word for word", text: "These are the words of the source." },
  checked: {
    icon: "check",
    short: "reworded and checked",
    text: "The model's words; the source says the same.",
  },
  loose: {
    icon: "loose",
    short: "loosely supported",
    text: "The source says much of this in other words: read it.",
  },
};

/** The way in which a claim is supported: a key of [`SUPPORT`]. */
export function supportOf({ wording, score }) {
  if (wording === "quoted") return "quoted";
  return score >= LOOSE ? "checked" : "loose";
}

/** The least support that a part of a claim has. */
export function scoreOf(claim) {
  return Math.min(...claim.citations.map(({ score }) => score));
}

/** A score from 0 to 1 as a percentage. */
export function percent(score) {
  return `${Math.round(score * 100)} %`;
}
