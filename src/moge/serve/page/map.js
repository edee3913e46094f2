// The expert map: layers down, experts across, groups apart, coloured by device.

const device_color = device => color("--d" + device % 8);

function canvas_context(canvas, height) {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.style.height = height + "px";
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  return context;
}

class ExpertMap {
  constructor(canvas, readout) {
    this.canvas = canvas;
    this.readout = readout;
    this.cell = null;  // {layer, expert} under the pointer or the keyboard
    this.draw = once_a_frame(() => this.paint());
    canvas.onpointermove = canvas.onpointerdown = event => this.point(this.cell_at(event.offsetX, event.offsetY));
    canvas.onpointerleave = () => this.point(null);
    canvas.onkeydown = event => this.walk(event);
    canvas.onfocus = () => readout.setAttribute("aria-live", "polite");  // read aloud to who walks, not while it streams
    canvas.onblur = () => readout.removeAttribute("aria-live");
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** meta as of /v1/models, a Routing, the number of devices, and words for what is shown. */
  show(meta, routing, devices, what) {
    Object.assign(this, { meta, routing, devices, what });
    this.draw();
  }

  layout() {
    const { num_experts: E, num_expert_groups: G, num_layers: L } = this.meta, left = 22, top = 20;
    const width = this.canvas.clientWidth - left - 1, gap = Math.min(10, width / (6 * G));
    const cell = Math.max(1, (width - gap * (G - 1)) / E);
    const height = Math.max(L > 24 ? 7 : 14, Math.min(34, cell * 1.3, 620 / L));
    return { left, top, gap, cell, height, x: e => left + e * cell + Math.floor(e * G / E) * gap, y: l => top + l * height };
  }

  cell_at(x, y) {
    if (!this.meta) return null;
    const at = this.layout(), { num_experts: E, num_layers: L } = this.meta;
    const layer = Math.floor((y - at.top) / at.height);
    for (let expert = 0; expert < E; expert++)
      if (x >= at.x(expert) && x < at.x(expert) + at.cell) return layer >= 0 && layer < L ? { layer, expert } : null;
    return null;
  }

  point(cell) {
    if (cell?.layer === this.cell?.layer && cell?.expert === this.cell?.expert) return;
    this.cell = cell;
    this.draw();
  }

  walk(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step || !this.meta) return;
    event.preventDefault();
    const { layer, expert } = this.cell || { layer: -step[0], expert: -step[1] };
    this.point({ layer: Math.min(this.meta.num_layers - 1, Math.max(0, layer + step[0])),
                 expert: Math.min(this.meta.num_experts - 1, Math.max(0, expert + step[1])) });
  }

  paint() {
    if (!this.meta || !this.canvas.clientWidth) return;
    const at = this.layout(), { num_layers: L, num_experts: E } = this.meta;
    const c = canvas_context(this.canvas, Math.ceil(at.y(L)) + 4);
    this.paint_devices(c, at);
    for (let layer = 0; layer < L; layer++) {
      const most = Math.max(1, ...this.routing.rows.subarray(layer * E, (layer + 1) * E));
      for (let expert = 0; expert < E; expert++) this.paint_cell(c, at, layer, expert, most);
    }
    this.paint_groups(c, at);
    this.readout.textContent = this.words();
  }

  paint_cell(c, at, layer, expert, most) {
    const i = layer * this.meta.num_experts + expert;
    const edge = at.cell > 8 ? 1 : 0.25, x = at.x(expert) + edge, y = at.y(layer) + edge;
    const w = at.cell - 2 * edge, h = at.height - 2 * edge;
    c.globalAlpha = 1;
    c.fillStyle = color("--cell");
    c.fillRect(x, y, w, h);
    c.fillStyle = device_color(Math.floor(expert * this.devices / this.meta.num_experts));
    c.globalAlpha = 0.62 * this.routing.rows[i] / most;
    c.fillRect(x, y, w, h);
    c.globalAlpha = this.routing.glow[i];
    c.fillRect(x + w * .14, y + h * .14, w * .72, h * .72);
  }

  paint_devices(c, at) {
    const { num_experts: E, num_layers: L } = this.meta, per_device = E / this.devices;
    c.font = "11px system-ui, sans-serif";
    c.textBaseline = "middle";
    for (let device = 0; device < this.devices; device++) {
      const first = at.x(device * per_device), last = at.x((device + 1) * per_device - 1) + at.cell;
      c.fillStyle = device_color(device);
      c.fillRect(first, 13, last - first, 3);
      if (last - first > 52) c.fillText(`device ${device}`, first, 6);
      else if (last - first > 12) c.fillText(`${device}`, first, 6);
    }
    c.fillStyle = color("--soft");
    const every = Math.ceil(13 / at.height);
    for (let layer = 0; layer < L; layer += every) c.fillText(`${layer}`, 0, at.y(layer) + at.height / 2);
  }

  paint_groups(c, at) {
    const { num_experts: E, num_expert_groups: G, num_layers: L } = this.meta;
    c.globalAlpha = 1;
    for (let group = 0; group < G; group++) {
      const first = at.x(group * E / G), last = at.x((group + 1) * E / G - 1) + at.cell;
      c.strokeStyle = device_color(Math.floor(group * this.devices / G));
      c.strokeRect(first - .5, at.top - .5, last - first + 1, L * at.height + 1);
    }
    if (!this.cell) return;
    c.strokeStyle = color("--ink");
    c.lineWidth = 2;
    c.strokeRect(at.x(this.cell.expert), at.y(this.cell.layer), at.cell, at.height);
  }

  words() {
    const { num_layers: L, num_experts: E, num_expert_groups: G, num_experts_per_tok: K } = this.meta;
    if (this.cell) return this.words_of_cell();
    if (!this.routing.tokens)
      return `${L} layers, ${E} experts in ${G === 1 ? "one group" : G + " groups"}; a token visits ${K}` +
             (G > 1 ? `, ${K / G} in every group.` : ".");
    return `${this.what}: ${this.routing.tokens} tokens. Bright: the newest ones; tint: all of them.`;
  }

  words_of_cell() {
    const { layer, expert } = this.cell, { num_experts: E, num_expert_groups: G } = this.meta;
    const rows = this.routing.rows.subarray(layer * E, (layer + 1) * E), per_group = E / G;
    const group = Math.floor(expert / per_group), device = Math.floor(expert * this.devices / E);
    const sum = list => list.reduce((a, b) => a + b, 0);
    const share = (part, all) => all ? (100 * part / all).toFixed(1) + " %" : "0 %";
    const in_group = sum(rows.subarray(group * per_group, (group + 1) * per_group));
    const plain = this.routing.plain.subarray(layer * E, (layer + 1) * E);
    return `Layer ${layer}, expert ${expert} (group ${group}, device ${device}): ${rows[expert]} rows, ` +
           `${share(rows[expert], sum(rows))} of the layer, ${share(rows[expert], in_group)} of its group.\n` +
           `Plain top-${this.meta.num_experts_per_tok} would have given it ${share(plain[expert], sum(plain))} of the layer.`;
  }
}
