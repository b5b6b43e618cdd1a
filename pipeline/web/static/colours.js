// What a canvas lacks: the colours of the page, since it does not know light-dark(), and sharp pixels.

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

// The context of a canvas of a size in CSS pixels, blank.
export function blank(canvas, width, height) {
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  const context = canvas.getContext("2d");
  context.scale(devicePixelRatio, devicePixelRatio);
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = colours("page").page;
  context.fillRect(0, 0, width, height);
  return context;
}
