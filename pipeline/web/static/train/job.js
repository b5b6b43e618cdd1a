// A training while it runs: its log, its curves, and how long it still takes.

import { address, post, text } from "../api.js";
import { made } from "../label/classes.js";
import { tell, untell } from "../label/notices.js";
import { drawCurves } from "./curves.js";

const byId = (id) => document.getElementById(id);
const { number } = byId("job").dataset;
const WORDS = { waiting: "Waiting", running: "Running", stopped: "Stopped", failed: "Failed", done: "Done" };
let source = null;
let state = null;
let isStopping = false;

function follow() {
  source?.close();
  byId("log").textContent = "";
  source = new EventSource(`/api/jobs/${number}/events`);
  source.addEventListener("state", (event) => show(JSON.parse(event.data)));
  source.addEventListener("log", (event) => addLog(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    // The server ends the stream with the job; else the browser asks again by itself.
    if (state && state.state !== "running") source.close();
    else byId("log").textContent = "";
  });
}

function addLog(text) {
  const log = byId("log");
  const isAtEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 30;
  log.append(text);
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

function show(next) {
  state = next;
  isStopping &&= state.state === "running";
  byId("state").textContent = isStopping ? "Stopping, once what is under way is done" : WORDS[state.state];
  byId("stop").hidden = state.state !== "running";
  byId("stop").disabled = isStopping; // A second time would cut off what it still does.
  byId("go-on").hidden = !["stopped", "failed"].includes(state.state);
  byId("finish").hidden = !state.can_finish;
  byId("progress").textContent = progress();
  byId("steps").replaceChildren(...state.steps.map(step));
  showResult();
  byId("curves").hidden = !state.history.length;
  if (state.history.length) {
    const score = Object.keys(state.history[0]).find((each) => !/^(val_.*|epoch|seconds|learning_rate|loss)$/.test(each));
    drawCurves(byId("loss"), state.history, "loss");
    drawCurves(byId("score"), state.history, score ?? "loss");
  }
  if (state.done > 0 || state.state !== "running") showData();
}

function step(words, place) {
  const item = document.createElement("li");
  item.textContent = words[0];
  if (place < state.done) item.className = "done";
  if (place === state.done && state.state === "running") item.setAttribute("aria-current", "step");
  return item;
}

// Epochs, and what is left of them at the pace of the last ones.
function progress() {
  const { history, epochs } = state;
  if (state.state !== "running" || !history.length || !epochs || state.steps[state.done]?.[0] !== "train") return "";
  const last = history.slice(-5);
  const pace = last.reduce((sum, row) => sum + row.seconds, 0) / last.length;
  const left = Math.max(0, epochs - history[history.length - 1].epoch) * pace;
  return `epoch ${history[history.length - 1].epoch} of ${epochs}, at most ${Math.ceil(left / 60)} minutes more`;
}

function showResult() {
  const { figures } = state;
  const isUsable = state.state === "done" || (state.state === "stopped" && state.can_classify);
  byId("result").hidden = !isUsable || !state.run;
  if (byId("result").hidden) return;
  const name = state.run.replace(/^runs\//, "");
  const interval = figures?.interval ? ` (95 % interval over groups ${figures.interval.map((each) => each.toFixed(3)).join(" to ")})` : "";
  const score = figures?.value != null ? `${figures.score} ${figures.value.toFixed(3)}${interval}, on ${figures.text}. ` : "";
  const report = made("a", { href: `/runs/${encodeURIComponent(name)}/report` }, "Open the report");
  const trial = made("a", { href: address("/try", { run: name }) }, "Try it");
  const runs = made("a", { href: "/runs" }, "All runs");
  byId("result").replaceChildren(score, ...(state.has_report ? [report, ". "] : []), ...(state.can_classify ? [trial, ". "] : []), runs, ".");
}

async function showData() {
  const found = await text(`/api/jobs/${number}/data`);
  byId("data-report").hidden = !found;
  if (byId("data").dataset.shown === found) return;
  byId("data").dataset.shown = found;
  byId("data").innerHTML = found; // The server made it of text, without any markup of names.
  byId("data-report").open = !state.run;
}

async function act(what) {
  try {
    const started = await post(`/api/jobs/${number}/${what}`, {}, {});
    untell();
    if (started.number) location.assign(`/jobs/${started.number}`);
    else follow();
  } catch (error) {
    byId("stop").disabled = isStopping = false;
    tell(error.message);
  }
}

byId("stop").addEventListener("click", async () => {
  byId("stop").disabled = isStopping = true;
  await act("stop");
});
for (const what of ["go-on", "finish"]) byId(what).addEventListener("click", () => act(what));
follow();
