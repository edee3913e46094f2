// Which experts worked, and how evenly devices are loaded. L layers, E experts, D devices in
// contiguous blocks of E / D experts; `plain` is what plain top-K without groups would have taken.

const kNowTokens = 16;     // "now" in the imbalance figures
const kCourseTokens = 240;  // the strip's length

class Routing {
  constructor(layers, experts) {
    Object.assign(this, { layers, experts, tokens: 0, trace: [] });
    this.rows = new Uint32Array(layers * experts);
    this.plain = new Uint32Array(layers * experts);
    this.glow = new Float32Array(layers * experts);  // the newest tokens, fading
  }
  /** One token: lists of experts by layer. */
  add(routed, plain) {
    for (let i = 0; i < this.glow.length; i++) this.glow[i] *= 0.8;
    const seen = { routed: this.count(routed, this.rows, true), plain: this.count(plain, this.plain, false) };
    this.trace.push(seen);
    if (this.trace.length > kCourseTokens + kNowTokens) this.trace.shift();
    this.tokens++;
  }
  count(by_layer, rows, glows) {
    const cells = [];
    by_layer.slice(0, this.layers).forEach((chosen, layer) => chosen.forEach(e => {
      if (!Number.isInteger(e) || e < 0 || e >= this.experts) return;
      const cell = layer * this.experts + e;
      rows[cell]++;
      if (glows) this.glow[cell] = 1;
      cells.push(cell);
    }));
    return cells;
  }
  totals() {
    const { layers, experts, tokens } = this;
    return { layers, experts, tokens, rows: Array.from(this.rows), plain: Array.from(this.plain) };
  }
  static of_totals(map) {
    const made = new Routing(map.layers, map.experts);
    made.rows.set(map.rows);
    made.plain.set(map.plain);
    made.tokens = map.tokens;
    return made;
  }
}

/** Rows by layer and device. */
function device_rows(rows_LE, layers, experts, devices) {
  const loads = new Float64Array(layers * devices), per_device = experts / devices;
  for (let cell = 0; cell < layers * experts; cell++)
    loads[Math.floor(cell / experts) * devices + Math.floor((cell % experts) / per_device)] += rows_LE[cell];
  return loads;
}

/** Busiest device ÷ mean, the mean over the layers that have rows; null where none has. */
function imbalance(loads_LD, layers, devices) {
  let sum = 0, counted = 0;
  for (let layer = 0; layer < layers; layer++) {
    const loads = loads_LD.subarray(layer * devices, (layer + 1) * devices);
    const total = loads.reduce((a, b) => a + b, 0);
    if (total === 0) continue;
    sum += Math.max(...loads) * devices / total;
    counted++;
  }
  return counted ? sum / counted : null;
}

function imbalance_of(rows_LE, { layers, experts }, devices) {
  return imbalance(device_rows(rows_LE, layers, experts, devices), layers, devices);
}

/** After each of the newest tokens: the imbalance of the kNowTokens tokens up to it. */
function course_of(routing, which, devices) {
  const { layers, experts, trace } = routing, loads = new Float64Array(layers * devices), course = [];
  const per_device = experts / devices;
  const change = (seen, by) => seen[which].forEach(cell => {
    loads[Math.floor(cell / experts) * devices + Math.floor((cell % experts) / per_device)] += by;
  });
  trace.forEach((seen, i) => {
    change(seen, 1);
    if (i >= kNowTokens) change(trace[i - kNowTokens], -1);
    if (i >= kNowTokens - 1 || routing.tokens === trace.length) course.push(imbalance(loads, layers, devices));
  });
  return course.slice(-kCourseTokens);
}

/** What all answers of this page used in the last minute, kept by the second. */
class LastMinute {
  constructor() { this.seconds = []; }
  add(layers, experts, routed, plain, now = performance.now()) {
    const second = Math.floor(now / 1000);
    let last = this.seconds.at(-1);
    if (!last || last.second !== second) {
      last = { second, routing: new Routing(layers, experts) };
      this.seconds.push(last);
    }
    last.routing.add(routed, plain);
    this.forget(second);
  }
  forget(second) {
    while (this.seconds.length && this.seconds[0].second <= second - 60) this.seconds.shift();
  }
  sum(layers, experts) {
    this.forget(Math.floor(performance.now() / 1000));
    const sum = new Routing(layers, experts);
    for (const { routing } of this.seconds) {
      for (let i = 0; i < sum.rows.length; i++) { sum.rows[i] += routing.rows[i]; sum.plain[i] += routing.plain[i]; }
      sum.tokens += routing.tokens;
    }
    return sum;
  }
}

/** The answer of GET /experts as a Routing; `seen` is what this page knows of plain top-K, if the server does not. */
function served_routing(answer, layers, experts, seen) {
  const made = new Routing(layers, experts), known = answer.layers.some(layer => layer.plain_counts);
  for (const { layer, counts, plain_counts } of answer.layers) {
    made.rows.set(counts, layer * experts);
    if (plain_counts) made.plain.set(plain_counts, layer * experts);
  }
  if (!known) made.plain = seen.plain;
  made.tokens = answer.tokens;
  return made;
}

/** Numbers of devices that share the experts evenly; whole groups first in mind. */
function device_choices(meta) {
  const most = Math.max(16, meta.num_expert_groups);
  return Array.from({ length: most }, (_, i) => i + 1).filter(d => d > 1 && meta.num_experts % d === 0);
}
function usual_devices(meta) {
  const choices = device_choices(meta);
  if (choices.includes(meta.num_expert_groups)) return meta.num_expert_groups;
  return choices.filter(d => d <= 8).at(-1) || choices[0] || 1;
}
