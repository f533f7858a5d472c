// Draws, redraws, judgements.
#include "compiler/tools/rondo/Trial.h"
#include "compiler/tools/rondo/Stepping.h"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace rondo::tool {
namespace {

constexpr int mostDraws = 40;

/// Whether a final state may keep an infinity that its default began with (a slice that no step has reached yet).
bool mayBeInfinite(const Program &program) {
  for (const TensorSpec &spec : program.tensors)
    if (spec.kind == TensorKind::Init)
      for (double x : spec.defaultValue)
        if (std::isinf(x))
          return true;
  return false;
}

bool inRange(const TensorSpec &spec, const Tensor &tensor, bool infinities) {
  double sum = 0, largest = 0;
  bool anyNonZero = false;
  const int64_t count = tensor.elements();
  for (int64_t i = 0; i < count; ++i)
    for (double x : {loadReal(tensor, i), loadImag(tensor, i)}) {
      if (std::isinf(x) && infinities && spec.kind == TensorKind::Final)
        continue;
      if (!std::isfinite(x))
        return false;
      largest = std::max(largest, std::abs(x));
      sum += x * x;
      anyNonZero |= x != 0;
    }
  const double rms = count ? std::sqrt(sum / double(count)) : 0;
  return largest <= 1e30 && (!anyNonZero || rms >= 1e-30);
}

bool fits16(const Tensor &tensor) {
  const int64_t count = tensor.elements();
  for (int64_t i = 0; i < count; ++i)
    if (std::isfinite(loadReal(tensor, i)) && std::abs(loadReal(tensor, i)) > 65000)
      return false;
  return true;
}

/// Counts the reason and returns false where these results can not be judged.
bool usable(const Kernel &reference, const Program &program, const NamedBuffers &results, Redraws &redraws) {
  const auto specs = computedTensors(reference.program()), stored = computedTensors(program);
  const bool infinities = mayBeInfinite(reference.program());
  for (size_t i = 0; i < specs.size() && i < results.size(); ++i) {
    if (!inRange(*specs[i], results[i].second.view(), infinities)) {
      ++redraws.range;
      return false;
    }
    if (stored[i]->type == DType::F16 && !fits16(results[i].second.view())) {
      ++redraws.f16;
      return false;
    }
  }
  return true;
}

/// Counts what the bound says little about; false where that is all of the results.
bool partlyConclusive(Trial &trial, double largest) {
  int blocks = 0;
  trial.weak = 0;
  for (const auto &tensor : trial.tolerances)
    for (double tolerance : tensor) {
      ++blocks;
      trial.weak += !(tolerance <= largest);
    }
  return trial.weak < blocks;
}

bool conclusive(const std::vector<std::vector<double>> &tolerances) {
  for (const auto &blocks : tolerances)
    for (double tolerance : blocks)
      if (!(tolerance <= largestTolerance))
        return false;
  return true;
}

/// The fixed tolerance, except where a rounding of 2^-53 can do more.
void raiseTo(std::vector<std::vector<double>> &tolerances, double fixed, const Program &program, const Growth &growth) {
  for (size_t i = 0; i < tolerances.size(); ++i)
    for (size_t b = 0; b < tolerances[i].size(); ++b)
      tolerances[i][b] = std::max(fixed, boundOf(program, growth.factors[i][b], 0x1p-53));
}

/// Everything about a draw except whether it is good. `growth` is not needed where the tolerance is fixed.
Result<bool> complete(Trial &trial, const Kernel &reference, const Kernel &kernel, const NamedBuffers &inputs,
                      const TrialOptions &options, uint64_t seed) {
  const bool exact = computesInF64(kernel.program());
  if (exact && !options.gradient) {
    Result<bool> byStep = runsByStep(reference, inputs, trial.results, trial.shape, options.threads);
    if (!byStep)
      return byStep.error();
    trial.byStep = *byStep;
    trial.tolerances.clear();
    for (const TensorDifference &each : compare(reference.program(), trial.results, trial.results))
      trial.tolerances.emplace_back(each.parts.size(), toleranceF64);
    trial.isFixed = true;
    return true;
  }
  Result<Growth> growth = measureGrowth(reference, inputs, trial.results,
                                        {trial.shape, seed, 3, !options.gradient, options.threads, options.noisy});
  if (!growth)
    return growth.error();
  trial.byStep = growth->stepped;
  trial.tolerances = tolerancesOf(kernel.program(), *growth);
  if (exact)
    raiseTo(trial.tolerances, toleranceF64Gradient, kernel.program(), *growth);
  const bool good = options.gradient ? partlyConclusive(trial, largestTolerance) : conclusive(trial.tolerances);
  if (!good || options.rounded.empty())
    return good;
  const Result<void> added = addRoundings(trial, options.rounded.front(), reference, options.threads);
  if (!added)
    return added.error();
  return partlyConclusive(trial, largestRounded);
}

} // namespace

std::string Redraws::describe() const {
  std::vector<std::string> reasons;
  if (range)
    reasons.push_back(fmt::format("{} left 1e±30", range));
  if (f16)
    reasons.push_back(fmt::format("{} left f16", f16));
  if (condition)
    reasons.push_back(fmt::format("{} ill-conditioned", condition));
  return total() ? fmt::format("{} redrawn: {}", total(), fmt::join(reasons, ", ")) : "";
}

Result<Trial> drawTrial(const Kernel &reference, const Kernel &kernel, const TrialOptions &options) {
  Trial trial;
  trial.shape = fitted(reference.program().tensors, options.shape);
  trial.noisy = options.noisy;
  while (trial.redraws.total() < mostDraws) {
    const uint64_t seed = options.seed + 0x632be5ab * uint64_t(trial.redraws.total());
    trial.inputs = convert(drawInputs(reference.program(), trial.shape, seed, options.inits), kernel.program());
    const NamedBuffers inputs = convert(trial.inputs, reference.program());
    Result<NamedBuffers> results =
        reference.run(views(inputs), callOptions(reference.program(), trial.shape, options.threads));
    if (!results)
      return results.error();
    trial.results = std::move(*results);
    if (!usable(reference, kernel.program(), trial.results, trial.redraws))
      continue;
    Result<bool> good = complete(trial, reference, kernel, inputs, options, seed);
    if (!good)
      return good.error();
    if (*good)
      return trial;
    ++trial.redraws.condition;
  }
  return Error(
      fmt::format("no draw of inputs for '{}' can be judged ({}): declare the intervals that its inputs lie in",
                  reference.program().model, trial.redraws.describe()));
}

Result<NamedBuffers> runTrial(const Kernel &kernel, const Trial &trial, int threads, int64_t piece) {
  if (piece > 0)
    return runInPieces(kernel, trial.inputs, trial.shape, piece, threads);
  return kernel.run(views(trial.inputs), callOptions(kernel.program(), trial.shape, threads));
}

std::vector<std::vector<double>> tolerancesOf(const Program &program, const Growth &growth) {
  std::vector<std::vector<double>> tolerances = growth.factors;
  for (auto &blocks : tolerances)
    for (double &block : blocks)
      block = toleranceOf(program, block);
  return tolerances;
}

Result<void> addRoundings(Trial &trial, const Kernel &rounded, const Kernel &reference, int threads) {
  const Result<std::vector<std::vector<RoundingBound>>> roundings =
      roundingsOf(rounded, reference, convert(trial.inputs, reference.program()), trial.results, trial.shape, threads);
  if (!roundings)
    return roundings.error();
  trial.rounded = {rounded};
  trial.unrounded = trial.tolerances;
  trial.roundings = *roundings;
  trial.setTolerances();
  return {};
}

void Trial::setTolerances() {
  tolerances = largest = unrounded;
  for (size_t i = 0; i < tolerances.size(); ++i)
    for (size_t b = 0; b < tolerances[i].size(); ++b) {
      const RoundingBound &bound = roundings[i][b];
      largest[i][b] = 10 * unrounded[i][b] + std::max(10 * bound.norm, bound.largest);
      tolerances[i][b] = unrounded[i][b] + bound.norm;
    }
}

/// Raises the bound to what roundings do to inputs beside the trial's: moved by about one unit of bf16 and rounded to their own types, so that
/// every later rounding falls out anew.
static Result<void> raiseRoundings(Trial &trial, const Kernel &reference, uint64_t seed, int threads) {
  NamedBuffers moved = copy(trial.inputs);
  perturb(moved, reference.program(), 0x1p-7, seed);
  const NamedBuffers inputs = convert(moved, reference.program());
  const Result<NamedBuffers> results =
      reference.run(views(inputs), callOptions(reference.program(), trial.shape, threads));
  if (!results)
    return results.error();
  const auto others = roundingsOf(trial.rounded.front(), reference, inputs, *results, trial.shape, threads);
  if (!others)
    return others.error();
  for (size_t i = 0; i < trial.roundings.size(); ++i)
    for (size_t b = 0; b < trial.roundings[i].size(); ++b) {
      RoundingBound &bound = trial.roundings[i][b];
      bound.norm = std::max(bound.norm, (*others)[i][b].norm);
      bound.largest = std::max(bound.largest, (*others)[i][b].largest);
    }
  trial.setTolerances();
  return {};
}

Result<Verdict> judge(const Program &program, const NamedBuffers &results, Trial &trial, const Kernel &reference,
                      int threads) {
  Verdict verdict = judge(program, results, trial.results, trial.tolerances, trial.largest);
  // Only what the first draw of roundings does not allow needs the others.
  for (uint64_t draw = 1; !verdict.passed() && !trial.rounded.empty() && draw < roundingDraws; ++draw) {
    if (const Result<void> raised = raiseRoundings(trial, reference, draw, threads); !raised)
      return raised.error();
    verdict = judge(program, results, trial.results, trial.tolerances, trial.largest);
  }
  return verdict;
}

Verdict judge(const Program &program, const NamedBuffers &results, const NamedBuffers &reference,
              const std::vector<std::vector<double>> &tolerances, const std::vector<std::vector<double>> &mostOf) {
  Verdict worst;
  worst.ratio = -1;
  const auto differences = compare(program, results, reference);
  for (size_t i = 0; i < differences.size(); ++i)
    for (size_t b = 0; b < differences[i].parts.size(); ++b) {
      const double error = differences[i].relative(b), largest = differences[i].relativeMax(b);
      const double tolerance =
          i < tolerances.size() && b < tolerances[i].size() ? tolerances[i][b] : toleranceOf(program, 1);
      const double most = i < mostOf.size() && b < mostOf[i].size() ? mostOf[i][b] : 10 * tolerance;
      // A block that is zero but for roundings has no relative error; it may be anything finite.
      const bool isFree = std::isinf(tolerance) && std::isfinite(differences[i].parts[b].error);
      double ratio = isFree ? 0 : std::max(error / tolerance, largest / most);
      if (std::isnan(ratio))
        ratio = INFINITY;
      if (ratio > worst.ratio) {
        const int64_t heads = std::max<int64_t>(differences[i].blocks.heads, 1);
        worst = {differences[i].name, int64_t(b) / heads, int64_t(b) % heads, error, tolerance, largest, most, ratio};
      }
    }
  return worst;
}

Result<Verdict> verdictOn(const Kernel &kernel, const Kernel &reference, Trial &trial, int threads, int64_t piece) {
  Result<NamedBuffers> results = runTrial(kernel, trial, threads, piece);
  if (!results)
    return results.error();
  Result<Verdict> verdict = judge(kernel.program(), *results, trial, reference, threads);
  if (!verdict || verdict->passed() || !trial.isFixed)
    return verdict;
  Result<Growth> growth = measureGrowth(reference, convert(trial.inputs, reference.program()), trial.results,
                                        {trial.shape, 1, 3, true, threads, trial.noisy});
  if (!growth)
    return growth.error();
  std::vector<std::vector<double>> tolerances = trial.tolerances;
  raiseTo(tolerances, toleranceF64, kernel.program(), *growth);
  return judge(kernel.program(), *results, trial.results, tolerances);
}

static Result<Judgement> judgeOnce(const Kernel &kernel, const Kernel &reference, const TrialOptions &options,
                                   bool stepped) {
  Result<Trial> trial = drawTrial(reference, kernel, options);
  if (!trial)
    return trial.error();
  Judgement judgement{std::move(*trial), {}, {}};
  Result<Verdict> verdict = verdictOn(kernel, reference, judgement.trial, options.threads, 0);
  if (!verdict)
    return verdict.error();
  judgement.whole = *verdict;
  if (!stepped || !judgement.trial.byStep || judgement.trial.shape.time <= 1)
    return judgement;
  verdict = verdictOn(kernel, reference, judgement.trial, options.threads, 1);
  if (!verdict)
    return verdict.error();
  judgement.stepped = *verdict;
  return judgement;
}

Result<Judgement> judgeKernel(const Kernel &kernel, const Kernel &reference, TrialOptions options, bool stepped,
                              const std::function<Result<std::vector<Kernel>>()> &makeNoisy) {
  Result<Judgement> judgement = judgeOnce(kernel, reference, options, stepped);
  if (!judgement || judgement->passed() || !options.noisy.empty())
    return judgement;
  Result<std::vector<Kernel>> noisy = makeNoisy();
  if (!noisy)
    return noisy.error();
  options.noisy = std::move(*noisy);
  return judgeOnce(kernel, reference, options, stepped);
}

} // namespace rondo::tool
