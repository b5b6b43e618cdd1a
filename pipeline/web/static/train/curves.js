// Curves by epoch: training and validation.

import { blank, colours } from "../colours.js";

const LEFT = 44;
const BOTTOM = 20;
const TOP = 18;

export function drawCurves(canvas, history, name) {
  const { line, soft, blue, warn } = colours("line", "soft", "blue", "warn");
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = blank(canvas, width, height);
  const values = history.flatMap((row) => [row[name], row[`val_${name}`]]).filter(Number.isFinite);
  const [low, high] = name === "loss" ? [0, Math.max(...values, 0.01)] : [0, 1];
  const last = Math.max(2, history[history.length - 1].epoch);
  const x = (epoch) => LEFT + ((epoch - 1) / (last - 1)) * (width - LEFT - 10);
  const y = (value) => height - BOTTOM - ((Math.min(value, high) - low) / (high - low)) * (height - BOTTOM - TOP);
  for (const share of [0, 0.5, 1]) {
    const value = low + share * (high - low);
    context.strokeStyle = line;
    context.strokeRect(LEFT, y(value), width - LEFT - 10, 0);
    context.fillStyle = soft;
    context.fillText(value.toFixed(2), 8, y(value) + 4);
  }
  context.fillText(name.replaceAll("_", " "), LEFT, 12);
  context.fillText(`epoch ${history[history.length - 1].epoch}`, width - 70, height - 5);
  for (const [key, colour] of [[name, blue], [`val_${name}`, warn]]) {
    context.strokeStyle = colour;
    context.lineWidth = 2;
    const rows = history.filter((each) => Number.isFinite(each[key]));
    context.beginPath();
    for (const row of rows) context.lineTo(x(row.epoch), y(row[key]));
    if (rows.length === 1) context.arc(x(rows[0].epoch), y(rows[0][key]), 2, 0, 2 * Math.PI); // No line goes through one point.
    context.stroke();
  }
}
