// A conversation is a tree: an edited prompt or another answer is a sibling, nothing is lost.

function new_conversation(form, system) {
  const now = Date.now();
  const id = Array.from(crypto.getRandomValues(new Uint8Array(12)), b => b.toString(16).padStart(2, "0")).join("");
  return { id, title: "", form, system, created: now, updated: now, nodes: [], chosen: {} };
}

function children_of(conversation, parent) {
  return conversation.nodes.flatMap((node, i) => node.parent === parent ? [i] : []);
}

/** The shown nodes' numbers from the first prompt down; of siblings the chosen one, else the last. */
function path_of(conversation) {
  const children = new Map(), path = [];
  conversation.nodes.forEach((node, i) => {
    if (!children.has(node.parent)) children.set(node.parent, []);
    children.get(node.parent).push(i);
  });
  for (let at = -1, siblings; (siblings = children.get(at)); path.push(at))
    at = siblings.includes(conversation.chosen[at]) ? conversation.chosen[at] : siblings.at(-1);
  return path;
}

function add_node(conversation, parent, role, text) {
  const index = conversation.nodes.push({ role, parent, text }) - 1;
  conversation.chosen[parent] = index;
  if (!conversation.title && role === "user") conversation.title = text.trim().split("\n")[0].slice(0, 80);
  conversation.updated = Date.now();
  return index;
}

/** Nodes from the root to `index`. */
function line_to(conversation, index) {
  const line = [];
  for (; index >= 0; index = conversation.nodes[index].parent) line.unshift(conversation.nodes[index]);
  return line;
}

/** What the model is asked so that it answers the prompt `index`: messages or one text. */
function question(conversation, index) {
  const line = line_to(conversation, index);
  if (conversation.form === "text") return { prompt: line.map(node => node.text).join("") };
  const messages = line.map(node => ({ role: node.role, content: split_reasoning(node.text).answer }));
  if (conversation.system) messages.unshift({ role: "system", content: conversation.system });
  return { messages };
}

const kThinking = [["<think>", "</think>"], ["[unused16]", "[unused17]"]];

/** Models that think aloud put it before the answer, between marks. */
function split_reasoning(text) {
  for (const [open, close] of kThinking) {
    const opened = text.trimStart().startsWith(open), end = text.indexOf(close);
    if (!opened && end < 0) continue;
    const begin = opened ? text.indexOf(open) + open.length : 0;
    if (end < 0) return { reasoning: text.slice(begin), answer: "", thinking: true };
    return { reasoning: text.slice(begin, end).trim(), answer: text.slice(end + close.length).trimStart(), thinking: false };
  }
  return { reasoning: "", answer: text, thinking: false };
}

function contains_text(conversation, words) {
  const text = [conversation.title, ...conversation.nodes.map(node => node.text)].join("\n").toLowerCase();
  return words.toLowerCase().split(/\s+/).every(word => text.includes(word));
}
