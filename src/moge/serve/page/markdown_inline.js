// Markdown inside a line of text: emphasis, code, links. Time is linear in the text's length.

const kMaxNesting = 24;
const kEntities = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": "\"", "&#39;": "'", "&nbsp;": "\u00a0" };
const kTags = { "*1": "em", "*2": "strong", "_1": "em", "_2": "strong", "~2": "del" };

/** An absolute http, https or mailto address, or null: nothing else may become a link. */
function safe_address(text) {
  if (text.length > 2000 || !/^(https?:\/\/|mailto:)/i.test(text)) return null;
  try {
    const url = new URL(text);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch { return null; }
}

function link(address) {
  return element("a", { href: address, title: address, target: "_blank", rel: "noopener noreferrer nofollow" });
}

/** Reads the text into pieces: strings, finished nodes, and marks that open or close an element. */
class InlineReader {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.pieces = [];
    this.open = [];  // marks that may still find their end: {kind: "*", size: 2, mark}
    this.last_bracket = text.lastIndexOf("](");
  }

  read() {
    const plain = /[^\\`*_~[\]!<&\nh]+/y;
    while (this.at < this.text.length) {
      plain.lastIndex = this.at;
      const run = plain.exec(this.text);
      if (run) this.take(run[0].length, run[0]);
      else this.special(this.text[this.at]);
    }
    return this.pieces;
  }

  take(length, piece) { this.at += length; this.pieces.push(piece); }

  match(pattern) {
    pattern.lastIndex = this.at;
    return pattern.exec(this.text);
  }

  special(c) {
    const found =
      c === "\\" ? this.escape() : c === "`" ? this.code() : c === "&" ? this.entity() :
      c === "\n" ? this.line_break() : c === "<" ? this.address_in_angles() : c === "h" ? this.address() :
      c === "[" || c === "!" ? this.bracket(c) : c === "]" ? this.end_bracket() : this.emphasis(c);
    if (!found) this.take(1, c);
  }

  escape() {
    const next = this.text[this.at + 1];
    if (next === "\n") { this.at += 1; return this.line_break(); }
    if (!next || !/[!-/:-@[-`{-~]/.test(next)) return false;
    this.take(2, next);
    return true;
  }

  line_break() {
    this.take(1, element("br"));
    return true;
  }

  entity() {
    const found = this.match(/&(?:amp|lt|gt|quot|nbsp|#39);/y);
    if (found) this.take(found[0].length, kEntities[found[0]]);
    return found;
  }

  code() {
    const ticks = this.match(/`+/y)[0].length;
    const fence = /`+/g;
    fence.lastIndex = this.at + ticks;
    for (let end; (end = fence.exec(this.text));) {
      if (end[0].length !== ticks) continue;
      const inside = this.text.slice(this.at + ticks, end.index).replace(/\n/g, " ");
      const spaced = /^ .*[^ ].* $/s.test(inside);
      this.take(fence.lastIndex - this.at, element("code", {}, spaced ? inside.slice(1, -1) : inside));
      return true;
    }
    this.take(ticks, "`".repeat(ticks));
    return true;
  }

  address_in_angles() {
    const found = this.match(/<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/iy);
    return found && this.take_address(found[1], found[0].length);
  }

  address() {
    if (/[A-Za-z0-9]/.test(this.text[this.at - 1] || "")) return false;
    const found = this.match(/https?:\/\/[^\s<>"'`*]{1,2000}/y);
    if (!found) return false;
    const text = found[0].replace(/[.,;:!?)\]}_~]+$/, "");
    return this.take_address(text, text.length);
  }

  take_address(text, length) {
    const address = safe_address(text);
    if (!address || this.open.some(o => o.kind === "[")) return false;
    const made = link(address);
    made.textContent = text;
    this.take(length, made);
    return true;
  }

  bracket(c) {
    const image = c === "!";
    if (image && this.text[this.at + 1] !== "[") return false;
    if (this.at > this.last_bracket || this.open.length >= kMaxNesting) return false;
    const mark = { literal: image ? "![" : "[", tag: null };
    this.open.push({ kind: "[", size: 1, mark, image });
    this.take(mark.literal.length, mark);
    return true;
  }

  end_bracket() {
    const opener = this.open.findLastIndex(o => o.kind === "[");
    if (opener < 0) return false;
    const { mark, image } = this.open[opener];
    const found = this.match(/\]\(\s{0,9}<?([^\s<>()]{0,2000}(?:\([^\s<>()]{0,2000}\)[^\s<>()]{0,2000})?)>?(?:\s{1,9}(?:"[^"\n]{0,500}"|'[^'\n]{0,500}'))?\s{0,9}\)/y);
    const address = found && safe_address(found[1]);
    this.open.length = opener;
    if (!address) return false;
    this.open = this.open.filter(o => o.kind !== "[");  // no link inside a link
    mark.tag = link(address);  // an image is never loaded: it becomes a link to it
    if (image) mark.tag.append("image: ");
    this.take(found[0].length, { close: mark });
    return true;
  }

  emphasis(c) {
    if (!"*_~".includes(c)) return false;
    let end = this.at;
    while (this.text[end] === c) end++;
    let left = end - this.at;
    const before = this.text[this.at - 1] || " ", after = this.text[end] || " ";
    this.at = end;
    const word = /[\p{L}\p{N}]/u;
    if (!/\s/.test(before) && !(c === "_" && word.test(after))) left -= this.close(c, left);
    const opens = !/\s/.test(after) && !(c === "_" && word.test(before));
    if (left > 0 && left <= 3 && opens) left -= this.open_marks(c, left);
    if (left > 0) this.pieces.push(c.repeat(left));
    return true;
  }

  close(c, available) {
    let used = 0;
    for (;;) {
      const limit = this.open.findLastIndex(o => o.kind === "[");
      const opener = this.open.findLastIndex((o, i) => i > limit && o.kind === c && o.size <= available - used);
      if (opener < 0) return used;
      const { mark, size } = this.open[opener];
      if (this.pieces.at(-1) === mark) return used;  // nothing in between
      this.open.length = opener;
      mark.tag = element(kTags[c + size]);
      this.pieces.push({ close: mark });
      used += size;
    }
  }

  open_marks(c, wanted) {
    let used = 0;
    for (const size of [2, 1]) {
      if (wanted - used < size || !kTags[c + size] || this.open.length >= kMaxNesting) continue;
      const mark = { literal: c.repeat(size), tag: null };
      this.open.push({ kind: c, size, mark });
      this.pieces.push(mark);
      used += size;
    }
    return used;
  }
}

/** Appends the text's nodes to `parent`. */
function render_inline(parent, text) {
  const stack = [parent];
  for (const piece of new InlineReader(text).read()) {
    const top = stack.at(-1);
    if (piece.close) stack.pop();
    else if (piece.literal === undefined) top.append(piece);
    else if (!piece.tag) top.append(piece.literal);
    else { top.append(piece.tag); stack.push(piece.tag); }
  }
  parent.normalize();
}
