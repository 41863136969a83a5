#!/bin/sh
# Makes land.txt, the outlines of the continents for drawings: Natural Earth 1:110m (public domain), as packed for npm
# by world-atlas, simplified to half a degree and cut off where nobody lives. Needs npm and node; the result is part of
# the repository.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
cd "$work"
npm pack --silent world-atlas@2.0.2 >name
tar xzf "$(cat name)"
node - package/land-110m.json >"$here/land.txt" <<'JS'
const t = JSON.parse(require("fs").readFileSync(process.argv[2]));
const {scale: [sx, sy], translate: [tx, ty]} = t.transform;
const arcs = t.arcs.map(arc => { let x = 0, y = 0; return arc.map(([dx, dy]) => [(x += dx) * sx + tx, (y += dy) * sy + ty]); });
const line = i => i < 0 ? [...arcs[~i]].reverse() : arcs[i];
const ring = list => list.flatMap((i, k) => line(i).slice(k ? 1 : 0));
function simple(p, tolerance) { // Douglas and Peucker
  if (p.length < 3) return p;
  const [[ax, ay], [bx, by]] = [p[0], p[p.length - 1]], n = Math.hypot(bx - ax, by - ay);
  let far = 0, at = 0;
  p.forEach(([x, y], i) => {
    const d = n ? Math.abs((bx - ax) * (ay - y) - (ax - x) * (by - ay)) / n : Math.hypot(x - ax, y - ay);
    if (i && i < p.length - 1 && d > far) { far = d; at = i; }
  });
  return far <= tolerance ? [p[0], p[p.length - 1]] : [...simple(p.slice(0, at + 1), tolerance).slice(0, -1), ...simple(p.slice(at), tolerance)];
}
const polygons = t.objects.land.geometries.flatMap(g => g.type === "Polygon" ? [g.arcs] : g.arcs);
console.log("# Outlines of land, one a line: LON,LAT in degrees; those over the date line go on beyond it, and are there twice. Natural Earth 1:110m (public domain); see make_land.sh.");
for (const polygon of polygons) for (const arcs of polygon) {
  let turn = 0; // a ring over the date line goes on beyond 180 degrees
  const all = ring(arcs).map(([x, y], i, list) => {
    if (i) turn += Math.abs(x - list[i - 1][0]) > 180 ? (x < list[i - 1][0] ? 360 : -360) : 0;
    return [x + turn, y];
  });
  if (Math.max(...all.map(p => p[1])) < -60) continue; // Antarctica
  const half = all.length >> 1; // a ring has no ends: two halves
  const kept = [...simple(all.slice(0, half + 1), 0.5).slice(0, -1), ...simple(all.slice(half), 0.5)];
  const put = by => {
    const points = kept.map(([x, y]) => `${+(x + by).toFixed(1)},${+y.toFixed(1)}`);
    if (new Set(points).size > 3) console.log(points.join(" "));
  };
  put(0);
  if (Math.max(...kept.map(p => p[0])) > 180) put(-360); // its part on the other side
  if (Math.min(...kept.map(p => p[0])) < -180) put(360);
}
JS
