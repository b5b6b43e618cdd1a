// The recordings of a folder, their events, and the classes and keys that they share.

import { get } from "../api.js";
import { FolderSettings, freeKey } from "./classes.js";
import { LabelDocument } from "./document.js";

export class LabelFolder extends EventTarget {
  // reserved: keys that no class may have
  constructor(name, reserved) {
    super();
    this.name = name;
    this.reserved = reserved;
    this.videos = []; // as they were read: { name, events, is_listed, watched, decided, version }
    this.runs = [];
    this.kept = new FolderSettings(name, () => this.dispatchEvent(new CustomEvent("change")));
    this.documents = new Map(); // by the name of the video: what is changed
  }

  get settings() {
    return this.kept.now;
  }

  // Reads what is known of the folder; classes that only its table has get keys.
  async read() {
    const found = await get("/api/label/folder", { folder: this.name });
    Object.assign(this, { videos: found.videos, runs: found.runs });
    this.kept.take(found.settings);
    const isPoint = (name) => this.videos.every((video) => video.events.every((event) => event.label !== name || event.end === null));
    await this.nameClasses(this.videos.flatMap((video) => video.events.map((event) => event.label)), isPoint);
  }

  // Lists classes that are not listed yet, with keys. isPoint: whether one has no length
  async nameClasses(names, isPoint = () => false) {
    const { classes } = this.settings;
    const added = [...new Set(names)].filter((name) => !classes.some((each) => each.name === name)).sort();
    const add = [];
    for (const name of added) add.push({ name, key: freeKey(name, [...classes, ...add], this.reserved), is_point: isPoint(name) });
    if (add.length) await this.save({ add });
  }

  // Saves some of the settings, such as { add: [class] }; what other windows changed meanwhile stays.
  save(changes) {
    return this.kept.change(changes);
  }

  // Gives a class another name in all that is saved, and reads it anew.
  async rename(name, given) {
    await this.kept.rename(name, given);
    await this.readAnew();
  }

  // Whether a document is what is changed of its video, and was not read anew.
  isOpen(document) {
    return this.documents.get(document.name) === document;
  }

  // Reads all of it again; what was changed, and can be undone, is forgotten.
  readAnew() {
    this.documents.clear();
    return this.read();
  }

  // Saves all that was changed; whether that went well.
  async saveAll() {
    await Promise.all([...this.documents.values()].map((each) => each.save()));
    return !this.unsaved.length;
  }

  // How many events of a class there are, and in how many recordings.
  uses(name) {
    const counts = this.videos.map((video) => {
      const { events, begun } = this.known(video);
      return [...events, ...begun].filter((each) => each.label === name).length;
    });
    return { events: counts.reduce((sum, each) => sum + each, 0), recordings: counts.filter(Boolean).length };
  }

  // The events of a video while they are changed.
  document(name) {
    if (!this.documents.has(name)) this.documents.set(name, this.opened(this.videos.find((each) => each.name === name)));
    return this.documents.get(name);
  }

  opened(video) {
    const path = this.name ? `${this.name}/${video.name}` : video.name;
    const { begun, rejected } = this.settings;
    const found = new LabelDocument(path, video, begun[video.name] ?? [], rejected[video.name] ?? []);
    found.isGuided = sessionStorage.getItem(`guided ${path}`) !== null;
    found.onAside = (name, events) => this.save({ [name]: { [video.name]: events } });
    for (const kind of ["change", "saving"]) found.addEventListener(kind, () => this.dispatchEvent(new CustomEvent(kind)));
    return found;
  }

  // What is known of a video, changed or not.
  known(video) {
    const { events, is_listed: isListed, watched, decided } = video;
    const begun = this.settings.begun[video.name] ?? [];
    return this.documents.get(video.name)?.now ?? { events, isListed, watched, decided, begun };
  }

  // The documents that are not saved yet.
  get unsaved() {
    return [...this.documents.values()].filter((each) => !each.isSaved);
  }

  // The version of the events of a video as they are on disk now.
  async versionOf(name) {
    const { videos } = await get("/api/label/folder", { folder: this.name });
    return videos.find((each) => each.name === name).version;
  }
}
