// The page of a search. See TuneReport.h. One file: style and drawings are inside, and nothing is loaded or run.
#include "compiler/tools/rondo/TuneReport.h"
#include "compiler/tools/rondo/ReportCharts.h"
#include <fmt/format.h>

namespace rondo::tool {
namespace {

constexpr const char *kStyle = R"(
:root { --best: #1a8754; --usual: #2f6fde; --other: #b4b9c2; --line: #dde1e7; --text: #1d2430; --soft: #667080; --back: #fff; --card: #f5f7fa; }
@media (prefers-color-scheme: dark) { :root { --best: #3fbf82; --usual: #6ea2ff; --other: #5b6472; --line: #333b47; --text: #e6e9ee; --soft: #9aa4b2; --back: #14181f; --card: #1d232c; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1.2em; color: var(--text); background: var(--back); }
h1 { font-size: 1.5em; margin-bottom: .1em; } h2 { font-size: 1.1em; margin: 2.2em 0 .3em; }
.cards { display: flex; flex-wrap: wrap; gap: .8em; margin: 1.2em 0; } .card { background: var(--card); border-radius: 8px; padding: .7em 1.1em; flex: 1 1 8em; }
.card b { display: block; font-size: 1.35em; white-space: nowrap; font-variant-numeric: tabular-nums; } .card span, .note { color: var(--soft); }
pre { background: var(--card); border-radius: 8px; padding: .7em 1em; overflow-x: auto; white-space: pre-wrap; } code, pre { font-size: .9em; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3em .6em; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.best td:first-child { border-left: 4px solid var(--best); } tr.usual td:first-child { border-left: 4px solid var(--usual); }
svg { width: 100%; height: auto; display: block; font-size: 12px; } svg text { fill: var(--text); } .grid { stroke: var(--line); }
rect.best, circle.best, .share, i.best { fill: var(--best); background: var(--best); } rect.usual, circle.usual, i.usual { fill: var(--usual); background: var(--usual); }
rect.other, circle.other, i.other { fill: var(--other); background: var(--other); } .noise { stroke: var(--text); } .unmeasured { stroke: var(--other); stroke-width: 2; }
.roof { fill: none; stroke: var(--text); stroke-width: 2; } .share { height: .9em; border-radius: 2px; min-width: 1px; } #stages td:last-child { width: 30%; }
i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .3em 0 1em; } i:first-child { margin-left: 0; }
)";

std::string rows(const TuneSummary &summary) {
  std::string text;
  const double best = summary.trials.empty() ? 0 : summary.trials.front().median;
  for (const tune::Trial &trial : summary.trials) {
    const char *kind = trial.candidate.plan == summary.chosen        ? " class=\"best\""
                       : trial.candidate.plan == summary.defaultPlan ? " class=\"usual\""
                                                                     : "";
    text += fmt::format("<tr{}><td><code>{}</code></td>", kind, escaped(trial.candidate.plan));
    if (trial.isMeasured())
      text += fmt::format("<td class=\"n\">{:.4g}</td><td class=\"n\">{:.2g}</td><td class=\"n\">{}</td>"
                          "<td class=\"n\">{:.2f}</td><td class=\"n\">{:.3g}</td>",
                          1e3 * trial.median, 1e3 * trial.noise, trial.times.size(), trial.median / best,
                          summary.bytes / trial.median / 1e9);
    else
      text += fmt::format("<td colspan=\"5\" class=\"note\">{}</td>",
                          trial.error.empty() ? "not measured: expected to be slower" : escaped(trial.error));
    text += fmt::format("<td class=\"n\">{:.3g}</td></tr>\n", trial.candidate.cost);
  }
  return text;
}

std::string card(const std::string &number, const std::string &words) {
  return fmt::format("<div class=\"card\"><b>{}</b><span>{}</span></div>", number, words);
}

std::string cards(const TuneSummary &summary) {
  const double best = summary.trials.front().median;
  const tune::Trial *usual = trialOf(summary, summary.defaultPlan);
  std::string text = "<div class=\"cards\">" + card(fmt::format("{:.4g} ms", 1e3 * best), "the fastest plan");
  if (usual && usual->isMeasured())
    text += card(fmt::format("{:.2f} ×", usual->median / best), "as long takes the compiler's own choice");
  if (summary.operations > 0)
    text += card(fmt::format("{:.3g} GFLOP/s", summary.operations / best / 1e9), "in products");
  text += card(fmt::format("{} of {}", summary.compiled, summary.space), "plans compiled");
  return text + card(fmt::format("{:.1f} s", summary.seconds), summary.ended ? "until the search ended" : "were over") +
         "</div>\n";
}

std::string section(const char *heading, const std::string &note, const std::string &content) {
  return content.empty() ? "" : fmt::format("<h2>{}</h2>\n<p class=\"note\">{}</p>\n{}", heading, note, content);
}

} // namespace

const tune::Trial *trialOf(const TuneSummary &summary, const std::string &plan) {
  for (const tune::Trial &trial : summary.trials)
    if (trial.candidate.plan == plan)
      return &trial;
  return nullptr;
}

std::string tuneReport(const TuneSummary &summary) {
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">"
      "<link rel=\"icon\" href=\"data:,\"><title>{0}: tuning</title><style>{1}</style></head><body>\n<h1>{0}</h1>\n",
      escaped(summary.title), kStyle);
  page += fmt::format("<div class=\"note\">{}</div>\n{}<pre id=\"plan\">--plan '{}'</pre>\n", escaped(summary.call),
                      cards(summary), escaped(summary.chosen));
  page += "<p class=\"note\"><i class=\"best\"></i>fastest<i class=\"usual\"></i>the compiler's own choice<i "
          "class=\"other\"></i>others</p>\n";
  page += section("Measured times", "Medians; the line is the noise of each: twice the standard error of the median.",
                  drawTimes(summary));
  page += section("Plan space",
                  "What the cost model expected of each plan, and what it took. Ticks on the lower edge are plans that "
                  "were not measured.",
                  drawSpace(summary));
  page += section("Roofline",
                  "The roof is what this machine has shown just now: multiplications and additions in registers, and "
                  "copies that no cache "
                  "holds. Bytes are the call's tensors, each once; operations are those of the products of the "
                  "compiler's own choice.",
                  drawRoofline(summary));
  page += section("Kernels of the fastest plan",
                  "Time and the tensors that each reads and writes, in the order of a call.", drawStages(summary));
  page += section(
      "Every plan", "GB/s counts the tensors of the call, each once: what a plan has to move at least.",
      "<table id=\"plans\"><tr><th>plan</th><th class=\"n\">ms</th><th class=\"n\">± ms</th><th class=\"n\">runs</th>"
      "<th class=\"n\">to the best</th><th class=\"n\">GB/s</th><th class=\"n\">expected</th></tr>\n" +
          rows(summary) + "</table>\n");
  return page + "</body></html>\n";
}

} // namespace rondo::tool
