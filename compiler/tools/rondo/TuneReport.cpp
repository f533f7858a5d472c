// The page of a search. See TuneReport.h. One file: style and drawing are inside, and nothing is loaded.
#include "compiler/tools/rondo/TuneReport.h"
#include <algorithm>
#include <fmt/format.h>

namespace rondo::tool {
namespace {

std::string escaped(const std::string &text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

constexpr const char *kStyle = R"(
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { font-size: 1.4em; } h2 { font-size: 1.1em; margin-top: 2em; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25em .6em; border-bottom: 1px solid #ddd; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } tr.best { background: #e6f4ea; } tr.default { background: #eef3fb; }
code { font-size: .92em; } svg { max-width: 100%; } .note { color: #666; }
)";

/// Measured plans as bars with their noise, the fastest first.
std::string bars(const TuneSummary &summary) {
  constexpr int kRow = 22, kLeft = 330, kWidth = 900, kMost = 40;
  std::vector<const tune::Trial *> measured;
  double longest = 0;
  for (const tune::Trial &trial : summary.trials)
    if (trial.isMeasured() && int(measured.size()) < kMost) {
      measured.push_back(&trial);
      longest = std::max(longest, trial.median);
    }
  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"measured times\">\n", kWidth,
                                kRow * int(measured.size()) + 10);
  const auto x = [&](double seconds) { return kLeft + seconds / longest * (kWidth - kLeft - 80); };
  for (size_t i = 0; i < measured.size(); ++i) {
    const tune::Trial &trial = *measured[i];
    const int y = int(i) * kRow + 5;
    const bool best = trial.candidate.plan == summary.chosen, usual = trial.candidate.plan == summary.defaultPlan;
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"11\">{}</text>", kLeft - 8, y + 13,
                       escaped(trial.candidate.plan));
    svg += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"16\" fill=\"{}\"/>", kLeft, y,
                       x(trial.median) - kLeft,
                       best    ? "#34a853"
                       : usual ? "#4285f4"
                               : "#bbb");
    svg += fmt::format("<line x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{}\" y2=\"{}\" stroke=\"#333\"/>",
                       x(std::max(0.0, trial.median - trial.noise)), x(trial.median + trial.noise), y + 8, y + 8);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" font-size=\"11\">{:.4g} ms</text>\n", x(trial.median) + 6, y + 13,
                       1e3 * trial.median);
  }
  return svg + "</svg>\n";
}

std::string rows(const TuneSummary &summary) {
  std::string text;
  const double best = summary.trials.empty() ? 0 : summary.trials.front().median;
  for (const tune::Trial &trial : summary.trials) {
    const char *kind = trial.candidate.plan == summary.chosen        ? " class=\"best\""
                       : trial.candidate.plan == summary.defaultPlan ? " class=\"default\""
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

} // namespace

const tune::Trial *trialOf(const TuneSummary &summary, const std::string &plan) {
  for (const tune::Trial &trial : summary.trials)
    if (trial.candidate.plan == plan)
      return &trial;
  return nullptr;
}

std::string tuneReport(const TuneSummary &summary) {
  const tune::Trial *usual = trialOf(summary, summary.defaultPlan);
  const double best = summary.trials.front().median;
  std::string page = fmt::format("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                                 "<title>{0}: tuning</title><style>{1}</style></head><body>\n<h1>{0}</h1>\n",
                                 escaped(summary.title), kStyle);
  page += fmt::format("<p>{}</p>\n<p>Fastest: <code>{}</code>, {:.4g} ms.", escaped(summary.call),
                      escaped(summary.chosen), 1e3 * best);
  if (usual && usual->isMeasured())
    page += fmt::format(" The compiler's own choice, <code>{}</code>, takes {:.4g} ms, {:.2f} times as long.",
                        escaped(summary.defaultPlan), 1e3 * usual->median, usual->median / best);
  page += fmt::format(
      "</p>\n<p class=\"note\">{} plans can be followed; {} were compiled, in {:.1f} s; the search {}.</p>\n",
      summary.space, summary.compiled, summary.seconds, summary.ended ? "ended by itself" : "ended with its time");
  page += "<h2>Measured times</h2>\n<p class=\"note\">Medians, with the noise of each; green is the fastest, blue the "
          "compiler's own choice.</p>\n" +
          bars(summary);
  page += "<h2>Every plan</h2>\n<table><tr><th>plan</th><th class=\"n\">ms</th><th class=\"n\">± ms</th><th "
          "class=\"n\">runs</th>"
          "<th class=\"n\">to the best</th><th class=\"n\">GB/s</th><th class=\"n\">expected cost</th></tr>\n" +
          rows(summary) +
          "</table>\n<p class=\"note\">GB/s counts the tensors of the call, each once: what a plan has "
          "to move at least.</p>\n</body></html>\n";
  return page;
}

} // namespace rondo::tool
