// Draws of input tensors by declaration.
#include "compiler/tools/rondo/RandomInputs.h"
#include "compiler/tools/rondo/Random.h"
#include "compiler/tools/rondo/SpectralRadius.h"
#include <algorithm>
#include <cmath>
#include <cstring>

namespace rondo::tool {
namespace {

constexpr double closeBy = 1e-3; // "near an end", in units of the interval's width (1 when it is infinite)
constexpr double strong = 30;    // exp(-30) is below f32's last bit beside 1

bool inside(const TensorSpec &spec, double x) {
  return (spec.loOpen ? x > spec.lo : x >= spec.lo) && (spec.hiOpen ? x < spec.hi : x <= spec.hi);
}

/// Values inside one declared interval.
class IntervalDraw {
public:
  IntervalDraw(const TensorSpec &spec, Random &random)
      : spec(spec), random(random), loFinite(std::isfinite(spec.lo)), hiFinite(std::isfinite(spec.hi)),
        width(loFinite && hiFinite ? spec.hi - spec.lo : 1) {}

  double draw(Regime regime) {
    double x = candidate(regime);
    for (int tries = 0; !inside(spec, x) && tries < 64; ++tries)
      x = loFinite || hiFinite ? inner() : x;
    return x;
  }

private:
  double candidate(Regime regime) {
    if (!loFinite && !hiFinite)
      return random.normal();
    switch (regime) {
    case Regime::Low:
      return loFinite ? atEnd(false) : spec.hi - strong * (0.9 + 0.2 * random.uniform());
    case Regime::High:
      return hiFinite ? atEnd(true) : spec.lo + strong * (0.9 + 0.2 * random.uniform());
    case Regime::Near:
      return nearEnd(loFinite && hiFinite ? random.sign() > 0 : hiFinite);
    case Regime::Inner:
      return inner();
    case Regime::Mixed:
      break;
    }
    return mixed();
  }

  double mixed() {
    const double share = random.uniform();
    if (loFinite && hiFinite)
      return share < 0.1 ? end(false) : share < 0.2 ? end(true) : inner();
    if (share < 0.1)
      return end(hiFinite);
    if (share < 0.3)
      return nearEnd(hiFinite);
    return share < 0.9 ? inner() : candidate(hiFinite ? Regime::Low : Regime::High);
  }

  /// The end itself where it belongs to the interval.
  double end(bool high) {
    const bool open = high ? spec.hiOpen : spec.loOpen;
    return open ? nearEnd(high) : high ? spec.hi : spec.lo;
  }
  double atEnd(bool high) { return random.uniform() < 0.75 ? end(high) : nearEnd(high); }
  double nearEnd(bool high) {
    const double distance = closeBy * width * (0.05 + std::min(std::abs(random.normal()), 4.0));
    return high ? spec.hi - distance : spec.lo + distance;
  }
  double inner() {
    if (loFinite && hiFinite)
      return spec.lo + width * random.uniform();
    return hiFinite ? spec.hi - std::abs(random.normal()) : spec.lo + std::abs(random.normal());
  }

  const TensorSpec &spec;
  Random &random;
  bool loFinite, hiFinite;
  double width;
};

struct Features {
  std::vector<int64_t> sizes;
  int64_t elements = 1;
};

Features featuresOf(const TensorSpec &spec) {
  Features features;
  for (const AxisSpec &axis : spec.axes)
    if (axis.axis == Axis::Named) {
      features.sizes.push_back(std::max<int64_t>(axis.size, 1));
      features.elements *= features.sizes.back();
    }
  return features;
}

void drawInterval(const TensorSpec &spec, const Tensor &to, Random &random) {
  IntervalDraw draw(spec, random);
  const uint64_t first = random.next() % 5; // other tensors start elsewhere, so that regimes meet in many combinations
  const Blocks blocks = blocksOf(spec, to.shape);
  const int64_t count = to.elements();
  for (int64_t i = 0; i < count; ++i) {
    const auto regime = Regime((uint64_t(blocks.of(i)) + first) % 5);
    const double real = draw.draw(regime);
    storeElement(to, i, real, isComplex(to.type) ? draw.draw(regime) : 0);
  }
}

void drawNormal(const Tensor &to, double deviation, Random &random) {
  const int64_t count = to.elements();
  for (int64_t i = 0; i < count; ++i) {
    const double real = deviation * random.normal();
    storeElement(to, i, real, isComplex(to.type) ? deviation * random.normal() : 0);
  }
}

/// Scales each trailing matrix of a recurrent param; see the header.
void tame(const Tensor &to, int64_t rows, int64_t cols) {
  constexpr double target = 0.9;
  constexpr int64_t exactUpTo = 128; // beyond it 8 n^3 takes longer than what it is for
  const int64_t size = rows * cols, count = to.elements() / std::max<int64_t>(size, 1);
  Matrix matrix(static_cast<size_t>(size));
  for (int64_t m = 0; m < count; ++m) {
    for (int64_t i = 0; i < size; ++i)
      matrix[size_t(i)] = {loadReal(to, m * size + i), loadImag(to, m * size + i)};
    const double bound =
        rows == cols && rows <= exactUpTo ? spectralRadiusBound(matrix, rows) : normEstimate(matrix, rows, cols);
    const double factor = bound > target ? target / bound : 1;
    for (int64_t i = 0; i < size; ++i)
      storeElement(to, m * size + i, factor * matrix[size_t(i)].real(), factor * matrix[size_t(i)].imag());
  }
}

void drawRecurrentVector(const Tensor &to, Random &random) {
  const int64_t count = to.elements();
  for (int64_t i = 0; i < count; ++i) {
    const double modulus = 0.9 * random.uniform(), angle = 6.283185307179586 * random.uniform();
    if (isComplex(to.type))
      storeElement(to, i, modulus * std::cos(angle), modulus * std::sin(angle));
    else
      storeElement(to, i, modulus * random.sign());
  }
}

void drawResets(const Tensor &to, Random &random) {
  for (int64_t i = 0, count = to.elements(); i < count; ++i)
    storeElement(to, i, random.uniform() < 0.125);
}

void drawOffsets(const Tensor &to, int64_t steps, Random &random) {
  std::vector<int64_t> offsets(size_t(to.elements()), steps);
  for (int64_t &offset : offsets)
    offset = int64_t(double(steps + 1) * random.uniform());
  offsets.front() = 0;
  offsets.back() = steps;
  std::sort(offsets.begin(), offsets.end());
  if (offsets.size() > 4)
    offsets[2] = offsets[1];
  for (size_t i = 0; i < offsets.size(); ++i)
    storeElement(to, int64_t(i), double(offsets[i]));
}

void drawTensor(const TensorSpec &spec, const Tensor &to, const CallShape &shape, uint64_t seed) {
  Random random(seed, spec.name);
  if (spec.kind == TensorKind::Resets)
    return drawResets(to, random);
  if (spec.kind == TensorKind::Offsets)
    return drawOffsets(to, shape.time, random);
  if (spec.hasInterval)
    return drawInterval(spec, to, random);
  const Features features = featuresOf(spec);
  const size_t rank = features.sizes.size();
  if (spec.kind != TensorKind::Param)
    return drawNormal(to, 1, random);
  if (rank < 2)
    return spec.recurrent ? drawRecurrentVector(to, random) : drawNormal(to, 1, random);
  // The two parts of a complex number share its variance.
  drawNormal(to, 1 / std::sqrt(double(features.sizes.back()) * (isComplex(spec.type) ? 2 : 1)), random);
  if (spec.recurrent)
    tame(to, features.sizes[rank - 2], features.sizes[rank - 1]);
}

bool hasMeaningfulDefault(const TensorSpec &spec) {
  return std::any_of(spec.defaultValue.begin(), spec.defaultValue.end(), [](double x) { return x != 0; });
}

const TensorSpec *find(const Program &program, const std::string &name) {
  for (const TensorSpec &spec : program.tensors)
    if (isGiven(spec.kind) && spec.name == name)
      return &spec;
  return nullptr;
}

/// Stores x, or where rounding takes it out of the interval, a value a little further inside.
void storeInside(const TensorSpec &spec, const Tensor &to, int64_t i, double x) {
  storeElement(to, i, x);
  if (inside(spec, loadReal(to, i)) || !inside(spec, x))
    return;
  const double centre = std::isfinite(spec.lo) && std::isfinite(spec.hi) ? 0.5 * (spec.lo + spec.hi)
                        : std::isfinite(spec.lo)                         ? std::max(2 * spec.lo, spec.lo + 1)
                                                                         : std::min(2 * spec.hi, spec.hi - 1);
  int bits = -24;
  while (bits <= 0 && !inside(spec, loadReal(to, i)))
    storeElement(to, i, x + std::ldexp(centre - x, bits++));
}

double perturbed(const TensorSpec &spec, double x, double u, Random &random) {
  const double direction = random.sign(); // drawn first, so that every element uses the same part of the stream
  const bool whole = x == std::floor(x) && std::abs(x) <= 0x1p24;
  if (whole || !std::isfinite(x) || (spec.hasInterval && (x == spec.lo || x == spec.hi)))
    return x;
  const double step = u * (spec.hasInterval ? std::max(1.0, std::abs(x)) : std::abs(x));
  const double moved = x + direction * step;
  return spec.hasInterval && !inside(spec, moved) ? x - direction * step : moved;
}

} // namespace

NamedBuffers drawInputs(const Program &program, const CallShape &shape, uint64_t seed, Inits inits) {
  NamedBuffers drawn;
  for (const TensorSpec &spec : program.tensors) {
    if (!isGiven(spec.kind))
      continue;
    if (spec.kind == TensorKind::Init && (inits == Inits::Default || hasMeaningfulDefault(spec)))
      continue;
    Buffer buffer(spec.type, shapeOf(spec, shape));
    drawTensor(spec, buffer.view(), shape, seed);
    drawn.emplace_back(spec.name, std::move(buffer));
  }
  return drawn;
}

NamedBuffers convert(const NamedBuffers &tensors, const Program &program) {
  NamedBuffers converted;
  for (const auto &[name, buffer] : tensors) {
    const TensorSpec *spec = find(program, name);
    Buffer to(spec ? spec->type : buffer.type(), buffer.shape());
    const Tensor from = buffer.view(), into = to.view();
    const int64_t count = from.elements();
    for (int64_t i = 0; i < count; ++i)
      if (spec && spec->hasInterval && !isComplex(to.type()))
        storeInside(*spec, into, i, loadReal(from, i));
      else
        storeElement(into, i, loadReal(from, i), loadImag(from, i));
    converted.emplace_back(name, std::move(to));
  }
  return converted;
}

void perturb(NamedBuffers &tensors, const Program &program, double u, uint64_t seed) {
  static const TensorSpec plain{};
  for (auto &[name, buffer] : tensors) {
    Random random(seed, name);
    const TensorSpec *spec = find(program, name);
    const Tensor view = buffer.view();
    const int64_t count = view.elements();
    for (int64_t i = 0; i < count; ++i) {
      const double real = perturbed(spec ? *spec : plain, loadReal(view, i), u, random);
      storeElement(view, i, real, perturbed(spec ? *spec : plain, loadImag(view, i), u, random));
    }
  }
}

void moveInside(NamedBuffers &tensors, const Program &program, uint64_t seed) {
  for (auto &[name, buffer] : tensors)
    for (const TensorSpec &spec : program.tensors) {
      if (spec.name != name || !isGiven(spec.kind) || !spec.hasInterval || isComplex(spec.type))
        continue;
      Random random(seed, name);
      const Tensor view = buffer.view();
      for (int64_t i = 0, count = view.elements(); i < count; ++i) {
        const double x = loadReal(view, i), step = 1e-3 + 1e-2 * random.uniform();
        if (x == spec.lo)
          storeElement(view, i, x + step);
        else if (x == spec.hi)
          storeElement(view, i, x - step);
      }
    }
}

NamedTensors views(const NamedBuffers &buffers) {
  NamedTensors tensors;
  for (const auto &[name, buffer] : buffers)
    tensors.emplace_back(name, buffer.view());
  return tensors;
}

NamedBuffers copy(const NamedBuffers &buffers) {
  NamedBuffers copies;
  for (const auto &[name, buffer] : buffers) {
    Buffer to(buffer.type(), buffer.shape());
    if (to.bytes())
      std::memcpy(to.data(), buffer.data(), to.bytes());
    copies.emplace_back(name, std::move(to));
  }
  return copies;
}

} // namespace rondo::tool
