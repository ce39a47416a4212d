"""The style sheet of a report: a narrow column for text, full width for pictures, light, dark and print.

It names no font that would have to be loaded, and it has no colour that is not one of the variables on top.
"""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fdfdfc; --ink: #1c1e22; --faint: #5c6370; --rule: #dfe1e5; --ground: #f3f4f6; --accent: #1f5fa8;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15171b; --ink: #e3e5e9; --faint: #9aa1ad; --rule: #30343b; --ground: #1e2126; --accent: #86b7f2;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0 auto; max-width: 92rem; padding: 3.5rem clamp(1.1rem, 4vw, 3.5rem) 5rem;
  background: var(--paper); color: var(--ink); font: 1rem/1.6 var(--sans); overflow-wrap: break-word;
}
header { margin-bottom: 2.5rem; max-width: 46rem; }
h1 {
  font-size: clamp(1.7rem, 4.5vw, 2.3rem); line-height: 1.15; letter-spacing: -0.015em; font-weight: 680;
  margin: 0; text-wrap: balance;
}
h2 { font-size: 1.4rem; line-height: 1.25; letter-spacing: -0.008em; margin: 3.4rem 0 0.9rem; font-weight: 650; }
h3 { font-size: 1.08rem; line-height: 1.35; margin: 2.2rem 0 0.6rem; font-weight: 650; }
main > h2:first-child { margin-top: 0; }
h2, h3 { scroll-margin-top: 1.2rem; }
p, ul, ol, blockquote { max-width: 42rem; margin: 0 0 1rem; }
header p { color: var(--faint); font-size: 1.12rem; line-height: 1.5; margin: 0.9rem 0 0; }
ul { padding-left: 1.2rem; } li { margin: 0.25rem 0; } li::marker { color: var(--faint); }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
code, pre { font-family: var(--mono); font-size: 0.875em; }
code { background: var(--ground); padding: 0.1em 0.34em; border-radius: 4px; }
pre { margin: 0; padding: 0.9rem 1.1rem; line-height: 1.5; min-width: 100%; width: fit-content; }
pre code { background: none; padding: 0; font-size: 1em; }
.prompt { color: var(--faint); user-select: none; } .typed { font-weight: 600; }
.typed { white-space: pre-wrap; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; border-radius: 8px; margin: 1.3rem 0 1.6rem; }
.code { background: var(--ground); border: 1px solid var(--rule); max-width: 60rem; }
figure { margin: 1.6rem 0 2.2rem; } figure .scroll { margin: 0; }
figure .scroll + details { margin-top: 0.7rem; } details .scroll + .scroll { margin-top: 0.9rem; }
figure .scroll { width: fit-content; max-width: 100%; border: 1px solid var(--rule); background: #fff; }
img { display: block; height: auto; max-width: 100%; }
img[style] { width: calc(var(--width) * 1px); max-width: max(100%, min(40rem, var(--width) * 1px)); }
label { display: block; cursor: zoom-in; } label:has(:checked) { cursor: zoom-out; }
label input { position: absolute; opacity: 0; } label :checked + img[style] { max-width: none; }
label :focus-visible + img { outline: 2px solid var(--accent); outline-offset: -2px; }
figcaption { color: var(--faint); font-size: 0.92rem; line-height: 1.5; margin-top: 0.7rem; max-width: 46rem; }
summary { cursor: pointer; color: var(--accent); font-size: 0.92rem; margin: 0.7rem 0; }
.caption { font-weight: 600; font-size: 0.95rem; margin: 1.6rem 0 0.5rem; }
.caption + .scroll { margin-top: 0; }
.table { width: fit-content; max-width: 100%; border-radius: 0; }
table { border-collapse: collapse; font-size: 0.92rem; line-height: 1.4; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: baseline; padding: 0.42rem 1.5rem 0.42rem 0; }
th:last-child, td:last-child { padding-right: 0.2rem; }
th { font-weight: 600; color: var(--faint); border-bottom: 1.5px solid var(--ink); white-space: nowrap; }
td { border-bottom: 1px solid var(--rule); white-space: nowrap; } .long { white-space: normal; min-width: 16rem; }
td code { background: none; padding: 0; white-space: nowrap; }
.number { text-align: right; }
nav { font-size: 0.92rem; line-height: 1.4; margin: 0 0 3rem; }
nav p { color: var(--faint); margin: 0 0 0.5rem; } nav ol { list-style: none; padding: 0; margin: 0; }
nav li { margin: 0.4rem 0; } nav .sub { padding-left: 1rem; } nav a { color: var(--ink); }
nav a:hover { color: var(--accent); }
footer {
  color: var(--faint); font-size: 0.85rem; border-top: 1px solid var(--rule); margin-top: 4rem; padding-top: 1rem;
}
@media (min-width: 72rem) {
  .columns { display: grid; grid-template-columns: 12.5rem minmax(0, 1fr); column-gap: 3rem; align-items: start; }
  nav { position: sticky; top: 2rem; max-height: calc(100vh - 4rem); overflow-y: auto; margin: 0.3rem 0 0; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --ink: #000; --faint: #444; --rule: #ccc; --ground: #f4f4f4; --accent: #000;
  }
  body { max-width: none; padding: 0; font-size: 10pt; }
  .columns { display: block; } nav { position: static; max-height: none; }
  h2, h3, .caption { break-after: avoid; } figure, .code, tr { break-inside: avoid; }
  .scroll { overflow: visible; max-width: 100%; } img[style] { max-width: 100%; }
  pre { white-space: pre-wrap; width: auto; }
}
"""
