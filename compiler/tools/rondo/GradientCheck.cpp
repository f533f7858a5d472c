// See GradientCheck.h.
#include "compiler/tools/rondo/GradientCheck.h"
#include "compiler/tools/rondo/Random.h"
#include "compiler/tools/rondo/RandomInputs.h"
#include "compiler/tools/rondo/Stepping.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace rondo::tool {
namespace {

const Buffer *find(const NamedBuffers &tensors, const std::string &name) {
  const auto found = std::ranges::find(tensors, name, &NamedBuffers::value_type::first);
  return found == tensors.end() ? nullptr : &found->second;
}

Buffer duplicate(const Buffer &buffer) {
  Buffer made(buffer.type(), buffer.shape());
  std::memcpy(made.data(), buffer.data(), buffer.bytes());
  return made;
}

/// Random signs, in the shape of `like`.
Buffer signs(const Buffer &like, uint64_t seed, const std::string &name) {
  Random random(seed, name);
  Buffer made = duplicate(like);
  const int64_t count = made.view().elements();
  for (int64_t i = 0; i < count; ++i) {
    const double re = random.sign(), im = random.sign();
    storeElement(made.view(), i, re, im);
  }
  return made;
}

/// Re sum conj(x) y, over the finite elements of y: a slice that no step has reached keeps the infinity that it began with.
double dot(const Tensor &x, const Tensor &y) {
  double sum = 0;
  const int64_t count = x.elements();
  for (int64_t i = 0; i < count; ++i)
    if (std::isfinite(loadReal(y, i)) && std::isfinite(loadImag(y, i)))
      sum += loadReal(x, i) * loadReal(y, i) + (isComplex(x.type) ? loadImag(x, i) * loadImag(y, i) : 0);
  return sum;
}

class Differences {
public:
  /// `inputs` has those of the model, `cotangents` those of its results, with `prefix` before their names.
  Differences(const Kernel &model, const NamedBuffers &inputs, const NamedBuffers &cotangents,
              const std::string &prefix, const CallShape &shape, int threads)
      : model(model), cotangents(cotangents), prefix(prefix), shape(shape), threads(threads) {
    for (const TensorSpec &spec : model.program().tensors)
      if (const Buffer *given = isGiven(spec.kind) ? find(inputs, spec.name) : nullptr)
        own.emplace_back(spec.name, duplicate(*given));
  }

  /// |D(h / 2) - `expected`| for the largest h at which D has settled to within `settled`, along `directions` of tensors of the model.
  /// `name` is what the result is called.
  Result<GradientDifference> along(const std::string &name, const NamedBuffers &directions, double expected,
                                   double settled) {
    bool hidden = false;
    for (double h : {1e-3, 1e-4, 1e-5, 3e-6, 3e-7}) {
      Result<Levels> levels = differences(directions, h);
      if (!levels)
        return levels.error();
      const auto [coarse, fine, finest] = *levels;
      // Where rounding hides what moves, two differences may be alike and wrong.
      const double rounding = 4 * std::numeric_limits<double>::epsilon() * magnitude / h;
      if (std::abs(coarse - fine) <= 15 * settled && std::abs(fine - finest) <= settled + 4 * rounding &&
          rounding <= settled)
        return GradientDifference{name, std::abs(fine - expected), h / 2};
      // A derivative that is 0 but for rounding: so are the differences, but for theirs, which is the least at the largest h.
      const double nothing = 256 * rounding;
      if (h == 1e-3)
        hidden = rounding > settled && std::abs(fine - expected) <= nothing && std::abs(coarse - fine) <= nothing;
      if (h == 1e-3 && std::abs(expected) <= nothing && std::max(std::abs(coarse), std::abs(fine)) <= nothing)
        return GradientDifference{name, std::min(std::abs(fine - expected), settled), h / 2};
    }
    return GradientDifference{name, INFINITY, 0, hidden};
  }

private:
  using Levels = std::array<double, 3>;

  /// D(h), D(h / 2) and D(h / 4).
  Result<Levels> differences(const NamedBuffers &directions, double h) {
    std::array<double, 4> across; // L(x + su) - L(x - su) for s = 2h, h, h / 2, h / 4
    for (double s = 2 * h; double &each : across) {
      Result<double> above = loss(directions, s), below = loss(directions, -s);
      if (!above || !below)
        return above ? below.error() : above.error();
      each = *above - *below;
      s /= 2;
    }
    Levels levels;
    for (size_t i = 0; i < levels.size(); ++i, h /= 2)
      levels[i] = (8 * across[i + 1] - across[i]) / (12 * h);
    return levels;
  }

  Result<double> loss(const NamedBuffers &directions, double h) {
    NamedBuffers moved = copy(own);
    for (auto &[which, buffer] : moved)
      if (const Buffer *direction = find(directions, which))
        move(buffer.view(), direction->view(), h);
    Result<NamedBuffers> results = model.run(views(moved), callOptions(model.program(), shape, threads));
    if (!results)
      return results.error();
    double sum = 0;
    magnitude = 0;
    for (const auto &[which, result] : *results)
      if (const Buffer *cotangent = find(cotangents, prefix + which)) {
        const double part = dot(cotangent->view(), result.view());
        sum += part;
        magnitude += std::abs(part);
      }
    return sum;
  }

  static void move(const Tensor &x, const Tensor &direction, double h) {
    const int64_t count = x.elements();
    for (int64_t i = 0; i < count; ++i)
      storeElement(x, i, loadReal(x, i) + h * loadReal(direction, i),
                   isComplex(x.type) ? loadImag(x, i) + h * loadImag(direction, i) : 0);
  }

  const Kernel &model;
  const NamedBuffers &cotangents;
  const std::string prefix;
  const CallShape &shape;
  int threads;
  double magnitude = 0; // of what the last loss was the sum of
  NamedBuffers own;     // of the model
};

} // namespace

Result<std::vector<GradientDifference>> checkDifferences(const Kernel &model, const NamedBuffers &inputs,
                                                         const NamedBuffers &gradients, const std::string &prefix,
                                                         const CallShape &shape, uint64_t seed, int threads) {
  constexpr int mostDirections = 4;
  Differences differences(model, inputs, inputs, prefix, shape, threads);
  std::vector<GradientDifference> found;
  for (const auto &[name, gradient] : gradients) {
    const std::string of = name.substr(prefix.size());
    const Buffer *x = find(inputs, of);
    if (!x) // an initial state that was left out
      continue;
    const double norm = std::sqrt(dot(gradient.view(), gradient.view()));
    const double scale = norm > 0 ? norm : 1;
    GradientDifference best{of, INFINITY, 0};
    for (int draw = 0; draw < mostDirections && !best.settled(); ++draw) {
      NamedBuffers direction;
      direction.emplace_back(of, signs(*x, seed + uint64_t(draw), of));
      const double expected = dot(gradient.view(), direction[0].second.view());
      Result<GradientDifference> one = differences.along(of, direction, expected, scale * toleranceOfDifferences / 10);
      if (!one)
        return one.error();
      if (draw == 0)
        best = *one;
      best.replaceBy(*one);
    }
    best.error /= scale;
    found.push_back(best);
  }
  return found;
}

/// Sum of tangents times gradients, and of the terms' magnitudes.
static std::pair<double, double> pairing(const NamedBuffers &tangents, const NamedBuffers &gradients) {
  double sum = 0, size = 0;
  for (const auto &[name, gradient] : gradients)
    if (const Buffer *tangent = find(tangents, name.substr(2))) {
      const double part = dot(tangent->view(), gradient.view());
      sum += part;
      size += std::sqrt(dot(gradient.view(), gradient.view()) * dot(tangent->view(), tangent->view()));
    }
  return {sum, size};
}

Result<std::vector<TangentDifference>> checkTangents(const Kernel &model, const Kernel &gradient,
                                                     const NamedBuffers &inputs, const NamedBuffers &results,
                                                     const CallShape &shape, uint64_t seed, int threads) {
  NamedBuffers tangents;
  for (const auto &[name, buffer] : inputs)
    if (name.starts_with("t_") && find(inputs, name.substr(2)))
      tangents.emplace_back(name.substr(2), duplicate(buffer));
  std::vector<TangentDifference> found;
  for (const auto &[name, tangent] : results) {
    if (!name.starts_with("t_") || !find(results, name.substr(2)))
      continue;
    const std::string of = name.substr(2);
    NamedBuffers covectors, call;
    covectors.emplace_back("d_" + of, signs(tangent, seed, of));
    for (const TensorSpec &spec : gradient.program().tensors)
      if (!isGiven(spec.kind)) {
        continue;
      } else if (const Buffer *given = find(inputs, spec.name)) {
        call.emplace_back(spec.name, duplicate(*given));
      } else if (spec.name.starts_with("d_")) {
        call.emplace_back(spec.name, Buffer(spec.type, shapeOf(spec, shape))); // zeros
        if (spec.name == "d_" + of)
          call.back().second = duplicate(covectors[0].second);
      }
    const double expected = dot(covectors[0].second.view(), tangent.view());
    const double norm = std::sqrt(dot(tangent.view(), tangent.view())), scale = norm > 0 ? norm : 1;
    Differences differences(model, inputs, covectors, "d_", shape, threads);
    Result<GradientDifference> moved = differences.along(of, tangents, expected, scale * toleranceOfDifferences / 10);
    Result<NamedBuffers> back = gradient.run(views(call), callOptions(gradient.program(), shape, threads));
    if (!moved || !back)
      return moved ? back.error() : moved.error();
    const auto [sum, size] = pairing(tangents, *back);
    const double largest = std::max({size, scale, std::abs(expected)});
    const bool takes = find(call, "d_" + of) != nullptr; // no edge of a grid has a cotangent
    moved->error /= scale;
    found.push_back({*moved, takes ? std::abs(sum - expected) / largest : 0});
  }
  return found;
}

} // namespace rondo::tool
