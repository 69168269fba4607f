/* SPDX-License-Identifier: MIT */
/*
 * report_style.c: the style sheet of the report. The colours of the series can be
 * distinguished with all common kinds of colour blindness (after Okabe and Ito's
 * palette), and lines of several files also have different dashes. The page is light or
 * dark as the reader's browser is set.
 */
#include "tools/bench/report.h"

static const char style[] =
	":root{color-scheme:light dark;--page:#fbfbf9;--card:#fff;--ink:#1c1d1f;--soft:#62666d;"
	"--rule:#e3e4e1;--good:#00704a;--bad:#b3261e;--warn:#fff4d6;--warn-edge:#c98a00;"
	"--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b8568f;--c4:#6b6f76;--c5:#3d9bd1;"
	"--c6:#c08a00;--c7:#7356bf}\n"
	"@media(prefers-color-scheme:dark){:root{--page:#15171a;--card:#1d2024;--ink:#e9eaec;"
	"--soft:#a0a6ae;--rule:#33373d;--good:#4cc38a;--bad:#ff8078;--warn:#3a3016;"
	"--warn-edge:#d9a520;--c0:#56b4e9;--c1:#f28e3c;--c2:#2fc298;--c3:#e08fbf;--c4:#a8adb5;"
	"--c5:#8ccdf2;--c6:#e6c84a;--c7:#ab94ee}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;max-width:1400px;padding:1.6rem 1.4rem 4rem;background:var(--page);"
	"color:var(--ink);font:15px/1.5 system-ui,-apple-system,'Segoe UI','Liberation Sans',"
	"'DejaVu Sans',sans-serif}\n"
	"h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.25rem;margin:2.6rem 0 .3rem;"
	"padding-top:1rem;border-top:2px solid var(--rule)}\n"
	"p{margin:.3rem 0}.lead,.run,.legend{color:var(--soft)}\n"
	".warning{background:var(--warn);border-left:4px solid var(--warn-edge);"
	"padding:.4rem .8rem;margin:.4rem 0;border-radius:3px}\n"
	".charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(430px,100%),1fr));"
	"gap:1rem;margin:1rem 0}\n"
	".chart{margin:0;background:var(--card);border:1px solid var(--rule);border-radius:8px;"
	"padding:.7rem .8rem .4rem}.wide{grid-column:1/-1}\n"
	"figcaption{font-weight:600;margin-bottom:.3rem}"
	"small{font-weight:400;color:var(--soft);font-size:.82rem;margin-left:.3rem}\n"
	"svg{display:block;max-width:100%;height:auto;font-size:12px}.wide svg{width:100%}\n"
	"text{fill:var(--ink)}text.tick,text.mute{fill:var(--soft)}text.tick{font-size:11px}"
	"text.family,text.tag{font-weight:600}text.value{font-variant-numeric:tabular-nums}"
	"text.good{fill:var(--good);font-weight:600}text.bad{fill:var(--bad);font-weight:600}\n"
	".grid,.rule{stroke:var(--rule);stroke-width:1}\n"
	".c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}"
	".c4{--c:var(--c4)}.c5{--c:var(--c5)}.c6{--c:var(--c6)}.c7{--c:var(--c7)}\n"
	"rect,circle{fill:var(--c)}text.tag{fill:var(--c)}rect{rx:2px}"
	"rect.f1{fill-opacity:.62}rect.f2{fill-opacity:.45}rect.f3{fill-opacity:.34}"
	"rect.aa{fill-opacity:.3;stroke:var(--c);stroke-dasharray:3 2}"
	"rect.client{fill-opacity:.28;stroke:none}\n"
	"circle.sample{fill:var(--ink);fill-opacity:.3}circle.f1,circle.f2,circle.f3{"
	"fill:var(--card);stroke:var(--c);stroke-width:2}\n"
	".whisker{fill:none;stroke:var(--ink);stroke-width:1.4}\n"
	".line{fill:none;stroke:var(--c);stroke-width:2.2;stroke-linejoin:round}"
	".line.middle{stroke-width:1.4}.line.thin{stroke-width:1;stroke-opacity:.55}"
	".line.f1{stroke-dasharray:7 4}.line.f2{stroke-dasharray:2 3}"
	".line.f3{stroke-dasharray:9 3 2 3}.line.aa{stroke-width:1.2;stroke-dasharray:1 3}\n"
	".swatch{display:inline-block;width:.8em;height:.8em;border-radius:2px;"
	"background:var(--c);margin-right:.45em}.swatch.f1{opacity:.62}.swatch.f2{opacity:.45}"
	".swatch.f3{opacity:.34}.swatch.aa{opacity:.4}.legend span{margin-right:1.2em}\n"
	".scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.87rem;"
	"font-variant-numeric:tabular-nums;margin:.5rem 0}\n"
	"th,td{padding:.2rem .6rem;text-align:right;white-space:nowrap;vertical-align:top}"
	"th:first-child,td.name{text-align:left}thead th{color:var(--soft);font-weight:600;"
	"border-bottom:1px solid var(--rule)}tbody th{font-weight:600}"
	".short tbody td,.short tbody th,tr.group th{border-top:1px solid var(--rule)}"
	"span.mute{color:var(--soft)}span.good{color:var(--good);font-weight:600}"
	"span.bad{color:var(--bad);font-weight:600}td.verdict{text-align:left}"
	"td.name{padding-left:1.6rem}\n"
	"tr.group th{padding-top:.45rem}.short thead th{white-space:normal;max-width:8.5rem;"
	"vertical-align:bottom}summary{cursor:pointer;font-weight:600;margin:.8rem 0 .4rem}\n"
	".env{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.35rem "
	"1.4rem;"
	"margin:0;font-size:.9rem}dt{color:var(--soft);font-size:.78rem}dd{margin:0;"
	"overflow-wrap:anywhere}.differs dd{font-weight:600}dd b{color:var(--soft)}\n"
	"footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--rule);"
	"color:var(--soft);font-size:.88rem;max-width:70rem}\n"
	"@media print{body{max-width:none}.chart{break-inside:avoid}}\n";

void report_style(FILE *out)
{
	fputs("<style>\n", out);
	fputs(style, out);
	fputs("</style>\n", out);
}
