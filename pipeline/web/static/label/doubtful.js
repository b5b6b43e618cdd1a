// Stretches that count as watched for all classes, though perhaps one alone was decided there.

import { made } from "./classes.js";
import { tell, untell } from "./notices.js";
import { clock } from "./timing.js";

const MOST_NAMED = 4;

// Tells of all of a folder; until they are taken back, or somebody says that they are right.
export function tellDoubtful(folder) {
  const kept = `watched ${folder.name}`;
  const right = JSON.parse(localStorage.getItem(kept) ?? "[]");
  const found = folder.videos.map((video) => folder.document(video.name)).filter((each) => each.doubtful.length);
  const places = found.flatMap((each) => each.doubtful.map(([start, end]) => `${each.name} ${clock(start)} to ${clock(end)}`));
  if (places.every((place) => right.includes(place))) return;
  const back = made("button", { type: "button" }, "Take back");
  const keep = made("button", { type: "button" }, "I did, keep");
  back.addEventListener("click", () => {
    untell();
    for (const each of found) each.forgetDoubtful();
  });
  keep.addEventListener("click", () => {
    untell();
    localStorage.setItem(kept, JSON.stringify(places));
  });
  const more = places.length > MOST_NAMED ? `, and ${places.length - MOST_NAMED} more` : "";
  const text = `Did you watch these for every class: ${places.slice(0, MOST_NAMED).join(", ")}${more}? They are exactly what was marked or rejected, which earlier versions took for watched: what else happens there is taught not to happen. If you did not, take it back, and look there again. What you marked and rejected stays.`;
  tell(text, back, keep);
}
