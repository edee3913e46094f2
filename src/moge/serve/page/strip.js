// The strip under the map: imbalance token by token, this model's beside plain top-K's.

class ImbalanceStrip {
  constructor(canvas, figures, legend) {
    Object.assign(this, { canvas, figures, legend });
    this.draw = once_a_frame(() => this.paint());
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  show(meta, routing, devices) {
    Object.assign(this, { meta, routing, devices });
    this.draw();
  }

  paint() {
    if (!this.meta || !this.canvas.clientWidth) return;
    const { routing, devices } = this;
    const ours = course_of(routing, "routed", devices), plain = course_of(routing, "plain", devices);
    const whole = { ours: imbalance_of(routing.rows, routing, devices), plain: imbalance_of(routing.plain, routing, devices) };
    const now = { ours: ours.at(-1) ?? whole.ours, plain: plain.at(-1) ?? whole.plain };
    this.write_figures(now, whole, ours.length > 0);
    this.paint_course(ours, plain);
  }

  write_figures(now, whole, live) {
    const times = value => value === null || value === undefined ? "–" : value.toFixed(2) + " ×";
    const figure = (className, name, value, all) => element("div", { className }, element("b", {}, times(value)),
      element("div", { className: "small soft" }, name), element("div", { className: "small soft" }, `all: ${times(all)}`));
    this.figures.replaceChildren(
      figure("ours", this.meta.num_expert_groups > 1 ? "this model" : "this model (no groups)", now.ours, whole.ours),
      figure("plain", `plain top-${this.meta.num_experts_per_tok}`, now.plain, whole.plain));
    const slower = now.plain && now.ours ? (now.plain / now.ours - 1) * 100 : 0;
    this.legend.textContent = !this.routing.tokens ? "1.00 × is perfect: no device waits for another." :
      `${live ? `The last ${Math.min(kNowTokens, this.routing.tokens)} tokens` : "All tokens"} on ${this.devices} devices` +
      (slower > 0.5 ? `: with plain top-${this.meta.num_experts_per_tok} the busiest would compute ${slower.toFixed(0)} % more rows.` : ".");
  }

  paint_course(ours, plain) {
    const height = 84, c = canvas_context(this.canvas, height), left = 30, width = this.canvas.clientWidth - left - 2;
    const most = Math.max(1.5, ...ours.filter(Number.isFinite), ...plain.filter(Number.isFinite));
    const y = value => height - 8 - (value - 1) / (most - 1) * (height - 18);
    const shown = Math.max(60, ours.length, plain.length), x = i => left + width * i / (shown - 1);
    c.font = "11px system-ui, sans-serif";
    c.textBaseline = "middle";
    for (const value of [1, (1 + most) / 2, most]) {
      c.fillStyle = color("--soft");
      c.fillText(value.toFixed(1), 0, y(value));
      c.fillStyle = color("--line");
      c.fillRect(left, y(value) - .5, width, 1);
    }
    this.paint_line(c, plain, x, y, color("--bad"), true);
    this.paint_line(c, ours, x, y, color("--accent"), false);
  }

  paint_line(c, course, x, y, stroke, filled) {
    if (course.length === 0) return;
    c.beginPath();
    course.forEach((value, i) => c.lineTo(x(i), y(value ?? 1)));
    if (course.length === 1) c.lineTo(x(0) + 2, y(course[0] ?? 1));
    c.strokeStyle = c.fillStyle = stroke;
    c.lineWidth = 2;
    c.stroke();
    if (!filled) return;
    c.lineTo(x(course.length - 1), y(1));
    c.lineTo(x(0), y(1));
    c.globalAlpha = .14;
    c.fill();
    c.globalAlpha = 1;
  }
}
