// Beside the zone a browser would open what is dropped in place of the page.
function files(event) {
  return [...(event.dataTransfer?.types ?? [])].includes("Files");
}

function drag(event) {
  // Words may be dropped into the field for them.
  if (!files(event) && event.target.closest?.("input")) return;
  event.preventDefault();
  mark(files(event));
}

function drop(event) {
  drag(event);
  mark(false);
  if (!files(event)) return;
  const input = document.querySelector(".tf-drop input[type=file]");
  input.files = event.dataTransfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

function mark(on) {
  document.body.classList.toggle("tf-dragging", on);
}

export default {
  template: "<div hidden></div>",
  mounted() {
    document.addEventListener("dragover", drag);
    document.addEventListener("drop", drop);
    // The zone keeps its own drops to itself.
    document.addEventListener("drop", () => mark(false), true);
    document.addEventListener("dragleave", (e) => e.relatedTarget || mark(false));
  },
};
