// Deciding on what is proposed.

import { made } from "./classes.js";
import { tell, untell } from "./notices.js";
import { eventOf, Proposals } from "./proposals.js";

const LABELS = "The labels so far";
const byId = (id) => document.getElementById(id);

export class Review {
  // page: what is shown: { player, current, chosen, choose(event, seek), show() }
  constructor(page) {
    this.page = page;
    this.proposals = new Proposals();
    this.isOld = false; // whether they wait to be renewed
    this.renews = false; // whether proposals of the labels so far are shown as they change
    const clicks = { ask: () => this.ask(), accept: () => this.decide(true), reject: () => this.decide(false), unsure: () => this.chooseUnsure(), "accept-all": () => this.acceptAll() };
    for (const [id, action] of Object.entries(clicks)) byId(id).addEventListener("click", action);
    byId("run").addEventListener("change", () => this.changeRun());
  }

  // The proposals for the recording that is shown.
  get open() {
    return this.page.current ? this.proposals.open(this.page.current) : [];
  }

  showRuns(runs) {
    const select = byId("run");
    const { value } = select;
    select.replaceChildren(...runs.map((name) => made("option", { value: name }, name)), made("option", { value: "" }, LABELS));
    if (runs.includes(value)) select.value = value;
  }

  show() {
    const { current, chosen } = this.page;
    const { open } = this;
    byId("decide").hidden = !open.length;
    const isChosen = open.includes(chosen);
    if (this.isOld && !isChosen) this.renew();
    byId("accept").disabled = byId("reject").disabled = !isChosen;
    const about = isChosen ? `${chosen.label} ${chosen.probability.toFixed(2)}. ` : "";
    const rest = open.length || current.isWhole ? "" : ". Where nothing else happens, tick Watched as a whole, or go through it by Next and Done.";
    byId("proposed").textContent = this.proposals.isAsked(current) ? `${about}${open.length || "Nothing"} to decide${rest}` : "";
  }

  async ask() {
    if (!this.page.current) return;
    byId("ask").disabled = true;
    byId("proposed").textContent = "Reading the recording";
    this.renews = byId("run").value === "";
    await this.find();
    byId("ask").disabled = false;
  }

  // Asks again, where the labels so far have taught something new; not while somebody decides.
  async renew() {
    if (!this.renews || !this.page.current) return;
    const isFree = () => {
      this.isOld = this.open.includes(this.page.chosen);
      return !this.isOld;
    };
    if (isFree()) await this.find(isFree);
  }

  async find(isStillWanted = () => true) {
    try {
      await this.proposals.ask(this.page.current, byId("run").value, isStillWanted);
    } catch (error) {
      tell(error.message);
    }
    this.page.show();
  }

  changeRun() {
    this.renews = false;
    this.proposals.forget();
    this.page.show();
  }

  // Decides on the chosen proposal, and goes on to the next one.
  decide(isAccepted) {
    const { current, chosen, player } = this.page;
    const { open } = this;
    const place = open.indexOf(chosen);
    if (place < 0) return;
    const event = eventOf(chosen, player.times);
    if (isAccepted) this.accept([event]);
    else current.reject(event);
    this.page.choose(open[place + 1] ?? open[place - 1] ?? null, true);
  }

  accept(events) {
    this.page.current.accept(events);
    this.page.folder.nameClasses(events.map((each) => each.label)).catch((error) => tell(error.message));
  }

  acceptAll() {
    const { player } = this.page;
    const text = byId("above").value.trim().replace(",", ".");
    const least = Number(text);
    if (!text || !(least >= 0 && least <= 1)) return tell("Above: expected a probability from 0 to 1, such as 0.8.");
    untell();
    const sure = this.open.filter((each) => each.probability >= least);
    if (sure.length) this.accept(sure.map((each) => eventOf(each, player.times)));
    this.page.show();
  }

  chooseUnsure() {
    const { open } = this;
    if (open.length) this.page.choose(open.reduce((one, other) => (other.probability < one.probability ? other : one)), true);
  }
}
