// Runs a program on inputs that a test makes up, element by element.
#pragma once
#include "rondo/Kernel.h"
#include <catch2/catch.hpp>
#include <functional>

namespace rondo {

/// Elements along an axis of a tensor.
using SizeOf = std::function<int64_t(const TensorSpec &, const AxisSpec &)>;
/// Element `i` of a tensor, in row-major order.
using ValueOf = std::function<double(const TensorSpec &, int64_t i)>;

inline NamedBuffers runOn(const std::shared_ptr<const Program> &program, const SizeOf &sizeOf, const ValueOf &valueOf,
                          int threads) {
  std::vector<Buffer> buffers;
  NamedTensors views;
  for (const TensorSpec &spec : program->tensors) {
    if (spec.kind > TensorKind::Offsets)
      continue;
    std::vector<int64_t> shape;
    for (const AxisSpec &axis : spec.axes)
      shape.push_back(axis.axis == Axis::Head ? 1 : sizeOf(spec, axis));
    buffers.emplace_back(spec.type, shape);
    const Tensor view = buffers.back().view();
    const int64_t count = view.elements();
    for (int64_t i = 0; i < count; ++i)
      storeElement(view, i, valueOf(spec, i));
    views.emplace_back(spec.name, view);
  }
  RunOptions options;
  options.threads = threads;
  Result<NamedBuffers> results = Kernel(program).run(views, options);
  INFO((results ? "" : results.error().message()));
  REQUIRE(results);
  return std::move(*results);
}

} // namespace rondo
