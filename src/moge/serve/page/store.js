// Conversations in the browser's IndexedDB; in memory where the browser allows none.

const kExportFormat = "moge.conversations";

class Store {
  async open() {
    this.memory = new Map();
    this.channel = new BroadcastChannel("moge");
    try {
      const request = indexedDB.open("moge", 1);
      request.onupgradeneeded = () => request.result.createObjectStore("conversations", { keyPath: "id" });
      this.database = await promise_of(request);
    } catch {
      this.database = null;
    }
    return this.database !== null;
  }
  work(mode, make) {
    return promise_of(make(this.database.transaction("conversations", mode).objectStore("conversations")));
  }
  /** Calls back when another tab has written. */
  elsewhere(changed) { this.channel.onmessage = changed; }
  async all() {
    const found = this.database ? await this.work("readonly", s => s.getAll()) : [...this.memory.values()];
    return found.filter(is_conversation).sort((a, b) => b.updated - a.updated);
  }
  async put(conversation) {
    this.memory.set(conversation.id, conversation);
    if (this.database) await this.work("readwrite", s => s.put(structuredClone(conversation)));
    this.channel.postMessage("changed");
  }
  async remove(id) {
    this.memory.delete(id);
    if (this.database) await this.work("readwrite", s => s.delete(id));
    this.channel.postMessage("changed");
  }
}

function promise_of(request) {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = request.onblocked = () => failed(request.error || new Error("blocked"));
  });
}

const is_text = value => typeof value === "string";
const is_whole = value => Number.isSafeInteger(value) && value >= 0;

function is_conversation(c) {
  return c !== null && typeof c === "object" && is_text(c.id) && is_text(c.title) && is_text(c.system) &&
         Number.isFinite(c.created) && Number.isFinite(c.updated) && ["chat", "text"].includes(c.form) &&
         Array.isArray(c.nodes) && c.nodes.every(is_node) && c.chosen !== null && typeof c.chosen === "object";
}

/** A parent stands before its children: paths through the tree end. */
function is_node(node, index) {
  return node !== null && typeof node === "object" && ["user", "assistant"].includes(node.role) &&
         is_text(node.text) && Number.isInteger(node.parent) && node.parent >= -1 && node.parent < index &&
         (node.tokens === undefined || (Array.isArray(node.tokens) && node.tokens.every(is_token))) &&
         (node.map === undefined || is_map(node.map)) && (node.stats === undefined || is_text(node.stats)) &&
         (node.reasoning === undefined || is_text(node.reasoning)) && (node.error === undefined || is_text(node.error));
}

function is_token(token) {
  return token !== null && typeof token === "object" && is_text(token.text) && Number.isFinite(token.logprob) &&
         Array.isArray(token.top) && token.top.every(o => Array.isArray(o) && is_text(o[0]) && Number.isFinite(o[1]));
}

function is_map(map) {
  const cells = map !== null && typeof map === "object" && map.layers * map.experts;
  return is_whole(cells) && cells <= 1 << 20 && is_whole(map.tokens) && [map.rows, map.plain].every(
    list => Array.isArray(list) && list.length === cells && list.every(is_whole));
}

function export_text(conversations) {
  return JSON.stringify({ format: kExportFormat, version: 1, conversations }, null, 1);
}

/** The conversations of an exported file; throws an Error that says what is wrong with it. */
function read_export(text) {
  let parsed;
  try { parsed = JSON.parse(text); } catch { throw new Error("the file is not JSON"); }
  if (parsed?.format !== kExportFormat || !Array.isArray(parsed.conversations))
    throw new Error("the file is not an export of this page");
  parsed.conversations.forEach((c, i) => {
    if (!is_conversation(c)) throw new Error(`conversation ${i + 1} of the file is damaged`);
  });
  return parsed.conversations.map(clean_conversation);
}

function clean_conversation({ id, title, form, system, created, updated, nodes, chosen }) {
  const keep = ({ role, parent, text, reasoning, tokens, map, stats, error }) =>
    Object.fromEntries(Object.entries({ role, parent, text, reasoning, tokens, map, stats, error })
      .filter(([, value]) => value !== undefined));
  return { id: id.slice(0, 100), title: title.slice(0, 200), form, system, created, updated,
           nodes: nodes.map(keep), chosen: { ...chosen } };
}
