"use strict";
// Text of anybody in, text that is safe to look at out, as core/pages/text.py does it for texts that are written down.

const MAX_CHARS = 20000;
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
const KEPT = "\n\t\u200c\u200d"; // the last two join letters and emoji
const MAX_MARKS = 8; // on one letter
const HEAP = /\p{M}{9,}/gu;

// Control, direction, invisible and half characters by their names, as in ‹U+202E›; of a heap of accents the first.
function visible(text) {
  const lines = text.slice(0, MAX_CHARS).replace(/\r\n?/g, "\n");
  const named = lines.replace(HIDDEN, (char) => (KEPT.includes(char) ? char : nameOf(char)));
  const shown = named.replace(HEAP, (heap) => {
    const marks = [...heap];
    return `${marks.slice(0, MAX_MARKS).join("")}‹${marks.length - MAX_MARKS} more marks›`;
  });
  return text.length <= MAX_CHARS ? shown : `${shown} … (${numberText(text.length - MAX_CHARS)} more characters)`;
}

function nameOf(char) {
  return `‹U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}›`;
}
