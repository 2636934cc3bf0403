// Keys that work anywhere on the page, and the dialog that lists them.

// keys: {key: function}. Keys typed into a field, with a modifier, or while a dialog is open are left alone.
export function shortcuts(keys) {
  document.addEventListener("keydown", (event) => {
    const busy = event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented;
    if (busy || event.target.closest?.("input, select, textarea, dialog[open]") || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
}

// Within a frame that holds its page as text, a link to a part of the page would leave it.
export function staysInFrame() {
  if (location.protocol !== "about:") return;
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#']");
    if (!link) return;
    event.preventDefault();
    document.querySelector(link.getAttribute("href"))?.scrollIntoView();
  });
}
