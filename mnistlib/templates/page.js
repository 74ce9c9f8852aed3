const button = document.getElementById("toggle-code");
if (button) {
  const folds = document.querySelectorAll("details.code");
  let open = false;
  button.hidden = false;
  button.addEventListener("click", () => {
    open = !open;
    folds.forEach((fold) => { fold.open = open; });
    button.textContent = open ? "hide code" : "show code";
  });
}
