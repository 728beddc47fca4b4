(() => {
  "use strict";
  const one = (selector) => document.querySelector(selector);
  const cases = [...document.querySelectorAll(".case[data-s]")];
  const words = new Map();
  const text = (node) => {
    if (!words.has(node)) {
      const parts = [node.querySelector("summary"), node.querySelector(".ds")];
      words.set(node, parts.map((part) => part.textContent).join(" ").toLowerCase());
    }
    return words.get(node);
  };
  const states = [...document.querySelectorAll("#filter input[type=checkbox]")];
  const tag = one("#tag"), search = one("#search"), shown = one("#shown");
  const filter = () => {
    const chosen = new Set(states.filter((box) => box.checked).map((box) => box.value));
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const node of cases) {
      const fits = chosen.has(node.dataset.s)
        && (!tag.value || node.dataset.g.includes(` ${tag.value} `))
        && wanted.every((word) => text(node).includes(word));
      node.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count} of ${cases.length}`;
  };
  one("#filter").hidden = false;
  one("#filter").addEventListener("input", filter);
  one("#all").addEventListener("click", () => {
    const visible = cases.filter((node) => !node.hidden);
    const open = visible.some((node) => !node.open);
    visible.forEach((node) => { node.open = open; });
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && location.hash.startsWith("#p")) location.hash = "#-";
  });
  const reveal = () => {
    const node = cases.find((one) => `#${one.id}` === location.hash);
    if (node) node.open = true;
  };
  addEventListener("hashchange", reveal);
  filter();
  reveal();
})();
