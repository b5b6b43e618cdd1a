"use strict";
document.documentElement.classList.add("live");
const steps = {{ steps }};
for (const figure of document.querySelectorAll(".ribbon")) {
  const svg = figure.querySelector("svg"), marks = figure.querySelector(".ticks");
  const whole = Number(figure.dataset.seconds), height = svg.viewBox.baseVal.height;
  const least = Math.min(whole, 1);
  let from = 0, to = whole;

  const clock = (at, step) => {
    const tenths = Math.round(at * 10), s = tenths % 600 / 10, m = Math.floor(tenths / 600);
    const seconds = (step < 1 ? s.toFixed(1) : String(Math.round(s))).padStart(step < 1 ? 4 : 2, "0");
    return m < 60 ? `${m}:${seconds}` : `${Math.floor(m / 60)}:${String(m % 60).padStart(2, "0")}:${seconds}`;
  };
  const draw = () => {
    svg.setAttribute("viewBox", `${from} 0 ${to - from} ${height}`);
    const step = steps.find(each => (to - from) / each <= {{ most_ticks }}) || steps.at(-1);
    marks.replaceChildren();
    for (let n = Math.ceil(from / step - 1e-6); n * step < from + {{ last_tick }} * (to - from); n++) {
      const mark = marks.appendChild(document.createElement("span"));
      mark.style.left = `${100 * (n * step - from) / (to - from)}%`;
      mark.textContent = clock(n * step, step);
    }
  };
  const show = (start, length) => {
    length = Math.min(whole, Math.max(least, length));
    from = Math.min(whole - length, Math.max(0, start));
    to = from + length;
    draw();
  };
  // What is under `share` of the width, 0 to 1, stays there.
  const zoom = (factor, share = 0.5) => {
    const length = Math.min(whole, Math.max(least, (to - from) * factor));
    show(from + share * (to - from - length), length);
  };
  const pan = share => show(from + share * (to - from), to - from);
  const moves = {
    in: () => zoom(0.5), out: () => zoom(2), all: () => show(0, whole),
    left: () => pan(-0.4), right: () => pan(0.4),
  };
  const keys = { "+": "in", "=": "in", "-": "out", "0": "all", ArrowLeft: "left", ArrowRight: "right" };
  const place = event => {
    const box = svg.getBoundingClientRect();
    return (event.clientX - box.left) / box.width;
  };

  for (const button of figure.querySelectorAll("button"))
    button.addEventListener("click", moves[button.dataset.move]);
  svg.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    moves[keys[event.key]]();
  });
  svg.addEventListener("wheel", event => {
    const across = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
    if (event.ctrlKey || event.metaKey) zoom(Math.exp(event.deltaY / 300), place(event));
    else if (Math.abs(across) > Math.abs(event.shiftKey ? 0 : event.deltaY)) pan(across / 800);
    else return;  // the page scrolls
    event.preventDefault();
  }, { passive: false });
  svg.addEventListener("dblclick", event => zoom(0.5, place(event)));
  svg.addEventListener("pointerdown", event => {
    if (event.button) return;
    const start = event.clientX, before = from, width = svg.getBoundingClientRect().width;
    svg.setPointerCapture(event.pointerId);
    svg.onpointermove = move => show(before - (move.clientX - start) / width * (to - from), to - from);
    svg.onpointerup = svg.onpointercancel = () => { svg.onpointermove = null; };
  });
  for (const link of document.querySelectorAll(`a[href="#${figure.id}"][data-from]`))
    link.addEventListener("click", () => {
      const start = Number(link.dataset.from), length = Number(link.dataset.to) - start;
      const room = Math.max(2 * length, 5);
      show(start - room, length + 2 * room);
    });
}
