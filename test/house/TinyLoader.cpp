// The smallest program that runs a kernel: it links RondoRuntime alone, and test/house/check_no_llvm.py looks for LLVM in it. Without
// arguments the program is filled in by hand; with a file it is an artifact that was compiled ahead of time, run on zeros.
#include "rondo/Artifact.h"
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

/// Runs an artifact's kernel for this processor on zeros, of one sequence and one head.
int runArtifact(const char *path) {
  const Result<Artifact> artifact = Artifact::read(path);
  const Result<Kernel> kernel = artifact ? artifact->loadOnHost({1, 5}) : Result<Kernel>(artifact.error());
  if (!kernel) {
    std::fprintf(stderr, "%s\n", kernel.error().message().c_str());
    return 1;
  }
  NamedBuffers buffers;
  NamedTensors inputs;
  for (const TensorSpec &spec : kernel->program().tensors) {
    std::vector<int64_t> shape;
    for (const AxisSpec &axis : spec.axes)
      shape.push_back(axis.size >= 0 ? axis.size : axis.axis == Axis::Time ? 5 : 1);
    if (spec.kind == TensorKind::Input || spec.kind == TensorKind::Param)
      buffers.emplace_back(spec.name, Buffer(spec.type, shape));
  }
  for (const auto &[name, buffer] : buffers)
    inputs.emplace_back(name, buffer.view());
  const Result<NamedBuffers> results = kernel->run(inputs);
  if (!results) {
    std::fprintf(stderr, "%s\n", results.error().message().c_str());
    return 1;
  }
  std::printf("ran %s\n", kernel->program().model.c_str());
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  if (argc > 1)
    return runArtifact(argv[1]);
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
