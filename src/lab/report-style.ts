/**
 * How `report.html` looks: in light and dark, on a phone, and on paper.
 */

export const STYLE = `
:root { color-scheme: light dark; --text: #1c1d20; --page: #fff; --line: #c9ccd3; --soft: #f3f4f6;
  --good: #0b6b2f; --good-soft: #e2f4e8; --bad: #a8101b; --bad-soft: #fde5e6; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e7e8ea; --page: #16181c; --line: #434854; --soft: #22252b;
    --good: #7fdc9c; --good-soft: #16331f; --bad: #ff9a9f; --bad-soft: #471a1e; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 72rem; color: var(--text); background: var(--page);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1, h2, h3 { line-height: 1.2; }
section { border-top: 1px solid var(--line); margin-top: 2rem; }
a { color: inherit; }
.verdict, .badge { border: 2px solid; border-radius: .4rem; padding: .2rem .6rem; }
.verdict { font-size: 1.25rem; padding: .6rem .9rem; }
.badge { font-size: .9rem; vertical-align: middle; }
.good { color: var(--good); background: var(--good-soft); }
.bad { color: var(--bad); background: var(--bad-soft); font-weight: bold; }
.none { text-align: center; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top;
  overflow-wrap: break-word; max-width: 32rem; }
tbody th { max-width: 18rem; }
small { font-weight: normal; }
th small { display: block; }
td.good, td.bad { white-space: nowrap; }
thead th { background: var(--soft); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(12rem, 1fr)); gap: .5rem; }
dt { font-size: .85rem; opacity: .8; }
dd { margin: 0; }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; white-space: pre-wrap; font-size: .85rem; }
.screens { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1rem; }
figure { margin: 0; }
img { width: 100%; height: auto; border: 1px solid var(--line); background: #000; }
@media print {
  :root { --text: #000; --page: #fff; --line: #888; --soft: #eee; --good: #0b6b2f; --good-soft: #fff;
    --bad: #a8101b; --bad-soft: #fff; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  .wide { overflow: visible; }
  h2, h3 { break-after: avoid; }
  tr, figure, pre { break-inside: avoid; }
}
`
