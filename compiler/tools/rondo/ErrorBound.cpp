// Growth by perturbation, and the tolerance made of it.
#include "compiler/tools/rondo/ErrorBound.h"
#include "compiler/tools/rondo/RandomInputs.h"
#include "compiler/tools/rondo/Stepping.h"
#include <algorithm>
#include <cmath>

namespace rondo::tool {
namespace {

constexpr double u = 0x1p-24;

int64_t largestFeatureAxis(const Program &program) {
  int64_t largest = 1;
  for (const TensorSpec &spec : program.tensors)
    for (const AxisSpec &axis : spec.axes)
      if (axis.axis == Axis::Named)
        largest = std::max(largest, axis.size);
  return largest;
}

Result<NamedBuffers> runPerturbed(const Kernel &reference, const NamedBuffers &inputs, const GrowthOptions &options,
                                  bool stepped, uint64_t seed) {
  NamedBuffers moved = copy(inputs);
  perturb(moved, reference.program(), u, seed);
  if (!stepped)
    return reference.run(views(moved), callOptions(reference.program(), options.shape, options.threads));
  const auto between = [&](NamedBuffers &states, int64_t time) {
    perturb(states, reference.program(), u, seed + 0x51ed2701 * uint64_t(time));
  };
  return runInPieces(reference, moved, options.shape, 1, options.threads, between);
}

void raise(Growth &growth, const std::vector<TensorDifference> &differences, double factor) {
  growth.factors.resize(differences.size());
  for (size_t i = 0; i < differences.size(); ++i) {
    std::vector<double> &blocks = growth.factors[i];
    blocks.resize(differences[i].parts.size(), 1.0);
    for (size_t b = 0; b < blocks.size(); ++b)
      blocks[b] = std::max(blocks[b], factor * differences[i].relative(b) / u);
  }
}

} // namespace

bool computesInF64(const Program &program) {
  return std::all_of(program.tensors.begin(), program.tensors.end(), [](const TensorSpec &spec) {
    return spec.type != DType::F32 && spec.type != DType::C64 && spec.type != DType::BF16 && spec.type != DType::F16;
  });
}

Result<bool> runsByStep(const Kernel &reference, const NamedBuffers &inputs, const NamedBuffers &results,
                        const CallShape &shape, int threads) {
  if (!canBeCut(reference.program()))
    return false;
  Result<NamedBuffers> stepped = runInPieces(reference, inputs, shape, 1, threads);
  if (!stepped)
    return stepped.error();
  for (const TensorDifference &difference : compare(reference.program(), *stepped, results))
    for (size_t b = 0; b < difference.parts.size(); ++b)
      if (difference.relative(b) > 1e-9)
        return false;
  return true;
}

Result<Growth> measureGrowth(const Kernel &reference, const NamedBuffers &inputs, const NamedBuffers &results,
                             const GrowthOptions &options) {
  Growth growth;
  if (options.steps) {
    Result<bool> stepped = runsByStep(reference, inputs, results, options.shape, options.threads);
    if (!stepped)
      return stepped.error();
    growth.stepped = *stepped;
  }
  const double steps = double(options.shape.time) * double(options.shape.time1);
  // Roundings at all steps: by perturbed states, or by noise in every operation. Else the inputs' have to stand for them.
  const bool everywhere = growth.stepped || !options.noisy.empty();
  const double factor = everywhere ? 1 : std::sqrt(std::max(1.0, steps));
  for (int draw = 0; draw < options.draws; ++draw) {
    const uint64_t seed = options.seed + 0x9d5c1f3 * uint64_t(draw + 1);
    Result<NamedBuffers> moved = runPerturbed(reference, inputs, options, growth.stepped, seed);
    if (!moved)
      return moved.error();
    raise(growth, compare(reference.program(), *moved, results), factor);
  }
  for (const Kernel &noisy : options.noisy) {
    Result<NamedBuffers> moved = noisy.run(views(inputs), callOptions(noisy.program(), options.shape, options.threads));
    if (!moved)
      return moved.error();
    raise(growth, compare(reference.program(), *moved, results), 1);
  }
  return growth;
}

Result<std::vector<std::vector<RoundingBound>>> roundingsOf(const Kernel &rounded, const Kernel &reference,
                                                            const NamedBuffers &inputs, const NamedBuffers &results,
                                                            const CallShape &shape, int threads) {
  const Result<NamedBuffers> moved = rounded.run(views(inputs), callOptions(rounded.program(), shape, threads));
  if (!moved)
    return moved.error();
  std::vector<std::vector<RoundingBound>> relative;
  for (const TensorDifference &difference : compare(reference.program(), *moved, results)) {
    std::vector<RoundingBound> &blocks = relative.emplace_back();
    for (size_t b = 0; b < difference.parts.size(); ++b)
      blocks.push_back({2 * difference.relative(b), 2 * difference.relativeMax(b)});
  }
  return relative;
}

double toleranceOf(const Program &program, double growth) {
  if (computesInF64(program))
    return toleranceF64;
  return boundOf(program, growth, u);
}

double boundOf(const Program &program, double growth, double unit) {
  return 4 * std::sqrt(double(largestFeatureAxis(program) + 64)) * std::max(growth, 1.0) * unit;
}

} // namespace rondo::tool
