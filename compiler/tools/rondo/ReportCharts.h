// The drawings of a tuning report, as SVG that stands in the page.
#pragma once
#include "compiler/tools/rondo/TuneReport.h"

namespace rondo::tool {

/// Text for HTML.
std::string escaped(const std::string &text);
/// A plan without what all plans have in common: "S: chunk 16, tile 64", "S: steps".
std::string shortPlan(const std::string &plan);

/// Measured plans as bars with their noise, the fastest first.
std::string drawTimes(const TuneSummary &summary);
/// Every plan: what it was expected to cost, and the time that it took. Those that were not measured stand on the lower edge.
std::string drawSpace(const TuneSummary &summary);
/// Operations per byte and operations a second under the machine's roof.
std::string drawRoofline(const TuneSummary &summary);
/// A bar for each stage's share of the time.
std::string drawStages(const TuneSummary &summary);

} // namespace rondo::tool
