// The learning curve: what to expect of so many labels. Events of the recordings it is judged by are not among them.

import { blank, colours } from "../colours.js";

const LEFT = 30;
const BOTTOM = 18;
const TOP = 16;
const RIGHT = 12;

export function drawLearning(canvas, curve) {
  const { line, soft, blue } = colours("line", "soft", "blue");
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = blank(canvas, width, height);
  const most = Math.max(...curve.map((each) => each.events), 1);
  const x = (events) => LEFT + (events / most) * (width - LEFT - RIGHT);
  const y = (score) => height - BOTTOM - score * (height - BOTTOM - TOP);
  for (const score of [0, 0.5, 1]) {
    context.strokeStyle = line;
    context.strokeRect(LEFT, y(score), width - LEFT - RIGHT, 0);
    context.fillStyle = soft;
    context.fillText(score.toFixed(1), 4, y(score) + 4);
  }
  context.fillText("F1 at half overlap", LEFT, 11);
  context.fillText("0", LEFT - 3, height - 4);
  context.textAlign = "right";
  context.fillText(`learnt from ${Math.round(most)} events`, width - RIGHT + 8, height - 4);
  context.strokeStyle = context.fillStyle = blue;
  context.lineWidth = 2;
  context.beginPath();
  for (const each of curve) context.lineTo(x(each.events), y(each.f1_50));
  context.stroke();
  for (const each of curve) {
    context.beginPath();
    context.arc(x(each.events), y(each.f1_50), 3, 0, 2 * Math.PI);
    context.fill();
  }
  const points = curve.map((each) => `${each.f1_50.toFixed(2)} with ${Math.round(each.events)} events`);
  canvas.setAttribute("aria-label", `Learning curve, F1 at half overlap: ${points.join(", ")}`);
}
