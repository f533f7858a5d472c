// A call of a compiled model: bind, make memory, run the launches in order.
#include "rondo/Kernel.h"
#include "runtime/core/Binding.h"
#include "runtime/core/DeviceCode.h"
#include "runtime/core/Dispatch.h"
#include "runtime/core/Memory.h"
#include <fmt/format.h>
#include <new>

namespace rondo {
namespace {

using namespace core;

Result<void> execute(const Program &program, Binding &binding, const RunOptions &options) {
  if (program.image) {
    if (!program.device)
      return Error(fmt::format("model '{}' is compiled for {} ({}) and has to be loaded there first", program.model,
                               program.image->device, program.image->architecture));
    return program.device->run(program, binding, options);
  }
  if (options.stream)
    return Error("RunOptions::stream is for kernels on a GPU");
  CallMemory memory;
  if (Result<void> made = memory.materialise(program, binding); !made)
    return made;
  if (program.host) {
    if (Result<void> ran = program.host(binding.tensors); !ran)
      return ran;
  } else {
    for (const Launch &launch : program.launches)
      if (Result<void> ran = dispatch(program, launch, binding, options.threads); !ran)
        return ran;
  }
  memory.copyBack();
  return {};
}

/// The shape that the caller sees: without the head axis where this call has none.
std::vector<int64_t> callerShape(const Program &program, const TensorSpec &spec, const Binding &binding) {
  const std::vector<int64_t> full = binding.fullShape(spec);
  std::vector<int64_t> shape;
  for (size_t i = 0; i < full.size(); ++i)
    if (binding.sizes.headAxis || !isImplicit(program, spec.axes[i]))
      shape.push_back(full[i]);
  return shape;
}

/// Allocates every output and final state and puts it into the binding.
Result<NamedBuffers> allocateOutputs(const Program &program, Binding &binding) {
  NamedBuffers outputs;
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const TensorSpec &spec = program.tensors[i];
    if (!isOutput(spec.kind))
      continue;
    Buffer buffer(spec.type, callerShape(program, spec, binding));
    if (!buffer.data())
      return Error(fmt::format("out of memory for '{}' {}", spec.name, describe(program, spec, binding.sizes)));
    binding.tensors[i] = Tensor{buffer.data(), spec.type, binding.fullShape(spec), {}};
    binding.given[i] = true;
    outputs.emplace_back(spec.name, std::move(buffer));
  }
  return outputs;
}

Error outOfMemory() { return Error("out of memory"); }
Error emptyKernel() { return Error("the kernel is empty: nothing was compiled into it"); }

} // namespace

Result<void> Kernel::run(const NamedTensors &inputs, const NamedTensors &outputs, const RunOptions &options) const try {
  if (!program_)
    return emptyKernel();
  Result<Binding> binding = bind(*program_, inputs, outputs, options);
  if (!binding)
    return binding.error();
  return execute(*program_, *binding, options);
} catch (const std::bad_alloc &) {
  return outOfMemory();
}

Result<NamedBuffers> Kernel::run(const NamedTensors &inputs, const RunOptions &options) const try {
  if (!program_)
    return emptyKernel();
  Result<Binding> binding = bind(*program_, inputs, {}, options);
  if (!binding)
    return binding.error();
  Result<NamedBuffers> outputs = allocateOutputs(*program_, *binding);
  if (!outputs)
    return outputs;
  if (Result<void> ran = execute(*program_, *binding, options); !ran)
    return ran.error();
  return outputs;
} catch (const std::bad_alloc &) {
  return outOfMemory();
}

} // namespace rondo
