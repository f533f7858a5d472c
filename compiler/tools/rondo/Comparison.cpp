// Differences block by block.
#include "compiler/tools/rondo/Comparison.h"
#include <algorithm>
#include <cmath>
#include <limits>

namespace rondo::tool {
namespace {

constexpr double vanished = 1e-30;

/// What one rounding to `type` may move a number of this size by; zero for the types that are computed in.
double storeRounding(DType type, double size) {
  if (type == DType::F16)
    return std::max(size * 0x1p-11, 0x1p-25);
  return type == DType::BF16 ? size * 0x1p-8 : 0;
}

double difference(double x, double ref) {
  if (x == ref || (std::isnan(x) && std::isnan(ref)))
    return 0;
  const double d = std::abs(x - ref);
  return std::isnan(d) ? std::numeric_limits<double>::infinity() : d;
}

double finiteOrZero(double x) { return std::isfinite(x) ? x : 0; }

void addElement(const Tensor &x, const Tensor &ref, int64_t i, BlockDifference &part) {
  const double real = loadReal(ref, i), imag = loadImag(ref, i);
  const double size = std::hypot(finiteOrZero(real), finiteOrZero(imag));
  double d = std::hypot(difference(loadReal(x, i), real), difference(loadImag(x, i), imag));
  d = std::max(0.0, d - storeRounding(x.type, size));
  part.error += d * d;
  part.norm += size * size;
  part.largest = std::max(part.largest, d);
  ++part.count;
}

TensorDifference compareTensor(const TensorSpec &spec, const Buffer &result, const Buffer &reference) {
  TensorDifference difference;
  difference.blocks = blocksOf(spec, result.shape());
  difference.parts.resize(size_t(difference.blocks.count()));
  const Tensor x = result.view(), ref = reference.view();
  const int64_t count = x.elements();
  double total = 0;
  for (int64_t i = 0; i < count; ++i)
    addElement(x, ref, i, difference.parts[size_t(difference.blocks.of(i))]);
  for (BlockDifference &part : difference.parts) {
    total += part.norm;
    part.error = std::sqrt(part.error);
    part.norm = std::sqrt(part.norm);
  }
  difference.rms = count ? std::sqrt(total / double(count)) : 0;
  return difference;
}

double ratio(double error, double scale) {
  return error == 0 ? 0 : scale == 0 ? std::numeric_limits<double>::infinity() : error / scale;
}

} // namespace

double TensorDifference::scale(size_t block) const {
  const BlockDifference &part = parts[block];
  return part.norm >= vanished ? part.norm : rms * std::sqrt(double(part.count));
}

double TensorDifference::relative(size_t block) const { return ratio(parts[block].error, scale(block)); }

double TensorDifference::relativeMax(size_t block) const {
  return ratio(parts[block].largest * std::sqrt(double(parts[block].count)), scale(block));
}

std::vector<TensorDifference> compare(const Program &program, const NamedBuffers &results,
                                      const NamedBuffers &reference) {
  std::vector<TensorDifference> differences;
  const std::vector<const TensorSpec *> specs = computedTensors(program);
  for (size_t i = 0; i < specs.size(); ++i) {
    const bool comparable =
        i < results.size() && i < reference.size() && results[i].second.shape() == reference[i].second.shape();
    if (comparable) {
      differences.push_back(compareTensor(*specs[i], results[i].second, reference[i].second));
    } else { // shows as an infinite error
      constexpr double infinity = std::numeric_limits<double>::infinity();
      differences.push_back({});
      differences.back().parts.push_back({infinity, 1, infinity, 1});
    }
    differences.back().name = specs[i]->name;
  }
  return differences;
}

} // namespace rondo::tool
