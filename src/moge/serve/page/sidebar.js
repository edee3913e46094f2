// The list of conversations: open, search, rename, export, import, delete.

class Sidebar {
  constructor(page) {
    this.page = page;
    $("search").oninput = () => this.paint();
    $("new").onclick = () => page.start_new();
    $("export-all").onclick = () => this.export("moge conversations", page.conversations);
    $("import").onclick = () => $("import-file").click();
    $("import-file").onchange = () => this.import();
  }

  paint() {
    const words = $("search").value.trim();
    const found = this.page.conversations.filter(c => !words || contains_text(c, words));
    $("list").replaceChildren(...found.map(c => this.entry(c)));
    if (!found.length && words) $("list").append(element("li", { className: "soft small" }, "nothing found"));
  }

  entry(conversation) {
    const name = conversation.title || "New conversation";
    const open = button(name, name, () => this.page.show(conversation), "open");
    const rename = button("✎", "Rename", () => this.rename(item, conversation), "tiny rename");
    const save = button("⤓", "Export", () => this.export(name, [conversation]), "tiny export");
    const remove = button("✕", "Delete", () => this.ask_delete(remove, conversation), "tiny delete");
    const item = element("li", {}, open, rename, save, remove);
    for (const [made, what] of [[rename, "Rename"], [save, "Export"], [remove, "Delete"]])
      made.setAttribute("aria-label", `${what} ${name}`);
    item.setAttribute("aria-current", conversation === this.page.conversation);
    return item;
  }

  rename(item, conversation) {
    const field = element("input", { value: conversation.title, maxLength: 200 });
    field.setAttribute("aria-label", "New name");
    const done = keep => {
      field.onblur = null;
      if (keep && field.value.trim()) conversation.title = field.value.trim();
      this.page.save(conversation);
      this.paint();
    };
    field.onblur = () => done(true);
    field.onkeydown = event => {
      if (event.key === "Enter") done(true);
      if (event.key === "Escape") { event.stopPropagation(); done(false); }
    };
    item.replaceChildren(field);
    field.focus();
    field.select();
  }

  /** The first press asks, the second one deletes. */
  ask_delete(pressed, conversation) {
    if (pressed.textContent === "sure?") return this.page.remove(conversation);
    pressed.textContent = "sure?";
    setTimeout(() => { pressed.textContent = "✕"; }, 4000);
  }

  export(name, conversations) {
    download(name.replace(/[^\p{L}\p{N} _-]+/gu, "_").slice(0, 60) + ".json", export_text(conversations));
  }

  async import() {
    const file = $("import-file").files[0];
    $("import-file").value = "";
    if (!file) return;
    try {
      const read = read_export(await file.text());
      for (const conversation of read) await this.page.take_in(conversation);
      this.page.say(`${read.length} conversation${read.length === 1 ? "" : "s"} imported`);
    } catch (error) {
      this.page.say("not imported: " + error.message, true);
    }
    this.paint();
  }
}
