const button = document.getElementById("toggle-code");
if (button) {
  const folds = document.querySelectorAll("details.code");
  let open = false;
  button.hidden = false;
  button.addEventListener("click", () => {
    open = !open;
    folds.forEach((fold) => { fold.open = open; });
    button.textContent = open ? "Hide code" : "Show code";
  });
}
document.querySelectorAll("table.sortable").forEach((table) => {
  const value = (row, column) => row.cells[column].textContent.trim().replaceAll(",", "");
  table.querySelectorAll("th").forEach((head, column) => {
    const sort = document.createElement("button");
    sort.className = "sort";
    sort.textContent = head.textContent;
    head.replaceChildren(sort);
    sort.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      table.querySelectorAll("th").forEach((other) => { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => value(a, column).localeCompare(value(b, column), undefined, { numeric: true }));
      table.tBodies[0].append(...(down ? rows.reverse() : rows));
    });
  });
});
