// What tensors tell about a compile and a call.
#include "compiler/tools/rondo/Inference.h"
#include <algorithm>

namespace rondo::tool {
namespace {

const TensorSpec *find(const std::vector<TensorSpec> &tensors, const std::string &name) {
  for (const TensorSpec &spec : tensors)
    if (isGiven(spec.kind) && spec.name == name)
      return &spec;
  return nullptr;
}

/// The real type that a tensor's elements are made of; false for integers and truth values.
bool realType(DType type, DType &real) {
  switch (type) {
  case DType::F64:
  case DType::C128:
    real = DType::F64;
    return true;
  case DType::F32:
  case DType::C64:
    real = DType::F32;
    return true;
  case DType::BF16:
  case DType::F16:
    real = type;
    return true;
  default:
    return false;
  }
}

void setSize(CallShape &shape, Axis axis, int64_t size) {
  switch (axis) {
  case Axis::Batch:
    shape.batch = size;
    break;
  case Axis::Time:
    shape.time = size;
    break;
  case Axis::Time1:
    shape.time1 = size;
    break;
  case Axis::Head:
    shape.heads = size;
    break;
  case Axis::Group:
    shape.groups = size;
    break;
  case Axis::Sequence:
    shape.sequences = size;
    break;
  default:
    break;
  }
}

} // namespace

void inferDims(const ModelInfo &info, const NamedBuffers &tensors, CompileOptions &options) {
  for (const auto &[name, buffer] : tensors) {
    const TensorSpec *spec = find(info.tensors, name);
    if (!spec)
      continue;
    const auto &shape = buffer.shape();
    for (size_t back = 1; back <= spec->axes.size() && back <= shape.size(); ++back) {
      const AxisSpec &axis = spec->axes[spec->axes.size() - back];
      if (axis.axis != Axis::Named)
        break;
      if (std::find(info.dims.begin(), info.dims.end(), axis.name) != info.dims.end())
        options.dims.emplace(axis.name, shape[shape.size() - back]);
    }
    // The head axis of a heads scope is named by its dimension.
    if (shape.size() == spec->axes.size())
      for (size_t i = 0; i < shape.size(); ++i)
        if (spec->axes[i].axis == Axis::Head &&
            std::find(info.dims.begin(), info.dims.end(), spec->axes[i].name) != info.dims.end())
          options.dims.emplace(spec->axes[i].name, shape[i]);
  }
}

void inferTypes(const ModelInfo &info, const NamedBuffers &tensors, CompileOptions &options) {
  std::vector<DType> seen;
  for (const auto &[name, buffer] : tensors) {
    DType real;
    if (!find(info.tensors, name) || !realType(buffer.type(), real))
      continue;
    options.types[name] = real;
    seen.push_back(real);
  }
  const bool uniform = !seen.empty() && std::all_of(seen.begin(), seen.end(), [&](DType t) { return t == seen[0]; });
  options.type = uniform ? seen[0] : DType::F32;
}

void inferBoundaries(const ModelInfo &info, const NamedBuffers &tensors, CompileOptions &options) {
  for (const auto &[name, buffer] : tensors) {
    if (find(info.tensors, name))
      continue;
    options.resets |= name == "resets";
    options.packed |= name == "offsets";
  }
}

InferredShape inferShape(const Program &program, const NamedBuffers &tensors) {
  InferredShape inferred;
  for (const auto &[name, buffer] : tensors) {
    const TensorSpec *spec = find(program.tensors, name);
    if (!spec)
      continue;
    const auto &sizes = buffer.shape();
    if (spec->kind == TensorKind::Offsets && sizes.size() == 1 && sizes[0] > 0)
      inferred.shape.sequences = sizes[0] - 1;
    const bool headless = sizes.size() + 1 == spec->axes.size();
    if (!headless && sizes.size() != spec->axes.size())
      continue; // a wrong rank, which Kernel::run reports
    inferred.complete &= !headless;
    size_t next = 0;
    for (const AxisSpec &axis : spec->axes)
      if (!headless || (axis.axis != Axis::Head && axis.axis != Axis::Group))
        setSize(inferred.shape, axis.axis, next < sizes.size() ? sizes[next++] : 1);
  }
  return inferred;
}

} // namespace rondo::tool
