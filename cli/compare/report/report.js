// One page load, side by side: the tiles fill in the time that they take. Without script they stand there full, with their times.
"use strict";
(() => {
  const race = document.getElementById("race");
  if (!race) return;
  const data = JSON.parse(document.getElementById("race-data").textContent);
  const controls = race.querySelector(".controls"), pick = document.createElement("select"), go = document.createElement("button");
  const sides = [...race.querySelectorAll("[data-side]")];
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let frame = 0;
  pick.setAttribute("aria-label", "Client in");
  data.forEach((city, i) => pick.add(new Option(city.name, i, false, i === +race.dataset.first)));
  go.textContent = "Load the page";
  controls.append(pick, go);
  const show = t => sides.forEach(side => {
    const ends = data[pick.value][side.dataset.side], all = Math.max(...ends.map(e => e[1]));
    side.querySelectorAll(".tile i").forEach((bar, i) => {
      const [from, to] = ends[i];
      bar.style.width = 100 * Math.min(1, Math.max(0, (t - from) / Math.max(to - from, 1))) + "%";
    });
    side.querySelector("output").textContent = Math.round(Math.min(t, all)) + " ms";
  });
  const last = () => Math.max(...sides.flatMap(side => data[pick.value][side.dataset.side].map(e => e[1])));
  const run = () => {
    cancelAnimationFrame(frame);
    const end = last();
    if (still) return show(end);
    const began = performance.now();
    const step = now => {
      show(now - began);
      if (now - began < end) frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
  };
  go.addEventListener("click", run);
  pick.addEventListener("change", () => { cancelAnimationFrame(frame); show(last()); });
})();
