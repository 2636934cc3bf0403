// The views that somebody went through: Back and Forward of the browser go from one to the next, and not away from the page.

export class Views {
  // show(view): goes there; null: to what the address says. address(view): what stands after it from "#" on, or null.
  constructor(show, address = () => null) {
    Object.assign(this, { show, address, now: null, going: null, closing: false, next: null });
    this.alone = location.protocol !== "about:"; // within a frame, Back is that of the notebook around it
    if (!this.alone) return;
    history.replaceState(null, ""); // of before the page was loaded again
    addEventListener("popstate", (event) => (this.closing ? this.closed() : this.go(event.state)));
  }

  // walked: one step of many, as the arrow keys make them, which are one view together.
  add(view, walked = false) {
    if (!this.alone) return;
    if (this.closing) {
      this.next = view; // after the step Back, or that would be taken from here
      return;
    }
    if (this.going && view.layer === this.going.layer && view.picture === this.going.picture) return; // on the way there
    this.going = null; // somebody went elsewhere meanwhile
    this.now = view;
    if (JSON.stringify(view) === JSON.stringify(history.state)) return;
    const way = walked || history.state === null ? "replaceState" : "pushState";
    history[way](view, "", this.address(view));
  }

  // What was opened on top of a view is closed: that is the view before.
  close() {
    if (!this.alone || this.going || this.closing || !history.state?.open) return;
    this.closing = true;
    history.back();
  }

  closed() {
    const { next } = this;
    Object.assign(this, { closing: false, next: null, now: history.state });
    if (next) this.add(next);
  }

  async go(view) {
    if (view === null) {
      await this.show(null); // a link to a part of the page, or an address that was typed
      if (history.state === null) history.replaceState(this.now, "");
      return;
    }
    this.now = view;
    this.going = view;
    try {
      await this.show(view);
    } finally {
      if (this.going === view) this.going = null;
    }
  }
}
