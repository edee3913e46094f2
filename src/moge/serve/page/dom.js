"use strict";
// Elements are made one by one and filled with text: no string ever becomes markup.

const $ = id => document.getElementById(id);

/** element("a", {className: "x", onclick: f}, "text", child, ...) */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties))
    if (value === "") continue;
    else if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  made.append(...children);
  return made;
}

function button(label, title, onclick, className = "tiny") {
  return element("button", { type: "button", className, title, onclick }, label);
}

/** A function that runs `work` once in the next frame however often it is called. */
function once_a_frame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; work(); });
  };
}

/** Colour of a CSS variable as canvases want it; forgotten when the theme changes. */
const colors = new Map();
function color(name) {
  if (!colors.has(name)) {
    const probe = element("span", { hidden: true });
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    colors.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colors.get(name);
}

function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function copy_text(text, from) {
  const said = from.textContent;
  const say = word => { from.textContent = word; setTimeout(() => { from.textContent = said; }, 1200); };
  if (!navigator.clipboard) return say("not allowed");
  navigator.clipboard.writeText(text).then(() => say("copied"), () => say("not allowed"));
}
