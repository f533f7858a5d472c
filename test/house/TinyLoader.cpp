// The smallest program that runs a kernel: it links RondoRuntime alone, and test/house/check_no_llvm.py looks for LLVM in it. The
// program is filled in by hand, as one that was loaded from a file would be.
#include "rondo/Kernel.h"
#include <cstdio>
#include <limits>

using namespace rondo;

namespace {

/// y = 2 x over batch and time, one task per batch row.
void twice(const KernelCall *call, int64_t begin, int64_t end, void *) {
  auto *x = static_cast<const float *>(call->pointers[0]);
  auto *y = static_cast<float *>(call->pointers[1]);
  for (int64_t b = begin; b < end; ++b)
    for (int64_t t = 0; t < call->time; ++t)
      y[b * call->strides[5] + t * call->strides[6]] = 2 * x[b * call->strides[0] + t * call->strides[1]];
}

TensorSpec vectorOverTime(const char *name, TensorKind kind) {
  TensorSpec spec;
  spec.name = name;
  spec.kind = kind;
  spec.axes = {{Axis::Batch, -1, "batch"}, {Axis::Time, -1, "time"}};
  spec.lo = -std::numeric_limits<double>::infinity();
  spec.hi = std::numeric_limits<double>::infinity();
  return spec;
}

} // namespace

int main() {
  auto program = std::make_shared<Program>();
  program->model = "twice";
  program->tensors = {vectorOverTime("x", TensorKind::Input), vectorOverTime("y", TensorKind::Output)};
  program->alias = {-1, -1};
  Launch launch;
  launch.symbol = "twice";
  launch.function = twice;
  launch.operands = {0, 1};
  program->launches = {launch};

  float x[2][3] = {{1, 2, 3}, {4, 5, 6}}, y[2][3] = {};
  auto done = Kernel(program).run({{"x", {x, DType::F32, {2, 3}, {}}}}, {{"y", {y, DType::F32, {2, 3}, {}}}});
  if (!done) {
    std::fprintf(stderr, "%s\n", done.error().message().c_str());
    return 1;
  }
  for (int i = 0; i < 6; ++i)
    if ((&y[0][0])[i] != 2 * (&x[0][0])[i])
      return 1;
  std::puts("ran");
}
