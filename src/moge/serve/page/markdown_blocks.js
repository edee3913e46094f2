// Markdown's blocks: paragraphs, headings, code, lists, quotes, tables, rules. HTML stays text.

const kMaxBlockDepth = 12;
const kFence = /^ {0,3}(`{3,}|~{3,})([^`\n]*)$/;
const kHeading = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const kRule = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const kQuote = /^ {0,3}> ?/;
const kItem = /^( {0,3})([-*+]|\d{1,9}[.)])( +|$)(.*)$/;
const kTableRule = /^ {0,3}\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;

const is_table_rule = line => line.length < 1000 && kTableRule.test(line);
const blank = line => /^\s*$/.test(line);
const starts_block = line => kFence.test(line) || kHeading.test(line) || kRule.test(line) || kQuote.test(line);
const indent_of = line => line.length - line.trimStart().length;

/** Each of these takes its block from lines[at...] and returns {kind, end, ...}, or null. */
const block_readers = [
  function code(lines, at) {
    const opened = kFence.exec(lines[at]);
    if (!opened) return null;
    const fence = opened[1], strip = indent_of(lines[at]);
    let end = at + 1;
    const closes = line => line.trim().length >= fence.length && line.trim() === fence[0].repeat(line.trim().length);
    while (end < lines.length && !closes(lines[end])) end++;
    const inside = lines.slice(at + 1, end).map(line => line.slice(Math.min(strip, indent_of(line))));
    return { kind: "code", end: end + 1, language: opened[2].trim().split(/\s/)[0].slice(0, 30), lines: inside };
  },
  function heading(lines, at) {
    const found = kHeading.exec(lines[at]);
    return found && { kind: "heading", end: at + 1, level: found[1].length,
                      text: (found[2] || "").trimEnd().replace(/(?:^| )#{1,100}$/, "") };
  },
  function rule(lines, at) {
    return kRule.test(lines[at]) ? { kind: "rule", end: at + 1 } : null;
  },
  function quote(lines, at) {
    if (!kQuote.test(lines[at])) return null;
    let end = at + 1;
    while (end < lines.length && (kQuote.test(lines[end]) || (!blank(lines[end]) && !starts_block(lines[end]) &&
           !kItem.test(lines[end])))) end++;
    return { kind: "quote", end, lines: lines.slice(at, end).map(line => line.replace(kQuote, "")) };
  },
  function list(lines, at) {
    const first = kItem.exec(lines[at]);
    if (!first) return null;
    const made = { kind: "list", ordered: /\d/.test(first[2]), start: parseInt(first[2]), items: [], loose: false };
    const type = first[2].at(-1);
    let end = at;
    for (let item; end < lines.length && (item = kItem.exec(lines[end])) && item[2].at(-1) === type &&
         !kRule.test(lines[end]);) {
      const read = read_item(lines, end, item);
      made.items.push(read.lines);
      made.loose = made.loose || read.loose;
      end = read.end;
    }
    return made.items.length ? { ...made, end } : null;
  },
  function table(lines, at) {
    if (at + 1 >= lines.length || !lines[at].includes("|") || !is_table_rule(lines[at + 1])) return null;
    const head = cells_of(lines[at]), rules = cells_of(lines[at + 1]);
    if (head.length !== rules.length) return null;
    let end = at + 2;
    while (end < lines.length && lines[end].includes("|") && !starts_block(lines[end])) end++;
    const align = rules.map(r => r.endsWith(":") ? (r.startsWith(":") ? "center" : "right") : "");
    return { kind: "table", end, head, align, rows: lines.slice(at + 2, end).map(cells_of) };
  },
  function indented(lines, at) {
    if (!/^ {4}/.test(lines[at])) return null;
    let end = at + 1;
    while (end < lines.length && (/^ {4}/.test(lines[end]) || (blank(lines[end]) && /^ {4}/.test(lines[end + 1] || "")))) end++;
    return { kind: "code", end, language: "", lines: lines.slice(at, end).map(line => line.slice(4)) };
  },
  function paragraph(lines, at) {
    let end = at + 1;
    while (end < lines.length && !blank(lines[end]) && !starts_block(lines[end]) && !interrupts(lines, end)) end++;
    return { kind: "paragraph", end, text: lines.slice(at, end).map(l => l.trimStart()).join("\n").trimEnd() };
  },
];

/** Lists that start at 1 and tables end a paragraph. */
function interrupts(lines, at) {
  const item = kItem.exec(lines[at]);
  if (item && item[4] && (!/\d/.test(item[2]) || parseInt(item[2]) === 1)) return true;
  return at + 1 < lines.length && lines[at].includes("|") && is_table_rule(lines[at + 1]) &&
         cells_of(lines[at]).length === cells_of(lines[at + 1]).length;
}

function read_item(lines, at, item) {
  const spaces = item[3].length > 4 ? 1 : Math.max(1, item[3].length);
  const width = item[1].length + item[2].length + spaces;
  const inside = [lines[at].slice(width)];
  let end = at + 1, loose = false;
  for (; end < lines.length; end++) {
    const line = lines[end];
    if (blank(line)) {
      const next = lines[end + 1];
      if (next === undefined || blank(next) || (indent_of(next) < width && !kItem.test(next))) break;
      if (indent_of(next) < width) { loose = true; end++; break; }
      loose = true;
      inside.push("");
    } else if (indent_of(line) >= width) inside.push(line.slice(width));
    else if (kItem.test(line) || starts_block(line) || blank(lines[end - 1])) break;
    else inside.push(line.trimStart());
  }
  return { lines: inside, end, loose };
}

function cells_of(line) {
  const inside = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  return inside.split(/(?<!\\)\|/).slice(0, 100).map(cell => cell.trim().replace(/\\\|/g, "|"));
}

function parse_blocks(lines) {
  const blocks = [];
  for (let at = 0; at < lines.length;) {
    if (blank(lines[at])) { at++; continue; }
    for (const read of block_readers) {
      const block = read(lines, at);
      if (!block) continue;
      block.source = lines.slice(at, block.end).join("\n");
      blocks.push(block);
      at = block.end;
      break;
    }
  }
  return blocks;
}

const block_writers = {
  paragraph(block) {
    const made = element("p");
    render_inline(made, block.text);
    return made;
  },
  heading(block) {
    const made = element("h" + block.level);
    render_inline(made, block.text);
    return made;
  },
  rule: () => element("hr"),
  quote: (block, depth) => element("blockquote", {}, ...write_blocks(block.lines, depth + 1)),
  code(block) {
    const text = block.lines.join("\n");
    const code = element("code");
    highlight(code, text, block.language);
    const copy = button("Copy", "Copy this code", () => copy_text(text, copy));
    return element("div", { className: "code" }, element("div", {}, element("span", {}, block.language || "text"), copy),
                   element("pre", { tabIndex: 0 }, code));
  },
  list(block, depth) {
    const made = element(block.ordered ? "ol" : "ul");
    if (block.ordered && block.start !== 1) made.start = block.start;
    for (const lines of block.items) made.append(write_item(lines, block.loose, depth));
    return made;
  },
  table(block) {
    const row = (cells, tag) => element("tr", {}, ...block.align.map((className, i) => {
      const cell = element(tag, { className });
      render_inline(cell, cells[i] || "");
      return cell;
    }));
    return element("div", { className: "table" }, element("table", {},
      element("thead", {}, row(block.head, "th")), element("tbody", {}, ...block.rows.map(r => row(r, "td")))));
  },
};

function write_item(lines, loose, depth) {
  const made = element("li");
  const task = /^\[([ xX])\] /.exec(lines[0]);
  if (task) {
    made.append(element("input", { type: "checkbox", disabled: true, checked: task[1] !== " " }));
    lines = [lines[0].slice(4), ...lines.slice(1)];
  }
  for (const child of write_blocks(lines, depth + 1))
    if (!loose && child.tagName === "P") made.append(...child.childNodes);
    else made.append(child);
  return made;
}

function write_blocks(lines, depth = 0) {
  if (depth > kMaxBlockDepth) return [element("p", {}, lines.join("\n"))];
  return parse_blocks(lines).map(block => block_writers[block.kind](block, depth));
}

const lines_of = text => text.replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n");

/** Shows a growing text: blocks that have not changed keep their elements. */
class MarkdownView {
  constructor(root) {
    this.root = root;
    this.shown = [];
    root.classList.add("markdown");
  }
  update(text) {
    const blocks = parse_blocks(lines_of(text));
    let same = 0;
    while (same < blocks.length && blocks[same].source === this.shown[same]) same++;
    while (this.root.children.length > same) this.root.lastChild.remove();
    for (const block of blocks.slice(same)) this.root.append(block_writers[block.kind](block, 0));
    this.shown = blocks.map(block => block.source);
  }
}
