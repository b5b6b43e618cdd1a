// The page for labelling: what was pressed becomes events.

import { address, postBytes } from "../api.js";
import { Axis } from "./axis.js";
import { tellDoubtful } from "./doubtful.js";
import { COLOURS, askName, classItem, freeKey, isTyping, leaveButton, made, refusal, typedName } from "./classes.js";
import { EventList } from "./events.js";
import { LabelFolder } from "./folder.js";
import { Guide } from "./guide.js";
import { counted, say, tell, untell } from "./notices.js";
import { Player } from "./player.js";
import { Review } from "./review.js";
import { round } from "./spans.js";
import { clock } from "./timing.js";

const RESERVED = [" ", "+", "-", "=", "[", "]", "?", ".", ","];
const WHOLE_SHARE = 0.9; // of the length that a file declares; files often declare a little too much
const byId = (id) => document.getElementById(id);
const folder = new LabelFolder(byId("label").dataset.folder, RESERVED);

const player = new Player(byId("screen"), byId("media"), byId("picture"), byId("waiting"));
const axis = new Axis(byId("axis"), player, colourOf);
const list = new EventList(byId("events"), colourOf);
let current = null; // the LabelDocument that is shown
let chosen = null; // an event or a proposal
let isFailed = false; // whether it was told that something is not saved
let isTold = false; // whether it was told what marking says of the rest
const page = { folder, player, axis, choose, open, show, get current() { return current; }, get chosen() { return chosen; } };
const review = new Review(page);
const guide = new Guide(page);

function colourOf(label) {
  const place = labels().indexOf(label);
  return COLOURS[(place < 0 ? 0 : place) % COLOURS.length];
}

// The names of all classes: those with a key first, then those that only the table has.
function labels() {
  const named = folder.settings.classes.map((each) => each.name);
  const used = current ? [...current.events, ...current.begun, ...review.open].map((each) => each.label) : [];
  return [...new Set([...named, ...used])];
}

// --- recordings

async function load() {
  await folder.read();
  review.showRuns(folder.runs);
  const { videos } = folder;
  const asked = new URLSearchParams(location.search).get("video");
  const first = videos.find((each) => each.name === asked) ?? videos.find((each) => !each.is_listed) ?? videos[0];
  show();
  if (first) await open(first.name);
  else tell("There are no videos in this folder.");
  guide.poll();
}

async function open(name) {
  await current?.save();
  chosen = null;
  current = folder.document(name);
  const here = new URL(location);
  here.searchParams.set("video", name);
  history.replaceState(null, "", here);
  byId("loop").checked = false;
  player.range = null;
  player.loops = false;
  const opening = player.open(current.video); // What it showed before is forgotten at once.
  axis.all();
  untell();
  show();
  showSaved();
  tellDoubtful(folder);
  review.renew();
  try {
    await opening;
  } catch (error) {
    tell(error.message);
  }
}

function openNeighbour(step) {
  const place = folder.videos.findIndex((each) => each.name === current?.name) + step;
  if (folder.videos[place]) open(folder.videos[place].name);
}

// --- what is shown

function show() {
  showVideos();
  showClasses();
  showSubjects();
  if (!current) return;
  const proposed = review.open;
  if (chosen && !current.events.includes(chosen) && !proposed.includes(chosen)) chosen = null;
  list.show({ events: current.events, begun: current.begun, labels: labels(), subjects: folder.settings.subjects, chosen });
  axis.show({ events: current.events, begun: current.begun, proposals: proposed, rows: labels(), chosen });
  review.show();
  axis.watched = current.now.watched;
  axis.decided = current.now.decided;
  guide.show();
  byId("count").textContent = current.events.length || "";
  byId("done").checked = current.isWhole;
  byId("all").textContent = current.events.length ? "Watched as a whole: nothing else happens" : "Nothing happens in this recording";
  byId("undo").disabled = !current.past.length;
  byId("redo").disabled = !current.future.length;
}

function showVideos() {
  byId("videos").replaceChildren(
    ...folder.videos.map((video) => {
      const known = folder.known(video);
      const button = made("button", { type: "button" }, made("span", {}, video.name), made("span", {}, known.events.length || (known.isListed ? (known.watched.length + known.decided.length ? "in part" : "none") : "")));
      if (video.name === current?.name) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => open(video.name));
      return made("li", {}, button);
    }),
  );
}

function showClasses() {
  const subject = byId("subject").value;
  const { classes } = folder.settings;
  byId("hint").hidden = !classes.length;
  byId("classes").replaceChildren(
    ...classes.map((each) => {
      const isBegun = Boolean(current?.begun.some((event) => event.label === each.name && event.subject === subject));
      const actions = { onMark: () => mark(each), onRename: () => renameClass(each.name), onRemove: () => removeClass(each.name) };
      return classItem(each, colourOf(each.name), isBegun, actions);
    }),
  );
}

function showSubjects() {
  const select = byId("subject");
  const { value } = select;
  const { subjects } = folder.settings;
  select.replaceChildren(made("option", { value: "" }, "Nobody in particular"), ...subjects.map((each) => made("option", { value: each }, each)));
  select.value = subjects.includes(value) ? value : "";
}

function showSaved() {
  const element = byId("saved");
  const { unsaved } = folder;
  const failed = unsaved.find((each) => each.failure);
  element.classList.toggle("not", unsaved.length > 0);
  if (failed) {
    isFailed = true;
    element.textContent = "Not saved";
    if (failed.failure.status === 409) tellConflict(failed);
    else tell(failed.failure.message);
  } else {
    element.textContent = unsaved.length ? "Saving" : "Saved";
    if (isFailed && !unsaved.length) untell();
    isFailed &&= unsaved.length > 0;
  }
}

function tellConflict(changed) {
  const theirs = made("button", { type: "button" }, "Take theirs");
  const mine = made("button", { type: "button" }, "Keep mine");
  theirs.addEventListener("click", async () => {
    folder.documents.delete(changed.name);
    if (current === changed) current = null;
    untell();
    await refresh(changed.name);
  });
  mine.addEventListener("click", async () => {
    untell();
    await changed.overwrite(await folder.versionOf(changed.name));
  });
  tell(`The events of ${changed.name} were changed in another window, or by somebody else. What you changed since is not saved.`, theirs, mine);
}

async function refresh(name) {
  await folder.read();
  showSaved();
  await open(name);
}

// --- what is done

function mark({ name, is_point: isPoint }) {
  if (!current || !player.times.length) return;
  const subject = byId("subject").value;
  const { seconds } = player;
  const { isWhole } = current;
  const event = current.mark(name, isPoint, subject, seconds);
  if (event) choose(event);
  if (current.isWhole && !isWhole && !isTold) {
    isTold = true;
    tell(`${current.name} now counts as watched as a whole: what is not marked does not happen. If you watch only a part, take the tick away.`);
  }
  const began = current.begun.some((each) => each.label === name && each.subject === subject);
  say(`${name} ${isPoint ? "at" : began ? "begins at" : "ended at"} ${clock(seconds)}`);
}

function choose(event, seek = false) {
  chosen = event;
  if (player.range && event) player.range = rangeOf(event);
  show();
  if (seek && event) player.seek(event.start);
}

function replace(old, event) {
  const found = current.replace(old, event);
  if (found !== event) tell(`There is the same event already: ${event.label} at ${clock(event.start)}.`);
  choose(found);
}

// An event that was typed, which ends with the recording.
function within(event) {
  const { duration } = player;
  if (!(event.end > duration) || event.start >= duration) return event;
  tell(`${current.name} ends at ${clock(duration)}, and so does the event.`);
  return { ...event, end: round(duration) };
}

function rangeOf(event) {
  return event && event.end !== null ? [event.start, event.end] : null;
}

function chooseNeighbour(step) {
  if (!current?.events.length) return;
  const place = current.events.indexOf(chosen);
  const after = current.events.findIndex((each) => each.start > player.seconds);
  const next = place >= 0 ? place + step : step > 0 ? after : (after < 0 ? current.events.length : after) - 1;
  if (current.events[next]) choose(current.events[next], true);
}

function changeSettings(changes) {
  return folder.save(changes).catch((error) => tell(error.message));
}

function addClass(event) {
  event.preventDefault();
  const name = typedName(byId("class-name").value);
  const { classes } = folder.settings;
  const key = byId("class-key").value.toLowerCase() || freeKey(name, classes, RESERVED);
  const refused = refusal(name, key, classes, RESERVED);
  if (refused) return tell(refused);
  untell();
  changeSettings({ add: [{ name, key, is_point: byId("class-point").checked }] });
  byId("add-class").reset();
  document.activeElement.blur(); // So that the next key marks.
}

function removeClass(name) {
  const { events, recordings } = folder.uses(name);
  if (events) return tell(`${name} has ${counted(events, "event")} in ${counted(recordings, "recording")}. Delete ${events === 1 ? "it" : "them"}, or rename the class.`);
  changeSettings({ remove: [name] });
}

async function renameClass(name) {
  const given = askName(name, folder.settings.classes, tell);
  if (!given || !(await folder.saveAll())) return;
  try {
    await folder.rename(name, given);
    showAnew();
  } catch (error) {
    tell(error.message);
  }
}

// Shows what was read anew, at the same place.
function showAnew() {
  chosen = null;
  current &&= folder.document(current.name);
  untell();
  show();
  showSaved();
  review.renew();
}

function addSubject() {
  const name = typedName(prompt("Name of the subject"));
  const { subjects } = folder.settings;
  if (!name || subjects.includes(name)) return;
  folder.save({ subjects: [...subjects, name] }).then(
    () => {
      show();
      byId("subject").value = name;
      show();
    },
    (error) => tell(error.message),
  );
}

async function importFile(file) {
  try {
    if (!(await folder.saveAll())) return;
    const { added, notices } = await postBytes("/api/label/import", { folder: folder.name, name: file.name }, file);
    await folder.readAnew();
    showAnew();
    const count = Object.values(added).reduce((sum, each) => sum + each, 0);
    const told = notices.filter((each) => !each.startsWith("tier:"));
    tell(`${file.name}: ${count} new events in ${Object.keys(added).length} recordings. ${told.join(" · ")}`);
  } catch (error) {
    tell(error.message);
  }
}

async function exportEvents() {
  if (!current) return;
  await current.save();
  const link = made("a", { href: address("/api/label/export", { video: current.video, format: byId("format").value }), download: "" });
  link.click();
}

// --- keys

const KEYS = {
  " ": () => player.toggle(),
  ArrowLeft: (event) => (event.shiftKey ? player.seek(player.seconds - 1) : player.step(-1)),
  ArrowRight: (event) => (event.shiftKey ? player.seek(player.seconds + 1) : player.step(1)),
  ArrowUp: () => chooseNeighbour(-1),
  ArrowDown: () => chooseNeighbour(1),
  Home: () => player.seek(0),
  End: () => player.seek(player.duration),
  PageUp: () => openNeighbour(-1),
  PageDown: () => openNeighbour(1),
  "+": () => axis.zoom(1.6),
  "=": () => axis.zoom(1.6),
  "-": () => axis.zoom(1 / 1.6),
  "[": () => changeRate(-1),
  "]": () => changeRate(1),
  Delete: () => removeChosen(),
  Backspace: () => removeChosen(),
  Enter: () => review.decide(true),
  "?": () => review.chooseUnsure(),
  ".": (event) => !event.repeat && (guide.shown ? guide.watched() : guide.next()),
  ",": () => byId("class-name").focus(),
  Escape: () => choose(null),
};

function removeChosen() {
  if (!chosen) return;
  if (current.events.includes(chosen)) current.remove(chosen);
  else review.decide(false);
}

function press(event) {
  if (!current || event.isComposing) return;
  const withControl = event.ctrlKey || event.metaKey;
  if (withControl && !event.altKey && event.key.toLowerCase() === "z" && !isTyping(event.target)) {
    event.preventDefault();
    return event.shiftKey ? current.redo() : current.undo();
  }
  if (withControl && event.key.toLowerCase() === "y" && !isTyping(event.target)) {
    event.preventDefault();
    return current.redo();
  }
  if (withControl || event.altKey || isTyping(event.target)) return;
  // Who goes by keyboard presses what has the focus; after a click, Space is for the player.
  if (event.key === " " && event.target.matches("button:focus-visible, input:focus-visible, summary, a")) return;
  if (event.key === "Enter" && event.target.matches("button, a, summary")) return;
  const known = KEYS[event.key];
  if (known) {
    event.preventDefault();
    return known(event);
  }
  const found = folder.settings.classes.find((each) => each.key && each.key === event.key.toLowerCase());
  if (found && !event.repeat) {
    event.preventDefault();
    mark(found);
  }
}

function changeRate(step) {
  const select = byId("rate");
  select.selectedIndex = Math.min(Math.max(0, select.selectedIndex + step), select.length - 1);
  player.setRate(Number(select.value));
}

// --- what listens to what

folder.addEventListener("change", show);
folder.addEventListener("saving", showSaved);
player.addEventListener("frame", () => {
  byId("clock").textContent = `${clock(player.seconds)}  ·  frame ${player.number}`;
  axis.follow();
});
player.addEventListener("growth", () => {
  const { about, times } = player;
  if (about.error) tell(`${current.name}: ${about.error} What was read until there can be labelled.`);
  const share = Math.floor((100 * (times[times.length - 1] ?? 0)) / (about.declared_seconds || 1));
  player.say(about.is_complete || about.error ? "" : `Reading the recording: ${Math.min(share, 99)} %`);
  if (about.is_complete && about.duration_seconds < WHOLE_SHARE * about.declared_seconds)
    tell(`${current.name}: only ${clock(about.duration_seconds)} of ${clock(about.declared_seconds)} can be read. It is damaged, or cut off.`);
  axis.draw();
  guide.arrive();
});
guide.addEventListener("lesson", () => review.renew());
player.addEventListener("state", () => (byId("play").textContent = player.isPlaying ? "Pause" : "Play"));
player.addEventListener("failure", (event) => tell(event.detail));
player.addEventListener("recovery", untell);
axis.addEventListener("seek", (event) => player.seek(event.detail));
axis.addEventListener("choose", (event) => choose(event.detail));
axis.addEventListener("replace", ({ detail }) => replace(detail.old, detail.event));
list.addEventListener("choose", (event) => choose(event.detail, true));
list.addEventListener("replace", ({ detail }) => replace(detail.old, within(detail.event)));
list.addEventListener("remove", (event) => current.remove(event.detail));

const CLICKS = {
  play: () => player.toggle(),
  "back-frame": () => player.step(-1),
  "next-frame": () => player.step(1),
  "back-second": () => player.seek(player.seconds - 1),
  "next-second": () => player.seek(player.seconds + 1),
  "zoom-in": () => axis.zoom(1.6),
  "zoom-out": () => axis.zoom(1 / 1.6),
  "zoom-all": () => axis.all(),
  undo: () => current?.undo(),
  redo: () => current?.redo(),
  "add-subject": addSubject,
  export: exportEvents,
  import: () => byId("file").click(),
};
for (const [id, action] of Object.entries(CLICKS)) byId(id).addEventListener("click", action);
byId("rate").addEventListener("change", (event) => player.setRate(Number(event.target.value)));
byId("sound").addEventListener("change", (event) => (player.media.muted = !event.target.checked));
byId("loop").addEventListener("change", (event) => {
  player.loops = event.target.checked;
  player.range = event.target.checked ? rangeOf(chosen) : null;
});
byId("subject").addEventListener("change", show);
// So that the next key marks, and turns no list over.
for (const id of ["rate", "subject", "run", "format"]) byId(id).addEventListener("change", () => byId(id).blur());
byId("done").addEventListener("change", (event) => current?.setWhole(event.target.checked));
byId("add-class").addEventListener("submit", addClass);
byId("add-class").querySelector("button").disabled = false; // Before, a click would load the page anew.
byId("file").addEventListener("change", (event) => {
  if (event.target.files[0]) importFile(event.target.files[0]);
  event.target.value = "";
});
document.addEventListener("keydown", press);
document.addEventListener("click", leaveButton);
addEventListener("beforeunload", (event) => {
  if (folder.unsaved.length) event.preventDefault();
});

load().catch((error) => tell(error.message));
