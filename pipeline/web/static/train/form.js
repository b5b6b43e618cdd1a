// The form that starts a training: what can be chosen follows what was labelled.

import { post } from "../api.js";
import { made } from "../label/classes.js";
import { tell } from "../label/notices.js";

const byId = (id) => document.getElementById(id);

function show() {
  const { kind } = byId("folder").selectedOptions[0].dataset;
  const preset = byId("preset");
  for (const option of preset.options) option.hidden = option.disabled = option.dataset.kind !== kind;
  const open = [...preset.options].filter((each) => !each.disabled);
  // Of several of one name, the one of this kind.
  const chosen = open.find((each) => each.value === preset.value) ?? open[0];
  chosen.selected = true;
  byId("about").textContent = chosen.dataset.about;
  for (const each of document.querySelectorAll(".budget")) each.hidden = chosen.value !== "auto";
}

const MISSING = 410; // status of an answer: videos are missing

// check: reads and reports alone; goesWithout: trains without videos that are missing
async function start({ check = false, goesWithout = false }) {
  const folder = byId("folder").selectedOptions[0];
  const choice = {
    folder: folder.value,
    kind: folder.dataset.kind,
    is_prepared: "prepared" in folder.dataset,
    preset: byId("preset").value,
    folds: Number(byId("folds").value),
    minutes: Number(byId("minutes").value) || 30,
    check,
    goes_without: goesWithout,
  };
  wait(true);
  try {
    const { number } = await post("/api/jobs", {}, choice);
    location.assign(`/jobs/${number}`);
  } catch (error) {
    wait(false);
    const without = made("button", { type: "button" }, "Train without them");
    without.addEventListener("click", () => start({ goesWithout: true }));
    const running = error.message.match(/\/jobs\/\d+/); // which one it is that runs
    const see = running ? [" ", made("a", { href: running[0] }, "See it")] : [];
    tell(error.message, ...(error.status === MISSING ? [without] : see));
  }
}

// A second click would start a second one.
function wait(isWaiting) {
  for (const button of document.querySelectorAll("#choice button, #told button")) button.disabled = isWaiting;
}

if (byId("choice")) {
  byId("choice").addEventListener("change", show);
  byId("choice").addEventListener("submit", (event) => {
    event.preventDefault();
    start({});
  });
  // Until now a click would have been lost; and it stays as it was left, when one comes back to it.
  addEventListener("pageshow", () => wait(false));
  byId("check").addEventListener("click", () => start({ check: true }));
  show();
}
