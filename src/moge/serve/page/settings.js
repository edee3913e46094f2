// Every sampling setting of the API. An empty field is not sent: the server's default holds.

const number = (name, label, limits, hint) => ({ name, label, kind: "number", ...limits, hint });
const kSettings = [
  number("max_tokens", "Longest answer, tokens", { min: 1, step: 1 }, "max_tokens"),
  number("temperature", "Temperature", { min: 0, max: 10, step: 0.1 }, "temperature; 0 takes the likeliest"),
  number("top_p", "Top-p", { min: 0.01, max: 1, step: 0.05 }, "top_p"),
  number("top_k", "Top-k", { min: -1, step: 1 }, "top_k; 0 is off"),
  number("min_p", "Min-p", { min: 0, max: 1, step: 0.05 }, "min_p"),
  number("typical_p", "Typical", { min: 0.01, max: 1, step: 0.05 }, "typical_p"),
  number("repetition_penalty", "Repetition penalty", { min: 0.01, step: 0.05 }, "repetition_penalty; 1 is off"),
  number("presence_penalty", "Presence penalty", { min: -2, max: 2, step: 0.1 }, "presence_penalty"),
  number("frequency_penalty", "Frequency penalty", { min: -2, max: 2, step: 0.1 }, "frequency_penalty"),
  number("seed", "Seed", { min: 0, step: 1 }, "seed; empty: another one each time"),
  number("min_tokens", "Shortest answer, tokens", { min: 0, step: 1 }, "min_tokens"),
  number("n", "Answers at once", { min: 1, max: 16, step: 1 }, "n"),
  number("alternatives", "Logprobs: alternatives", { min: 0, max: 20, step: 1 }, "top_logprobs, with Logprobs on"),
  { name: "skip_special_tokens", label: "Show control tokens", kind: "checkbox", sends: false, hint: "skip_special_tokens" },
  { name: "ignore_eos", label: "Go on after the end token", kind: "checkbox", hint: "ignore_eos" },
  { name: "stop", label: "Stop strings, one a line", kind: "lines", hint: "stop; \\n stands for a line break" },
  { name: "stop_token_ids", label: "Stop tokens", kind: "ids", hint: "stop_token_ids: 13, 42" },
  { name: "logit_bias", label: "Logit bias", kind: "json", hint: "logit_bias: {\"42\": -5}" },
  { name: "form", label: "Form of the answer", kind: "select", hint: "structured_outputs",
    choices: ["any text", "JSON", "JSON Schema", "regular expression", "choices", "GBNF grammar"] },
  { name: "form_text", label: "The schema, expression, choices or grammar", kind: "text", hint: "choices: one a line" },
  { name: "more", label: "Further fields of the request", kind: "json",
    hint: "a JSON object, say {\"chat_template_kwargs\": {\"enable_thinking\": false}}" },
];
const kDefaults = { max_tokens: "400", temperature: "0.7", alternatives: "5" };

function number_of(setting, text) {
  const value = Number(text);
  const whole = setting.step !== 1 || Number.isInteger(value);
  if (!Number.isFinite(value) || !whole || value < (setting.min ?? -Infinity) || value > (setting.max ?? Infinity))
    throw new Error(`${setting.label} must be ${setting.step === 1 ? "a whole number" : "a number"}` +
                    `${setting.min === undefined ? "" : ` from ${setting.min}`}${setting.max === undefined ? "" : ` to ${setting.max}`}`);
  return value;
}

const setting_readers = {
  number: number_of,
  checkbox: (setting, value) => value === "on" ? setting.sends ?? true : undefined,
  select: (setting, value) => value,
  text: (setting, value) => value,
  lines: (setting, text) => text.split("\n").filter(l => l).map(l => l.replaceAll("\\n", "\n")),
  ids: (setting, text) => text.split(/[\s,]+/).filter(w => w).map(w => number_of({ ...setting, min: 0, step: 1 }, w)),
  json(setting, text) {
    let value;
    try { value = JSON.parse(text); } catch { value = null; }
    if (value === null || typeof value !== "object" || Array.isArray(value))
      throw new Error(`${setting.label} must be a JSON object`);
    return value;
  },
};

/** The settings as fields of a request; throws an Error that names a wrong one. */
function sampling_fields(values) {
  const fields = {};
  for (const setting of kSettings) {
    const text = values[setting.name];
    if (!text || !text.trim()) continue;
    const value = setting_readers[setting.kind](setting, text);
    if (value !== undefined) fields[setting.name] = value;
  }
  const { more, form, form_text = "", ...rest } = fields;
  return { ...rest, ...form_fields(form, form_text), ...more };
}

const wide_kinds = ["lines", "json", "text"];

/** vLLM's structured_outputs. */
function form_fields(form, text) {
  const by_form = {
    "JSON": () => ({ json_object: true }),
    "JSON Schema": () => ({ json: setting_readers.json({ label: "The schema" }, text) }),
    "regular expression": () => ({ regex: text }),
    "choices": () => ({ choice: setting_readers.lines({}, text) }),
    "GBNF grammar": () => ({ grammar: text }),
  };
  return by_form[form] ? { structured_outputs: by_form[form]() } : {};
}

/** Small things that last: settings, open panels, the theme. */
const remembered = {
  read(name, otherwise) {
    try { return { ...otherwise, ...JSON.parse(localStorage.getItem("moge." + name)) }; } catch { return { ...otherwise }; }
  },
  write(name, value) {
    try { localStorage.setItem("moge." + name, JSON.stringify(value)); } catch { /* no storage: forgotten on reload */ }
  },
};

class SettingsDialog {
  constructor(changed) {
    this.values = remembered.read("settings", kDefaults);
    this.changed = changed;
    $("fields").append(...kSettings.map(setting => this.field(setting)));
    $("settings-open").onclick = () => $("settings").showModal();
    $("defaults").onclick = () => this.set(kDefaults);
    this.set(this.values);
  }

  field(setting) {
    const wide = wide_kinds.includes(setting.kind), tag = wide ? "textarea" : setting.choices ? "select" : "input";
    const input = element(tag, { id: "set-" + setting.name });
    if (wide) input.rows = 2;
    else if (setting.choices) input.append(...setting.choices.map(choice => element("option", {}, choice)));
    else input.type = setting.kind === "ids" ? "text" : setting.kind;
    for (const limit of ["min", "max", "step"]) if (setting[limit] !== undefined) input[limit] = setting[limit];
    input.oninput = () => this.take();
    return element("label", { className: setting.name === "more" ? "across" : "" }, setting.label, input,
                   element("small", {}, setting.hint));
  }

  set(values) {
    for (const { name, kind, choices } of kSettings)
      if (kind === "checkbox") $("set-" + name).checked = values[name] === "on";
      else $("set-" + name).value = values[name] || choices?.[0] || "";
    this.take();
  }

  take() {
    this.values = {};
    for (const { name, kind } of kSettings) {
      const input = $("set-" + name);
      this.values[name] = kind !== "checkbox" ? (input.validity.badInput ? "?" : input.value) : input.checked ? "on" : "";
    }
    remembered.write("settings", this.values);
    $("settings-error").textContent = this.problem();
    this.changed?.();
  }

  problem() {
    try { sampling_fields(this.values); return ""; } catch (error) { return error.message; }
  }
}
