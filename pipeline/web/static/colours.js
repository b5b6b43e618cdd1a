// Colours of the page for a canvas, which does not know light-dark().

const probe = document.createElement("i");

// The colours of the variables of some names, as they are now.
export function colours(...names) {
  if (!probe.isConnected) {
    probe.hidden = true;
    document.body.append(probe);
  }
  const found = {};
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  return found;
}
