// The page for trying a run: files that are dropped, and a webcam.

import { Failure, address, postBytes } from "../api.js";
import { COLOURS, made } from "../label/classes.js";
import { Axis } from "../label/axis.js";
import { Player } from "../label/player.js";
import { clock } from "../label/timing.js";

const CLIP_MILLISECONDS = 3000;
const byId = (id) => document.getElementById(id);
const results = []; // { name, answer, error }
let shown = null;
let player = null;
let axis = null;
let stream = null;

function colourOf(label) {
  const place = shown ? shown.answer.classes.indexOf(label) : 0;
  return COLOURS[Math.max(0, place) % COLOURS.length];
}

// --- files

// The files of what was dropped; folders are walked through.
async function dropped(transfer) {
  const entries = [...transfer.items].map((each) => each.webkitGetAsEntry()).filter(Boolean);
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry) {
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
  const reader = entry.createReader();
  const found = [];
  while (true) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed)); // at most a hundred at a time
    if (!some.length) break;
    found.push(...some);
  }
  found.sort((one, other) => one.name.localeCompare(other.name));
  return (await Promise.all(found.map(filesOf))).flat();
}

async function tryFiles(files) {
  untell();
  for (const file of files) {
    const result = { name: file.name };
    results.push(result);
    list();
    try {
      result.answer = await postBytes("/api/try", { run: byId("run").value, name: file.name }, file);
    } catch (error) {
      result.error = error.message;
    }
    list();
    if (result.answer && !stream) await show(result);
  }
}

function list() {
  byId("results").replaceChildren(
    ...results.map((result) => {
      const button = made("button", { type: "button" }, made("span", {}, result.name), made("span", { className: "soft" }, summary(result)));
      button.disabled = !result.answer;
      if (result === shown) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => show(result));
      return made("li", {}, button);
    }),
  );
}

function summary({ answer, error }) {
  if (error) return error;
  if (!answer) return "Reading";
  const { events, prediction, run } = answer;
  return `${prediction ? prediction.text : `${events.length} events`} (${run})`;
}

async function show(result) {
  shown = result;
  list();
  const { answer } = result;
  byId("shown").hidden = false;
  byId("why").hidden = true;
  byId("explain").hidden = !answer.prediction; // There is one for answers of whole videos alone.
  byId("name").textContent = answer.name;
  byId("answer").textContent = answer.prediction?.text ?? `${answer.events.length} events`;
  byId("bars").replaceChildren(
    ...(answer.prediction?.top ?? []).map(({ label, probability }) =>
      made("li", {}, made("span", {}, label), made("meter", { min: 0, max: 1, value: probability, ariaLabel: `Probability of ${label}` }), probability.toFixed(2)),
    ),
  );
  if (answer.damage) tell(`${answer.name}: ${answer.damage}.`);
  axis.show({ events: [], begun: [], proposals: answer.events, rows: answer.classes, chosen: null });
  axis.all();
  try {
    await player.open({ tried: answer.key });
  } catch (error) {
    tell(error.message);
  }
}

function download() {
  const parameters = { format: byId("format").value };
  made("a", { href: address(`/api/try/${shown.answer.key}/download`, parameters), download: "" }).click();
}

function explain() {
  const picture = byId("why-picture");
  byId("explain").disabled = true;
  byId("explain").textContent = "Explaining";
  const done = (message) => {
    byId("explain").disabled = false;
    byId("explain").textContent = "Explain";
    byId("why").hidden = Boolean(message);
    if (message) tell(message);
  };
  picture.onload = () => done("");
  fetch(`/api/try/${shown.answer.key}/explanation`)
    .then(async (response) => {
      if (!response.ok) throw new Failure(response.status, (await response.json()).error);
      picture.src = URL.createObjectURL(await response.blob());
    })
    .catch((error) => done(error.message));
}

// --- webcam

async function toggleWebcam() {
  if (stream) return stopWebcam();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } } });
  } catch (error) {
    return tell(`The webcam cannot be used: ${error.message}`);
  }
  byId("camera").srcObject = stream;
  byId("live").hidden = false;
  byId("webcam").textContent = "Stop the webcam";
  byId("seen").textContent = "Watching";
  while (stream) {
    const clip = await record(stream);
    if (!stream) return;
    try {
      const answer = await postBytes("/api/try", { run: byId("run").value, name: "webcam.webm" }, clip);
      byId("seen").textContent = answer.prediction?.text ?? (answer.events.map((each) => each.label).join(", ") || "none");
    } catch (error) {
      tell(error.message);
    }
  }
}

function stopWebcam() {
  for (const track of stream.getTracks()) track.stop();
  stream = null;
  byId("live").hidden = true;
  byId("webcam").textContent = "Webcam";
}

// A few seconds of what the webcam sees, as a file.
function record(source) {
  return new Promise((done) => {
    const recorder = new MediaRecorder(source);
    const parts = [];
    recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    recorder.addEventListener("stop", () => done(new Blob(parts)));
    recorder.start();
    setTimeout(() => recorder.state !== "inactive" && recorder.stop(), CLIP_MILLISECONDS);
  });
}

// --- what is told

function tell(text) {
  byId("told").textContent = text;
  byId("told").hidden = false;
}

function untell() {
  byId("told").hidden = true;
}

if (byId("run")) {
  player = new Player(byId("screen"), byId("media"), byId("picture"), byId("waiting"));
  axis = new Axis(byId("axis"), player, colourOf);
  player.addEventListener("frame", () => {
    byId("clock").textContent = clock(player.seconds);
    axis.follow();
  });
  player.addEventListener("growth", () => axis.draw());
  player.addEventListener("state", () => (byId("play").textContent = player.isPlaying ? "Pause" : "Play"));
  player.addEventListener("failure", (event) => tell(event.detail));
  player.addEventListener("recovery", untell);
  axis.addEventListener("seek", (event) => player.seek(event.detail));
  const CLICKS = { choose: () => byId("files").click(), webcam: toggleWebcam, play: () => player.toggle(), download, explain };
  for (const [id, action] of Object.entries(CLICKS)) byId(id).addEventListener("click", action);
  byId("files").addEventListener("change", (event) => {
    tryFiles([...event.target.files]);
    event.target.value = "";
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      byId("drop").classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => !event.relatedTarget && byId("drop").classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    byId("drop").classList.remove("over");
    dropped(event.dataTransfer).then(tryFiles, (error) => tell(error.message));
  });
}
