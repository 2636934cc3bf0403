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
