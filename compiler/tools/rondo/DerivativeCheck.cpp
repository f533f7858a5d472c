// See DerivativeCheck.h.
#include "compiler/tools/rondo/DerivativeCheck.h"
#include "compiler/tools/rondo/Stepping.h"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace rondo::tool {
namespace {

constexpr int mostDraws = 8;

/// An initial state that keeps its default does not move.
void holdDefaults(NamedBuffers &inputs) {
  for (auto &[name, buffer] : inputs) {
    const auto isBase = [base = name.substr(std::min<size_t>(2, name.size()))](const auto &each) {
      return each.first == base;
    };
    if (name.starts_with("t_") && std::ranges::none_of(inputs, isBase))
      std::memset(buffer.data(), 0, buffer.bytes());
  }
}

/// Calls `check` with a trial's inputs and what the derivative makes of them, until every difference has settled once.
template <typename Difference, typename Check>
Result<SettledDifferences<Difference>> settle(const Kernel &derivative, TrialOptions options, bool tangent,
                                              const Check &check) {
  SettledDifferences<Difference> settled;
  const uint64_t seed = options.seed;
  const auto allSettled = [&] { return std::ranges::all_of(settled.differences, &Difference::settled); };
  for (int draw = 0; draw < mostDraws && (draw == 0 || !allSettled()); ++draw) {
    options.seed = seed + uint64_t(draw);
    Result<Trial> trial = drawTrial(derivative, derivative, options);
    if (!trial)
      return trial.error();
    settled.shape = trial->shape;
    // Elements at the very end of an interval tie with each other, and max, abs and the like have a corner where they do.
    moveInside(trial->inputs, derivative.program(), seed);
    if (tangent)
      holdDefaults(trial->inputs);
    Result<NamedBuffers> results =
        derivative.run(views(trial->inputs), callOptions(derivative.program(), trial->shape, options.threads));
    if (!results)
      return results.error();
    Result<std::vector<Difference>> found = check(*trial, *results);
    if (!found)
      return found.error();
    if (settled.differences.empty())
      settled.differences = *found;
    for (size_t i = 0; i < found->size(); ++i)
      settled.differences[i].replaceBy((*found)[i]);
  }
  return settled;
}

} // namespace

template <typename Difference> std::string SettledDifferences<Difference>::summary() const {
  double worst = 0;
  int64_t hidden = 0;
  for (const Difference &each : differences) {
    const bool isHidden = each.passed() && !each.settled();
    hidden += isHidden;
    worst = std::max(worst, isHidden ? 0 : each.error);
  }
  return fmt::format("differences of {} tensors: worst {:.1e}, tolerance {:.1e}{}", differences.size(), worst,
                     toleranceOfDifferences,
                     hidden ? fmt::format(" ({} too small for that, and equal within rounding)", hidden) : "");
}
template struct SettledDifferences<GradientDifference>;
template struct SettledDifferences<TangentDifference>;

Result<SettledDifferences<GradientDifference>> settleGradient(const DerivativePrograms &programs,
                                                              const TrialOptions &options) {
  return settle<GradientDifference>(programs.derivative, options, false,
                                    [&](const Trial &trial, const NamedBuffers &gradients) {
                                      return checkDifferences(programs.model, trial.inputs, gradients, programs.prefix,
                                                              trial.shape, options.seed, options.threads);
                                    });
}

Result<SettledDifferences<TangentDifference>> settleTangent(const DerivativePrograms &programs,
                                                            const TrialOptions &options) {
  return settle<TangentDifference>(programs.derivative, options, true,
                                   [&](const Trial &trial, const NamedBuffers &results) {
                                     return checkTangents(programs.model, *programs.transposed, trial.inputs, results,
                                                          trial.shape, options.seed, options.threads);
                                   });
}

} // namespace rondo::tool
