// Frames of a recording as the server's reader decodes them, by their number.

import { getBytes } from "../api.js";

const AT_ONCE = 16;
const MOST_KEPT = 40;

export class Frames {
  // source: which video it is, as the server is asked for it
  constructor(source, width) {
    this.source = source;
    this.width = width;
    this.parts = new Map(); // by the number of the first frame; the last one was used last
    this.isFailing = false; // whether the last request was
  }

  // Whether a frame is here already.
  has(number) {
    const part = this.parts.get(number - (number % AT_ONCE));
    return Boolean(part && part.bitmaps && part.bitmaps[number % AT_ONCE]);
  }

  // The ImageBitmap of a frame; of several calls for one part, one request is made.
  async bitmap(number) {
    const bitmaps = await this.part(number);
    if (!bitmaps[number % AT_ONCE]) this.parts.delete(number - (number % AT_ONCE)); // It was not read through so far.
    return bitmaps[number % AT_ONCE];
  }

  part(number) {
    const first = number - (number % AT_ONCE);
    const known = this.parts.get(first);
    if (known) {
      this.parts.delete(first);
      this.parts.set(first, known);
      return known.promise;
    }
    const part = { bitmaps: null };
    part.promise = this.fetched(first).then((bitmaps) => (part.bitmaps = bitmaps));
    part.promise.then(
      () => (this.isFailing = false),
      () => {
        this.isFailing = true;
        this.parts.delete(first);
      },
    );
    this.parts.set(first, part);
    for (const old of [...this.parts.keys()].slice(0, -MOST_KEPT)) this.drop(old);
    return part.promise;
  }

  // Asks for what comes next; where that would fail as well, only what is shown is asked for.
  ahead(number, parts = 1) {
    if (this.isFailing) return;
    for (let part = 1; part <= parts; part++) this.part(number + part * AT_ONCE).catch(() => {});
  }

  async fetched(first) {
    const content = await getBytes("/api/video/frames", { ...this.source, first, count: AT_ONCE, width: this.width });
    const view = new DataView(content);
    const found = [];
    for (let at = 0; at < content.byteLength; ) {
      const length = view.getUint32(at, true);
      found.push(createImageBitmap(new Blob([new Uint8Array(content, at + 4, length)], { type: "image/jpeg" })));
      at += 4 + length;
    }
    return Promise.all(found);
  }

  drop(first) {
    const part = this.parts.get(first);
    this.parts.delete(first);
    if (part) part.promise.then((bitmaps) => bitmaps.forEach((each) => each.close())).catch(() => {});
  }

  close() {
    for (const first of [...this.parts.keys()]) this.drop(first);
  }
}
