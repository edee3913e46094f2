// The page: one conversation in view, at most one question on its way, the map beside it.

class Page {
  constructor() {
    Object.assign(this, { meta: null, model: "", conversations: [], conversation: null, generation: null });
    this.views = new Map();  // node -> MessageView
    this.routings = new WeakMap();  // node -> Routing
    this.shown_node = null;  // whose experts the map shows
    this.minute = new LastMinute();
    this.served_minute = null;
    this.store = new Store();
    const wide = innerWidth >= 1000;
    this.panels = remembered.read("panels", { side: wide, map: innerWidth >= 760, colours: false, theme: "" });
    this.settings = new SettingsDialog();
    this.sidebar = new Sidebar(this);
    this.map = new ExpertMap($("map"), $("readout"));
    this.strip = new ImbalanceStrip($("strip"), $("figures"), $("legend"));
  }

  async begin() {
    const kept = await this.store.open();
    this.listen();
    this.apply_panels();
    if (!kept) $("store-note").textContent = "This browser keeps nothing: export what you need.";
    this.conversations = await this.store.all();
    await this.connect();
    const last = this.conversations.find(c => c.id === remembered.read("last", {}).id);
    if (last) this.show(last);
    else this.start_new();
  }

  async connect() {
    try {
      const model = (await get_json("/v1/models")).data[0];
      Object.assign(this, { meta: model.meta, model: model.id });
      const { num_layers, num_experts, num_expert_groups } = model.meta;
      $("model").textContent = `${model.id} · ${num_layers} layers` + (num_experts ? `, ${num_experts} experts in ` +
        `${num_expert_groups} group${num_expert_groups === 1 ? "" : "s"}` : ", dense") + `, context ${model.max_model_len}`;
      document.body.classList.toggle("dense", !num_experts);
      this.fill_devices();
      this.offer_forms();
    } catch (error) {
      $("model").textContent = error.status === 401 ? "an API key is needed: Settings" : "no answer from the server: " + error.message;
    }
  }

  fill_devices() {
    if (!this.meta.num_experts) return;
    $("devices").replaceChildren(...device_choices(this.meta).map(d => element("option", {}, String(d))));
    $("devices").value = String(usual_devices(this.meta));
  }

  // ---- what the user presses

  listen() {
    $("composer").onsubmit = event => { event.preventDefault(); this.send(); };
    $("prompt").onkeydown = event => this.key_in_prompt(event);
    $("stop").onclick = () => this.generation?.stop();
    for (const [id, name] of [["side-toggle", "side"], ["map-toggle", "map"], ["colour-toggle", "colours"]])
      $(id).onclick = () => this.toggle(name);
    for (const input of $("form").querySelectorAll("input")) input.onchange = () => this.set_form(input.value);
    for (const input of $("window").querySelectorAll("input")) input.onchange = () => { this.show_experts(); this.refresh_minute(); };
    $("devices").onchange = () => this.show_experts();
    $("theme").onchange = () => { this.panels.theme = $("theme").value; this.apply_panels(); };
    $("system").oninput = () => { this.conversation.system = $("system").value; this.save(this.conversation); };
    $("api-key").onchange = () => this.connect();
    document.addEventListener("keydown", event => this.key(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint());
    addEventListener("pagehide", () => this.generation && this.save(this.generation.conversation));
    this.store.elsewhere(() => this.reload_list());
    setInterval(() => this.refresh_minute(), 1000);
  }

  key_in_prompt(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.send(); }
    if (event.key !== "ArrowUp" || $("prompt").value) return;
    const last = path_of(this.conversation).findLast(i => this.conversation.nodes[i].role === "user");
    if (last !== undefined) { event.preventDefault(); this.edit(last); }
  }

  key(event) {
    if (event.key === "Escape" && this.generation && !$("settings").open) this.generation.stop();
    if (!event.altKey || event.ctrlKey || event.metaKey) return;
    const act = { KeyN: () => this.start_new(), KeyC: () => this.toggle("side"), KeyM: () => this.toggle("map"),
                  KeyL: () => this.toggle("colours"), KeyS: () => $("settings").showModal() }[event.code];
    if (act) { event.preventDefault(); act(); }
  }

  toggle(panel) {
    this.panels[panel] = !this.panels[panel];
    this.apply_panels();
    if (panel === "side" && this.panels.side) $("search").focus();
  }

  apply_panels() {
    const { side, map, colours, theme } = this.panels;
    document.body.classList.toggle("side-open", side);
    document.body.classList.toggle("map-open", map);
    $("side-toggle").setAttribute("aria-expanded", side);
    $("map-toggle").setAttribute("aria-expanded", map);
    $("colour-toggle").setAttribute("aria-pressed", colours);
    document.documentElement.dataset.theme = $("theme").value = theme;
    remembered.write("panels", this.panels);
    this.repaint();
  }

  repaint() {
    colors.clear();
    this.map.draw();
    this.strip.draw();
    for (const view of this.views.values()) view.refresh();
  }

  say(text, wrong = false) {
    $("status").textContent = text;
    $("status").classList.toggle("wrong", wrong);
  }

  // ---- conversations

  start_new() {
    const form = this.conversation?.form || remembered.read("last", { form: "chat" }).form;
    this.show(new_conversation(form, this.conversation?.system || ""));
    $("prompt").focus();
  }

  show(conversation) {
    this.conversation = conversation;
    remembered.write("last", { id: conversation.id, form: conversation.form });
    $("system").value = conversation.system;
    document.title = conversation.title || "moge";
    this.offer_forms();
    this.show_thread();
    this.sidebar.paint();
    if (innerWidth < 1000 && this.panels.side) this.toggle("side");
  }

  offer_forms() {
    if (!this.conversation || !this.meta) return;
    const asked = this.conversation.nodes.length > 0, no_chat = !this.meta.has_chat_template;
    if (no_chat && !asked) this.conversation.form = "text";
    for (const input of $("form").querySelectorAll("input")) {
      input.checked = input.value === this.conversation.form;
      input.disabled = asked || (no_chat && input.value === "chat");
    }
    $("form").title = asked ? "A conversation keeps its form" : no_chat ? "The model has no chat template" : "";
    const is_text = this.conversation.form === "text";
    document.body.classList.toggle("text-form", is_text);
    $("prompt").placeholder = is_text ? "Begin a text; the model goes on" : "Ask";
  }

  set_form(form) {
    this.conversation.form = form;
    remembered.write("last", { id: this.conversation.id, form });
    this.offer_forms();
  }

  show_thread() {
    const path = path_of(this.conversation);
    this.views.clear();
    const elements = path.map(i => {
      const view = new MessageView(this.conversation, i, this);
      this.views.set(view.node, view);
      return view.element;
    });
    $("thread").replaceChildren(...(elements.length ? elements :
      [element("p", { className: "empty" }, "Ask something, and watch which experts answer.")]));
    $("thread").scrollTop = $("thread").scrollHeight;
    this.shown_node = path.map(i => this.conversation.nodes[i]).findLast(node => node.role === "assistant") || null;
    this.show_experts();
  }

  async save(conversation) {
    if (!this.conversations.includes(conversation)) {
      if (!conversation.nodes.length) return;
      this.conversations.unshift(conversation);
    }
    try { await this.store.put(conversation); } catch (error) { this.say("not kept: " + error.message, true); }
  }

  /** Another tab has written: its conversations appear here; the one in view stays. */
  async reload_list() {
    const kept = [this.conversation, this.generation?.conversation];
    this.conversations = (await this.store.all()).map(c => kept.find(k => k?.id === c.id) || c);
    this.sidebar.paint();
  }

  async take_in(conversation) {
    const same = this.conversations.find(c => c.id === conversation.id);
    if (same) conversation.id = new_conversation("chat", "").id;
    await this.save(conversation);
    this.conversations.sort((a, b) => b.updated - a.updated);
  }

  async remove(conversation) {
    if (this.generation?.conversation === conversation) this.generation.stop();
    this.conversations = this.conversations.filter(c => c !== conversation);
    if (conversation === this.conversation) this.start_new();
    this.sidebar.paint();
    await this.store.remove(conversation.id);
  }

  // ---- asking

  send() {
    const text = $("prompt").value;
    if (this.generation || (!text.trim() && !this.conversation.nodes.length)) return;
    $("prompt").value = "";
    const leaf = path_of(this.conversation).at(-1) ?? -1;
    if (!text && this.conversation.nodes[leaf].role === "user") return this.answer(leaf);
    this.answer(add_node(this.conversation, leaf, "user", text));
  }

  edit(index) {
    if (this.generation) return;
    const node = this.conversation.nodes[index];
    edit_in_place(this.views.get(node), text => {
      if (text === null || !text.trim()) this.show_thread();
      else this.answer(add_node(this.conversation, node.parent, "user", text));
      $("prompt").focus();
    });
  }

  regenerate(index) {
    if (!this.generation) this.answer(this.conversation.nodes[index].parent);
  }

  choose(parent, child) {
    this.conversation.chosen[parent] = child;
    this.save(this.conversation);
    this.show_thread();
  }

  async answer(prompt) {
    let fields;
    try { fields = sampling_fields(this.settings.values); } catch (error) { this.show_thread(); return this.say(error.message, true); }
    const { conversation } = this;
    const nodes = Array.from({ length: fields.n || 1 }, () => conversation.nodes[add_node(conversation, prompt, "assistant", "")]);
    conversation.chosen[prompt] = conversation.nodes.indexOf(nodes[0]);
    const generation = this.generation = new Generation(this, conversation, nodes);
    this.busy(true);
    this.show_thread();
    await this.save(conversation);
    this.sidebar.paint();
    this.offer_forms();
    await generation.run(request_body(this.model, question(conversation, prompt), fields, this.panels.colours));
    this.finish(nodes);
  }

  finish(nodes) {
    const { conversation } = this.generation;
    this.generation = null;
    for (const node of nodes) {
      if (this.routings.has(node)) node.map = this.routings.get(node).totals();
      this.views.get(node)?.refresh();
    }
    conversation.updated = Date.now();
    this.busy(false);
    this.save(conversation);
  }

  busy(on) {
    $("send").hidden = on;
    $("stop").hidden = !on;
    $("thread").setAttribute("aria-busy", on);
    if (on) this.say("");
  }

  is_live(node) { return Boolean(this.generation?.nodes.includes(node)) && !this.generation.timing[this.generation.nodes.indexOf(node)].finish; }

  /** An answer has grown. */
  changed(node) {
    const thread = $("thread"), at_end = thread.scrollHeight - thread.scrollTop - thread.clientHeight < 60;
    this.views.get(node)?.refresh();
    if (at_end) requestAnimationFrame(() => { thread.scrollTop = thread.scrollHeight; });
  }

  // ---- the experts

  /** A token of `node` went through these experts. */
  routed(node, routed, plain) {
    const { num_layers, num_experts } = this.meta;
    if (!num_experts) return;
    if (!this.routings.has(node)) this.routings.set(node, new Routing(num_layers, num_experts));
    this.routings.get(node).add(routed, plain);
    this.minute.add(num_layers, num_experts, routed, plain);
    if (node === this.shown_node) this.show_experts();
  }

  routing_of(node) {
    if (node && !this.routings.has(node) && node.map && this.fits(node.map)) this.routings.set(node, Routing.of_totals(node.map));
    return this.routings.get(node);
  }
  fits(map) { return map.layers === this.meta.num_layers && map.experts === this.meta.num_experts; }

  get window() { return document.querySelector("#window input:checked").value; }

  show_experts() {
    if (!this.meta?.num_experts) return;
    const { num_layers, num_experts } = this.meta, devices = Number($("devices").value);
    const minute = this.window === "minute";
    const routing = (minute ? this.served_minute || this.minute.sum(num_layers, num_experts) : this.routing_of(this.shown_node)) ||
                    new Routing(num_layers, num_experts);
    const what = !minute ? "This answer" : this.served_minute ? "The server's last minute" : "This page's last minute";
    this.map.show(this.meta, routing, devices, what);
    this.strip.show(this.meta, routing, devices);
  }

  async refresh_minute() {
    if (this.window !== "minute" || document.hidden || !this.panels.map || !this.meta?.num_experts) return;
    await this.ask_for_minute();
    this.show_experts();
  }

  /** GET /experts; a server that does not count is not asked again. */
  async ask_for_minute() {
    if (this.no_served_minute) return;
    const { num_layers, num_experts } = this.meta;
    try {
      this.served_minute = served_routing(await get_json("/experts"), num_layers, num_experts, this.minute.sum(num_layers, num_experts));
    } catch (error) {
      this.served_minute = null;
      this.no_served_minute = [404, 501].includes(error.status);
    }
  }
}

const page = new Page();
page.begin();
