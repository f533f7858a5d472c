// See Halves.h.
#include "compiler/tools/rondo/Halves.h"
#include "compiler/tools/rondo/CallShape.h"
#include <algorithm>

namespace rondo::tool {
namespace {

/// A program of the host with the tensors of `half` that a caller sees.
Program outside(const Program &half) {
  Program program;
  program.model = half.model;
  program.hasHeads = half.hasHeads;
  for (const TensorSpec &spec : half.tensors)
    if (spec.kind != TensorKind::Temporary && !isKept(spec))
      program.tensors.push_back(spec);
  program.alias.assign(program.tensors.size(), -1);
  return program;
}

/// Those of a call's tensors that `half` takes, or with `results` those that it gives.
NamedTensors tensorsOf(const Program &half, const Program &call, const std::vector<Tensor> &tensors, bool results) {
  NamedTensors named;
  for (size_t i = 0; i < tensors.size(); ++i)
    for (const TensorSpec &spec : half.tensors)
      if (spec.name == call.tensors[i].name && spec.kind == call.tensors[i].kind && isGiven(spec.kind) != results)
        named.emplace_back(spec.name, tensors[i]);
  return named;
}

Kernel withoutKept(const Kernel &there) {
  Program program = outside(there.program());
  const Program seen = program;
  program.host = [there, seen](const std::vector<Tensor> &tensors) {
    return there.run(tensorsOf(there.program(), seen, tensors, false), tensorsOf(there.program(), seen, tensors, true));
  };
  return Kernel(std::make_shared<const Program>(std::move(program)));
}

Kernel oneAfterTheOther(const Kernel &there, const Kernel &back) {
  Program program = outside(back.program());
  const Program seen = program;
  program.host = [there, back, seen](const std::vector<Tensor> &tensors) -> Result<void> {
    const Result<NamedBuffers> made = there.run(tensorsOf(there.program(), seen, tensors, false));
    if (!made)
      return made.error();
    NamedTensors inputs = tensorsOf(back.program(), seen, tensors, false);
    for (const TensorSpec &spec : back.program().tensors)
      for (const auto &[name, buffer] : *made)
        if (isKept(spec) && name == spec.name)
          inputs.emplace_back(name, buffer.view());
    return back.run(inputs, tensorsOf(back.program(), seen, tensors, true));
  };
  return Kernel(std::make_shared<const Program>(std::move(program)));
}

} // namespace

Result<Kernel> compileHalves(Engine &engine, const std::string &path, CompileOptions options) {
  const bool goesBack = options.half == "back";
  options.half = "there";
  Result<Kernel> there = engine.compileFile(path, options);
  if (!there || !goesBack)
    return there ? withoutKept(*there) : there;
  options.half = "back";
  Result<Kernel> back = engine.compileFile(path, options);
  return back ? oneAfterTheOther(*there, *back) : back;
}

} // namespace rondo::tool
