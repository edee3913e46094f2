// One question on its way: n answers grow in their nodes while events arrive.

class Generation {
  /** nodes: the answers' nodes; page.changed(node) is called as they grow. */
  constructor(page, conversation, nodes) {
    Object.assign(this, { page, conversation, nodes, controller: new AbortController() });
    this.timing = nodes.map(() => ({ first: 0, last: 0, tokens: 0, finish: "" }));
    this.start = performance.now();
  }

  stop() { this.controller.abort(); }

  async run(body) {
    try {
      for await (const piece of ask(body, this.controller.signal)) this.take(piece);
    } catch (error) {
      if (error.name === "AbortError") this.end_all("stopped");
      else this.fail(error);
    }
    this.end_all("cut off");
  }

  take(piece) {
    const node = this.nodes[piece.index], timing = this.timing[piece.index];
    if (!node) return;
    node.text += piece.text;
    if (piece.reasoning) node.reasoning = (node.reasoning || "") + piece.reasoning;
    if (piece.tools) node.text += this.tool_text(piece.tools);
    if (piece.logprobs.length) (node.tokens ||= []).push(...piece.logprobs);
    this.count(node, timing, piece);
    timing.served_rate = piece.timings?.predicted_per_second;
    if (piece.finish) this.end(piece.index, piece.finish);
    else node.stats = this.stats(timing);
    this.page.changed(node);
  }

  /** Calls of tools are shown as text; this page has none to run. */
  tool_text(calls) {
    return calls.map(call => (call.function?.name ? `\ncall ${call.function.name}: ` : "") + (call.function?.arguments || "")).join("");
  }

  count(node, timing, piece) {
    const tokens = piece.routed.length || (piece.text || piece.reasoning || piece.tools ? 1 : 0);
    if (tokens && !piece.finish) {
      timing.last = performance.now();
      timing.first ||= timing.last;
      timing.tokens += tokens;
    }
    piece.routed.forEach((by_layer, i) => this.page.routed(node, by_layer, piece.plain[i] || []));
  }

  /** The server's own rate at the end: tokens that arrive in one packet seem faster than they were. */
  stats({ tokens, first, last, finish, served_rate }) {
    if (!tokens) return finish && `no tokens · ${finish}`;
    const rate = served_rate || (last - first > 50 ? (tokens - 1) * 1000 / (last - first) : 0);
    return `${tokens} token${tokens === 1 ? "" : "s"}${rate ? ` · ${rate.toFixed(1)} tokens/s` : ""} · first after ${(first - this.start).toFixed(0)} ms` +
           (finish ? ` · ${finish}` : "");
  }

  end(i, finish) {
    if (this.timing[i].finish) return;
    this.timing[i].finish = finish;
    this.nodes[i].stats = this.stats(this.timing[i]);
    this.page.changed(this.nodes[i]);
  }

  end_all(finish) { this.nodes.forEach((_, i) => this.end(i, finish)); }

  fail(error) {
    this.nodes.forEach((node, i) => {
      if (this.timing[i].finish) return;
      node.error = error.message;
      this.end(i, "error");
    });
    if (error.status === 401) this.page.say("This server wants an API key: Settings.", true);
  }
}
