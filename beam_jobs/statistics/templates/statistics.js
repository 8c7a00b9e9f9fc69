"use strict";
(() => {
  const PAGE = 200;
  const TEXT_COLUMNS = 2;
  const find = (id) => document.getElementById(id);
  const { heads, rows } = JSON.parse(find("data").textContent);
  const searched = rows.map((row) =>
    row.slice(0, TEXT_COLUMNS).join("\n").toLowerCase()
  );
  const body = document.createElement("tbody");
  const cells = [];
  let sorted;
  let found = [];
  let shown = 0;

  function compare(one, other) {
    if (typeof one === "number") return one - other;
    return one < other ? -1 : one > other ? 1 : 0;
  }

  function addRows() {
    const end = Math.min(shown + PAGE, found.length);
    for (; shown < end; shown++) {
      const line = body.insertRow();
      rows[found[shown]].forEach((value, column) => {
        const cell = line.insertCell();
        const isNumber = typeof value === "number";
        if (isNumber) cell.className = "number";
        cell.textContent = isNumber ? value.toLocaleString("en") : value;
      });
    }
    find("more").hidden = shown >= found.length;
  }

  function update() {
    const words = find("search").value.trim().toLowerCase();
    const { column, sign } = sorted;
    found = [...rows.keys()].filter((i) => searched[i].includes(words));
    found.sort(
      (i, j) => sign * compare(rows[i][column], rows[j][column]) || i - j
    );
    body.replaceChildren();
    shown = 0;
    addRows();
    find("found").textContent =
      `${found.length.toLocaleString("en")} classes`;
    cells.forEach((cell, i) => {
      const order = sign > 0 ? "ascending" : "descending";
      cell.setAttribute("aria-sort", i === column ? order : "none");
    });
  }

  function sortBy(column) {
    const first = column < TEXT_COLUMNS ? 1 : -1;
    const sign = sorted.column === column ? -sorted.sign : first;
    sorted = { column, sign };
    update();
  }

  const line = find("table").createTHead().insertRow();
  heads.forEach((head, column) => {
    const cell = document.createElement("th");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head;
    button.addEventListener("click", () => sortBy(column));
    if (column >= TEXT_COLUMNS) cell.className = "number";
    cell.append(button);
    line.append(cell);
    cells.push(cell);
  });
  find("table").append(body);
  find("search").addEventListener("input", update);
  find("more").addEventListener("click", addRows);
  const train = heads.findIndex((head) => head.startsWith("train"));
  sorted = { column: Math.max(train, 0), sign: train < 0 ? 1 : -1 };
  update();
  find("classes").hidden = false;
})();
