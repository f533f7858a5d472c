// See ReportCharts.h.
#include "compiler/tools/rondo/ReportCharts.h"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace rondo::tool {
namespace {

/// "chunk" of "<form = step, chunk = 1>": "1". Empty where the plan has no such parameter.
std::string parameter(const std::string &plan, const std::string &name) {
  for (const char *before : {"<", ", "}) {
    const std::string key = before + name + " = ";
    if (const size_t at = plan.find(key); at != std::string::npos) {
      const size_t begin = at + key.size();
      return plan.substr(begin, plan.find_first_of(",>", begin) - begin);
    }
  }
  return "";
}

const char *kindOf(const TuneSummary &summary, const std::string &plan) {
  return plan == summary.chosen ? "best" : plan == summary.defaultPlan ? "usual" : "other";
}

/// A logarithmic scale: `low` and `high` at the pixels `from` and `to`.
struct Scale {
  double low, high, from, to;
  double operator()(double x) const {
    return from + (std::log10(x) - std::log10(low)) / (std::log10(high) - std::log10(low)) * (to - from);
  }
  /// Round numbers inside the scale: powers of ten, or as many more as a short scale needs.
  std::vector<double> ticks() const {
    std::vector<double> ticks, steps = {1};
    if (high / low < 12)
      steps = {1, 1.5, 2, 3, 4, 5, 6, 8};
    else if (high / low < 200)
      steps = {1, 2, 5};
    for (double power = std::pow(10, std::floor(std::log10(low))); power <= high; power *= 10)
      for (const double step : steps)
        if (power * step >= low && power * step <= high)
          ticks.push_back(power * step);
    return ticks;
  }
};

constexpr double kWide = 900, kHigh = 340, kLeft = 80, kRight = 30, kTop = 15, kBottom = 50;

/// The frame of a chart with two logarithmic axes and their names.
std::string axes(const Scale &x, const Scale &y, const std::string &below, const std::string &beside) {
  std::string svg;
  for (const double tick : x.ticks())
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/><text x=\"{0:.1f}\" y=\"{3}\" "
        "text-anchor=\"middle\">{4:.4g}</text>\n",
        x(tick), kTop, kHigh - kBottom, kHigh - kBottom + 17, tick);
  for (const double tick : y.ticks())
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text x=\"{3}\" y=\"{4:.1f}\" "
        "text-anchor=\"end\">{5:.4g}</text>\n",
        kLeft, kWide - kRight, y(tick), kLeft - 8, y(tick) + 4, tick);
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", (kLeft + kWide - kRight) / 2,
                     kHigh - 12, below);
  return svg + fmt::format("<text transform=\"translate(16 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
                           (kTop + kHigh - kBottom) / 2, beside);
}

std::string opened(const char *id, const char *label, double high) {
  return fmt::format("<svg id=\"{}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n", id, kWide, high, label);
}

/// A mark that says what it stands for where a pointer rests on it.
std::string mark(const TuneSummary &summary, const tune::Trial &trial, double x, double y) {
  const std::string kind = kindOf(summary, trial.candidate.plan);
  return fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{}{}</title></circle>\n", kind,
                     x, y, kind == "other" ? 4 : 6, escaped(shortPlan(trial.candidate.plan)),
                     trial.isMeasured() ? fmt::format(": {:.4g} ms", 1e3 * trial.median) : ": not measured");
}

} // namespace

std::string escaped(const std::string &text) {
  std::string out;
  for (const char c : text)
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

std::string shortPlan(const std::string &plan) {
  std::string text;
  for (size_t begin = 0; begin < plan.size();) {
    const size_t end = std::min(plan.find("; ", begin), plan.size());
    const std::string part = plan.substr(begin, end - begin);
    text += (text.empty() ? "" : "; ") + part.substr(0, part.find('<'));
    if (parameter(part, "form") == "step")
      text += "steps";
    else
      text += "chunk " + parameter(part, "chunk");
    for (const auto &[name, words] :
         {std::pair("interval", ", kept every "), std::pair("value_tile", ", tile "), std::pair("warps", ", warps "),
          std::pair("stages", ", stages "), std::pair("segments", ", segments ")})
      if (const std::string value = parameter(part, name); !value.empty() && parameter(part, "form") != "step")
        text += words + value;
    if (parameter(part, "ahead") == "true")
      text += ", ahead";
    if (parameter(part, "warpgroups") == "true")
      text += ", warpgroups";
    begin = end + 2;
  }
  return text;
}

std::string drawTimes(const TuneSummary &summary) {
  constexpr int kRow = 24, kMost = 40;
  std::vector<const tune::Trial *> measured;
  double longest = 0;
  size_t letters = 8;
  for (const tune::Trial &trial : summary.trials)
    if (trial.isMeasured() && int(measured.size()) < kMost) {
      measured.push_back(&trial);
      longest = std::max(longest, trial.median + trial.noise);
      letters = std::max(letters, shortPlan(trial.candidate.plan).size());
    }
  const double left = std::min(420.0, 20 + 7.0 * double(letters));
  std::string svg = opened("times", "measured times", kRow * double(measured.size()) + 6);
  const auto x = [&](double seconds) { return left + seconds / longest * (kWide - left - 90); };
  for (size_t i = 0; i < measured.size(); ++i) {
    const tune::Trial &trial = *measured[i];
    const double y = kRow * double(i) + 4;
    svg += fmt::format("<g><title>{}</title><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                       escaped(trial.candidate.plan), left - 8, y + 13, escaped(shortPlan(trial.candidate.plan)));
    svg += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"17\" rx=\"2\"/>",
                       kindOf(summary, trial.candidate.plan), left, y, x(trial.median) - left);
    svg += fmt::format("<line class=\"noise\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2}\" y2=\"{2}\"/>",
                       x(std::max(0.0, trial.median - trial.noise)), x(trial.median + trial.noise), y + 8.5);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\">{:.4g} ms</text></g>\n", x(trial.median + trial.noise) + 6, y + 13,
                       1e3 * trial.median);
  }
  return svg + "</svg>\n";
}

std::string drawSpace(const TuneSummary &summary) {
  double least = 0, most = 0, fastest = 0, slowest = 0;
  const auto widen = [](double value, double &low, double &high) {
    low = low == 0 ? value : std::min(low, value);
    high = std::max(high, value);
  };
  for (const tune::Trial &trial : summary.trials) {
    widen(trial.candidate.cost, least, most);
    if (trial.isMeasured())
      widen(1e3 * trial.median, fastest, slowest);
  }
  if (least <= 0 || fastest <= 0)
    return "";
  const Scale x{least / 1.1, most * 1.1, kLeft, kWide - kRight}, y{fastest / 1.2, slowest * 1.2, kHigh - kBottom, kTop};
  std::string svg = opened("space", "expected cost and measured time of every plan", kHigh) +
                    axes(x, y, "expected, ns per step and head", "measured, ms");
  for (const tune::Trial &trial : summary.trials)
    if (trial.isMeasured())
      svg += mark(summary, trial, x(trial.candidate.cost), y(1e3 * trial.median));
    else
      svg += fmt::format("<line class=\"unmeasured\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"><title>{3}: "
                         "not measured</title></line>\n",
                         x(trial.candidate.cost), kHigh - kBottom - 8, kHigh - kBottom,
                         escaped(shortPlan(trial.candidate.plan)));
  return svg + "</svg>\n";
}

std::string drawRoofline(const TuneSummary &summary) {
  if (summary.operations <= 0 || summary.bytes <= 0 || summary.ceilings.operations <= 0 || summary.trials.empty())
    return "";
  const double intensity = summary.operations / summary.bytes,
               ridge = summary.ceilings.operations / summary.ceilings.bytes;
  const double top = summary.ceilings.operations / 1e9;
  double slowest = top;
  for (const tune::Trial &trial : summary.trials)
    if (trial.isMeasured())
      slowest = std::min(slowest, summary.operations / trial.median / 1e9);
  const Scale x{std::min(intensity, ridge) / 8, std::max(intensity, ridge) * 8, kLeft, kWide - kRight};
  const double edge = x.low * summary.ceilings.bytes / 1e9; // the roof where the chart begins
  const Scale y{std::min(slowest, edge) / 1.5, top * 1.5, kHigh - kBottom, kTop};
  std::string svg = opened("roofline", "the machine's roof and the plans under it", kHigh) +
                    axes(x, y, "operations per byte", "GFLOP/s");
  svg += fmt::format("<polyline class=\"roof\" points=\"{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}\"/>\n", x(x.low),
                     y(edge), x(ridge), y(top), x(x.high), y(top));
  svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{:.3g} GFLOP/s</text>\n", x(ridge) + 10, y(top) - 5, top);
  svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{:.3g} GB/s</text>\n",
                     x(std::sqrt(x.low * ridge)) - 8, y(std::sqrt(edge * top)), summary.ceilings.bytes / 1e9);
  for (auto trial = summary.trials.rbegin(); trial != summary.trials.rend(); ++trial)
    if (trial->isMeasured())
      svg += mark(summary, *trial, x(intensity), y(summary.operations / trial->median / 1e9));
  return svg + fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{:.3g} GFLOP/s</text></svg>\n", x(intensity) + 12,
                           y(summary.operations / summary.trials.front().median / 1e9) + 4,
                           summary.operations / summary.trials.front().median / 1e9);
}

std::string drawStages(const TuneSummary &summary) {
  double all = 0;
  for (const Stage &stage : summary.stages)
    all += stage.seconds;
  if (all <= 0)
    return "";
  std::string text = "<table id=\"stages\"><tr><th>kernel</th><th class=\"n\">ms</th><th class=\"n\">of the "
                     "call</th><th class=\"n\">MB</th>"
                     "<th class=\"n\">GB/s</th><th></th></tr>\n";
  for (const Stage &stage : summary.stages)
    text +=
        fmt::format("<tr><td><code>{}</code></td><td class=\"n\">{:.4g}</td><td class=\"n\">{:.0f} %</td><td "
                    "class=\"n\">{:.3g}</td>"
                    "<td class=\"n\">{:.3g}</td><td><div class=\"share\" style=\"width:{:.1f}%\"></div></td></tr>\n",
                    escaped(stage.name), 1e3 * stage.seconds, 100 * stage.seconds / all, stage.bytes / 1e6,
                    stage.seconds > 0 ? stage.bytes / stage.seconds / 1e9 : 0, 100 * stage.seconds / all);
  return text + "</table>\n";
}

} // namespace rondo::tool
