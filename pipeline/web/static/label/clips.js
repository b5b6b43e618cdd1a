// The page for clips: a key labels the clip that is shown, and the next one comes.

import { get, put } from "../api.js";
import { COLOURS, FolderSettings, askName, classItem, freeKey, isTyping, leaveButton, made, refusal, typedName } from "./classes.js";
import { counted, tell, untell } from "./notices.js";
import { Player } from "./player.js";

const RESERVED = [" ", ","];
const RETRY_MILLISECONDS = 2000;
const byId = (id) => document.getElementById(id);
const folder = byId("clips").dataset.folder;
const pathOf = (name) => (folder ? `${folder}/${name}` : name);

const player = new Player(byId("screen"), byId("media"), byId("picture"), byId("waiting"));
player.loops = true;
const settings = new FolderSettings(folder, () => show());
let clips = [];
let current = null;
let saving = Promise.resolve();
let waiting = 0; // changes that are not saved yet
let isFailed = false; // whether one of them could not be saved
const past = [];

async function load() {
  const found = await get("/api/clips/folder", { folder });
  settings.take(found.settings);
  clips = found.videos;
  const used = [...new Set(clips.map((clip) => clip.label).filter(Boolean))];
  const added = used.filter((name) => !settings.now.classes.some((each) => each.name === name));
  const add = [];
  for (const name of added) add.push({ name, key: freeKey(name, [...settings.now.classes, ...add], RESERVED), is_point: false });
  if (add.length) await changeSettings({ add });
  show();
  const first = clips.find((clip) => !clip.label) ?? clips[0];
  if (first) await open(first);
  else tell("There are no videos in this folder.");
}

async function open(clip) {
  current = clip;
  show();
  untell();
  try {
    await player.open(pathOf(clip.name));
    if (current === clip) player.play();
  } catch (error) {
    tell(error.message);
  }
}

function openNext(step, isOpen = () => true) {
  const place = clips.indexOf(current);
  const others = step > 0 ? [...clips.slice(place + 1), ...clips.slice(0, place)] : clips.slice(0, Math.max(0, place)).reverse();
  const next = others.find(isOpen);
  if (next) open(next);
}

// Labels a clip; what it was before can be had back.
function label(clip, name, isUndo = false) {
  const before = clip.label;
  if (before === name) return;
  if (!isUndo) past.push({ clip, before });
  clip.label = name;
  waiting++;
  show();
  saving = saving.then(() => save(clip, name, before));
}

// Saves a label; without an answer, again and again, so that nothing is lost.
async function save(clip, name, before) {
  while (true) {
    try {
      await put("/api/clips/label", { video: pathOf(clip.name) }, { label: name, before });
      if (isFailed) untell();
      isFailed = false;
      break;
    } catch (error) {
      isFailed = true;
      tell(error.status ? `${error.message} Reload this page to see what is there.` : error.message);
      show();
      if (error.status) return; // It stays unsaved.
      await new Promise((done) => setTimeout(done, RETRY_MILLISECONDS));
    }
  }
  waiting--;
  show();
}

function mark(each) {
  if (!current) return;
  label(current, each.name);
  openNext(1, (clip) => !clip.label);
}

function undo() {
  const last = past.pop();
  if (!last) return;
  label(last.clip, last.before, true);
  open(last.clip);
}

function show() {
  const count = clips.filter((clip) => !clip.label).length;
  byId("left").textContent = count ? `${count} to do` : "all done";
  byId("saved").textContent = isFailed ? "Not saved" : waiting ? "Saving" : "Saved";
  byId("saved").classList.toggle("not", waiting > 0);
  byId("name").textContent = current ? `${current.name}${current.label ? `: ${current.label}` : ""}` : "";
  byId("undo").disabled = !past.length;
  byId("videos").replaceChildren(
    ...clips.map((clip) => {
      const button = made("button", { type: "button" }, made("span", {}, clip.name), made("span", {}, clip.label));
      if (clip === current) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => open(clip));
      return made("li", {}, button);
    }),
  );
  byId("videos").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  byId("classes").replaceChildren(
    ...settings.now.classes.map((each, place) =>
      classItem(
        each,
        COLOURS[place % COLOURS.length],
        current?.label === each.name,
        { onMark: () => mark(each), onRename: () => renameClass(each.name), onRemove: () => removeClass(each.name) },
      ),
    ),
  );
  byId("hint").hidden = !settings.now.classes.length;
}

async function changeSettings(changes) {
  try {
    await settings.change(changes);
  } catch (error) {
    tell(error.message);
  }
}

function removeClass(name) {
  const count = clips.filter((clip) => clip.label === name).length;
  if (count) return tell(`${name} is the label of ${counted(count, "clip")}. Give them another one, or rename the class.`);
  changeSettings({ remove: [name] });
}

async function renameClass(name) {
  const given = askName(name, settings.now.classes, tell);
  await saving;
  if (!given || waiting) return;
  try {
    await settings.rename(name, given);
  } catch (error) {
    return tell(error.message);
  }
  for (const clip of clips) if (clip.label === name) clip.label = given;
  past.length = 0;
  untell();
  show();
}

function addClass(event) {
  event.preventDefault();
  const name = typedName(byId("class-name").value);
  const key = byId("class-key").value.toLowerCase() || freeKey(name, settings.now.classes, RESERVED);
  const refused = refusal(name, key, settings.now.classes, RESERVED);
  if (refused) return tell(refused);
  untell();
  changeSettings({ add: [{ name, key, is_point: false }] });
  byId("add-class").reset();
  document.activeElement.blur(); // So that the next key marks.
}

const KEYS = {
  " ": () => player.toggle(),
  ArrowLeft: () => openNext(-1),
  ArrowRight: () => openNext(1),
  Enter: () => openNext(1, (clip) => !clip.label),
  Delete: () => current && label(current, ""),
  Backspace: () => current && label(current, ""),
  ",": () => byId("class-name").focus(),
};

function press(event) {
  if (!current || event.isComposing || event.altKey || isTyping(event.target)) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key.toLowerCase() !== "z") return;
    event.preventDefault(); // Else the browser takes back what was typed last.
    return undo();
  }
  if (event.key === "Enter" && event.target.matches("button, a")) return;
  const known = KEYS[event.key];
  const found = settings.now.classes.find((each) => each.key && each.key === event.key.toLowerCase());
  if (!known && (!found || event.repeat)) return;
  event.preventDefault();
  if (known) known();
  else mark(found);
}

player.addEventListener("state", () => (byId("play").textContent = player.isPlaying ? "Pause" : "Play"));
player.addEventListener("failure", (event) => tell(event.detail));
player.addEventListener("recovery", untell);
const CLICKS = { play: KEYS[" "], before: KEYS.ArrowLeft, next: KEYS.ArrowRight, open: KEYS.Enter, none: KEYS.Delete, undo };
for (const [id, action] of Object.entries(CLICKS)) byId(id).addEventListener("click", action);
byId("rate").addEventListener("change", (event) => player.setRate(Number(event.target.value)));
byId("add-class").addEventListener("submit", addClass);
byId("add-class").querySelector("button").disabled = false; // Before, a click would load the page anew.
document.addEventListener("keydown", press);
document.addEventListener("click", leaveButton);
addEventListener("beforeunload", (event) => waiting && event.preventDefault());

load().catch((error) => tell(error.message));
