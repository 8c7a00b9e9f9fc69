"use strict";
const findings = [...document.querySelectorAll(".finding")];
const key = "audit-" + document.body.dataset.key;
const idOf = (item) => item.dataset.image + "\t" + item.dataset.wnid;
let said = {};
// A browser may keep nothing for a file.
try {
  said = JSON.parse(localStorage.getItem(key)) || {};
} catch {
  said = {};
}

function show() {
  for (const item of findings) {
    for (const button of item.querySelectorAll("button")) {
      const on = said[idOf(item)] === button.dataset.verdict;
      button.setAttribute("aria-pressed", String(on));
    }
  }
  document.getElementById("said").textContent = String(
    findings.filter((item) => said[idOf(item)]).length,
  );
}

function filter() {
  const kind = document.getElementById("shown").value;
  const wnid = document.getElementById("class").value;
  for (const item of findings) {
    item.hidden =
      (kind && item.dataset.kind !== kind) ||
      (wnid && item.dataset.wnid !== wnid);
  }
}

function cell(text) {
  return '"' + text.replaceAll('"', '""') + '"';
}

function corrections() {
  const rows = new Map();
  for (const item of findings) {
    const { image, wnid, instead, still } = item.dataset;
    const verdict = said[idOf(item)];
    if (!verdict) continue;
    const other = { instead, still }[verdict];
    rows.set(image + "\t" + wnid, [image, wnid, other ? "absent" : verdict]);
    // What is said of that label itself counts more.
    const key = image + "\t" + other;
    if (other && !said[key]) rows.set(key, [image, other, "present"]);
  }
  const lines = [...rows.values()].map((row) => row.map(cell).join(","));
  return ["image_id,wnid,verdict", ...lines, ""].join("\n");
}

document.querySelector("ol").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const id = idOf(button.closest(".finding"));
  if (said[id] === button.dataset.verdict) delete said[id];
  else said[id] = button.dataset.verdict;
  try {
    localStorage.setItem(key, JSON.stringify(said));
  } catch {
    // As above: what is said lasts as long as the page.
  }
  show();
});
document.getElementById("shown").addEventListener("change", filter);
document.getElementById("class").addEventListener("change", filter);
document.getElementById("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(
    new Blob([corrections()], { type: "text/csv" }),
  );
  link.download = "corrections.csv";
  link.click();
  URL.revokeObjectURL(link.href);
});
show();
