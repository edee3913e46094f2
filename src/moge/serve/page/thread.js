// The messages of a conversation as elements.

class MessageView {
  /** actions: edit(index), regenerate(index), choose(index, sibling) */
  constructor(conversation, index, page) {
    Object.assign(this, { conversation, index, page, node: conversation.nodes[index] });
    this.body = element("div", { className: "body" });
    this.stats = element("span", { className: "stats soft small" });
    this.alternatives = element("span", { className: "soft small" });
    this.footer = element("footer", {}, this.stats, ...this.buttons(), this.alternatives);
    this.element = element("article", { className: "message " + this.node.role }, this.body, this.footer);
    this.element.dataset.node = index;
    this.refresh();
  }

  buttons() {
    const copy = button("Copy", "Copy the text", () => copy_text(this.node.text, copy));
    const act = this.node.role === "user"
      ? button("Edit", "Edit this prompt and ask again", () => this.page.edit(this.index), "tiny edit")
      : button("Regenerate", "Another answer", () => this.page.regenerate(this.index), "tiny regenerate");
    return [...this.sibling_buttons(), act, copy];
  }

  sibling_buttons() {
    const siblings = children_of(this.conversation, this.node.parent), at = siblings.indexOf(this.index);
    if (siblings.length < 2) return [];
    const to = (label, title, i) => {
      const made = button(label, title, () => this.page.choose(this.node.parent, siblings[i]));
      made.disabled = i < 0 || i >= siblings.length;
      return made;
    };
    return [to("‹", "The one before", at - 1), element("span", { className: "soft small siblings" },
            `${at + 1}/${siblings.length}`), to("›", "The next one", at + 1)];
  }

  refresh = once_a_frame(() => this.paint());

  paint() {
    const { node } = this;
    this.element.classList.toggle("live", this.page.is_live(node));
    this.stats.textContent = node.error || node.stats || "";
    this.stats.classList.toggle("wrong", Boolean(node.error));
    if (node.role === "user" || this.page.panels.colours && node.tokens) this.paint_afresh();
    else this.paint_answer();
  }

  paint_afresh() {
    this.parts = null;
    if (this.node.role === "user") this.body.textContent = this.node.text;
    else this.paint_tokens();
  }

  paint_answer() {
    const split = split_reasoning(this.node.text), reasoning = this.node.reasoning || split.reasoning;
    if (!this.parts) this.make_parts();
    const { folded, summary, aloud, answer, markdown } = this.parts;
    folded.hidden = !reasoning;
    summary.textContent = !reasoning ? "" : this.page.is_live(this.node) && !split.answer ? "Thinking …" : "Reasoning";
    if (reasoning) aloud.update(reasoning);
    if (markdown) markdown.update(split.answer);
    else answer.textContent = split.answer;
  }

  make_parts() {
    const summary = element("summary"), inside = element("div"), answer = element("div");
    const folded = element("details", { className: "reasoning" }, summary, inside);
    const is_chat = this.conversation.form === "chat";
    if (!is_chat) answer.className = "plain";
    this.body.replaceChildren(folded, answer);
    this.parts = { folded, summary, answer, aloud: new MarkdownView(inside), markdown: is_chat && new MarkdownView(answer) };
  }

  /** Every token tinted by its probability, its rivals told on pointing at it. */
  paint_tokens() {
    let list = this.body.querySelector(":scope > .tokens");
    if (!list) this.body.replaceChildren(list = element("div", { className: "tokens" }));
    while (list.children.length > this.node.tokens.length) list.lastChild.remove();
    for (const token of this.node.tokens.slice(list.children.length)) list.append(this.token(token));
  }

  token({ text, logprob, top }) {
    const p = Math.exp(logprob), bucket = [.02, .1, .3, .6, .9].filter(limit => p >= limit).length;
    const percent = value => (100 * Math.exp(value)).toFixed(1) + " %";
    const told = [`${JSON.stringify(text)} ${percent(logprob)}`, ...top.filter(([other]) => other !== text)
      .map(([other, value]) => `${JSON.stringify(other)} ${percent(value)}`)].join(", ");
    const tell = () => { this.alternatives.textContent = told; };
    return element("span", { className: "p" + bucket, title: told, onclick: tell, onpointerenter: tell }, text);
  }
}

/** Turns a prompt into a text field; ends with done(text) or done(null). */
function edit_in_place(view, done) {
  const field = element("textarea", { value: view.node.text, rows: Math.min(12, view.node.text.split("\n").length + 1) });
  field.setAttribute("aria-label", "Edit the prompt");
  const form = element("form", { className: "editing", onsubmit: event => { event.preventDefault(); done(field.value); } }, field,
    element("div", { className: "row" }, element("button", {}, "Ask again"),
            button("Cancel", "Keep it as it was", () => done(null), "quiet")));
  field.onkeydown = event => {
    if (event.key === "Escape") { event.stopPropagation(); done(null); }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); done(field.value); }
  };
  view.body.replaceChildren(form);
  field.focus();
}
