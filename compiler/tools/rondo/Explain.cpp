// `rondo explain`: what a model takes and gives, and what was found in it.
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/Memory.h"
#include "compiler/tools/rondo/SpecArguments.h"
#include "compiler/tools/rondo/Terminal.h"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <memory>
#include <sstream>

namespace rondo::tool {
namespace {

std::string interval(const TensorSpec &spec) {
  if (!spec.hasInterval)
    return "";
  if (std::isinf(spec.lo))
    return fmt::format("{} {}", spec.hiOpen ? "<" : "<=", spec.hi);
  if (std::isinf(spec.hi))
    return fmt::format("{} {}", spec.loOpen ? ">" : ">=", spec.lo);
  return fmt::format("in {}{}, {}{}", spec.loOpen ? '(' : '[', spec.lo, spec.hi, spec.hiOpen ? ')' : ']');
}

std::string remarks(const TensorSpec &spec) {
  std::vector<std::string> parts;
  if (isComplex(spec.type))
    parts.push_back("complex");
  if (std::string text = interval(spec); !text.empty())
    parts.push_back(text);
  if (spec.recurrent)
    parts.push_back("multiplies a state");
  if (spec.kind == TensorKind::Init)
    parts.push_back(fmt::format("default {}", spec.defaultValue.size() == 1
                                                  ? fmt::format("{}", spec.defaultValue[0])
                                                  : fmt::format("[{}]", fmt::join(spec.defaultValue, ", "))));
  return fmt::format("{}", fmt::join(parts, ", "));
}

void printKind(const ModelInfo &info, TensorKind kind, const char *title) {
  size_t names = 0, layouts = 0;
  bool any = false;
  for (const TensorSpec &spec : info.tensors)
    if (spec.kind == kind) {
      any = true;
      names = std::max(names, spec.name.size());
      layouts = std::max(layouts, describe(spec).size());
    }
  if (!any)
    return;
  fmt::print("{}\n", paint(Colour::Bold, title));
  for (const TensorSpec &spec : info.tensors)
    if (spec.kind == kind) {
      const std::string line =
          fmt::format("  {:<{}}  {:<{}}  {}", spec.name, names, describe(spec), layouts, remarks(spec));
      fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
    }
}

void printModel(const ModelInfo &info) {
  const std::string dims = info.dims.empty() ? "" : fmt::format("<{}>", fmt::join(info.dims, ", "));
  fmt::print("{} {}{}\n", paint(Colour::Bold, "model"), info.name, dims);
  if (info.hasHeads)
    fmt::print("  data lie as [B, T, H, ...]; without the head axis they are one head's\n");
  printKind(info, TensorKind::Input, "inputs");
  printKind(info, TensorKind::Param, "parameters");
  printKind(info, TensorKind::Init, "initial states (may be left out)");
  printKind(info, TensorKind::Output, "outputs");
  printKind(info, TensorKind::Final, "final states");
  if (!info.report.empty())
    fmt::print("{}\n{}{}", paint(Colour::Bold, "found"), info.report, info.report.back() == '\n' ? "" : "\n");
}

/// What a gradient keeps, by the program that computes it. One sequence of one head, if no sizes were given.
Result<void> printMemory(Engine &engine, const std::string &path, const SpecArguments &arguments) {
  Result<Kernel> kernel = engine.compileFile(path, compileOptions(arguments));
  if (!kernel)
    return kernel.error();
  const Program &program = kernel->program();
  const CallShape shape = fitted(program.tensors, randomRequest(arguments).over({1, 4096, 64, 1, 1}));
  const Memory memory = memoryOf(program, shape);
  fmt::print("{} for {}\n", paint(Colour::Bold, "memory of the gradient"), describe(program.tensors, shape));
  fmt::print("  inputs and results  {}\n", describeBytes(memory.tensors));
  if (memory.kept > 0)
    fmt::print("  kept states         {}, of every {}th step; of every step they were {}: saves {}\n",
               describeBytes(memory.kept), memory.keptSteps, describeBytes(memory.ofEveryStep),
               describeBytes(memory.ofEveryStep - memory.kept));
  fmt::print("  between kernels     {}\n", describeBytes(memory.between));
  fmt::print("  scratch             {} a thread\n", describeBytes(memory.scratch));
  return {};
}

/// `resources`: the architecture that they are compiled for, and a line for each kernel.
void printKernels(const Result<std::string> &resources) {
  std::istringstream lines(resources ? *resources : resources.error().message());
  std::string architecture, line;
  if (resources)
    std::getline(lines, architecture);
  fmt::print("{}\n", paint(Colour::Bold, resources ? "kernels, as code for " + architecture : "kernels"));
  while (std::getline(lines, line))
    fmt::print("    {}\n", line);
}

int explain(const SpecArguments &arguments) {
  Engine engine;
  const std::string path = resolveSpec(arguments.spec);
  const CompileOptions options = compileOptions(arguments);
  Result<ModelInfo> info = engine.inspectFile(path, options);
  warn(engine.remarks());
  if (!info)
    return fail(info.error());
  printModel(*info);
  const bool sized = std::ranges::all_of(info->dims, [&](const std::string &dim) { return options.dims.count(dim); });
  if (arguments.gradient && sized)
    if (Result<void> printed = printMemory(engine, path, arguments); !printed) {
      if (!arguments.target.starts_with("cuda")) // there it takes a GPU, and the kernels do not
        return fail(printed.error());
      fmt::print("{}: {}\n", paint(Colour::Bold, "memory of the gradient"), printed.error().message());
    }
  if (!arguments.target.starts_with("cuda") || !sized)
    return 0;
  printKernels(engine.emitFile(path, options, "resources"));
  return 0;
}

} // namespace

void addExplain(CLI::App &app, int &status) {
  CLI::App *command = app.add_subcommand("explain", "what a model takes and gives, and what was found in it");
  auto arguments = std::make_shared<SpecArguments>();
  addSpec(*command, *arguments);
  addModel(*command, *arguments);
  addTarget(*command, *arguments);
  addTypes(*command, *arguments, "element types of the tensors: with --target cuda, what goes to matrix instructions");
  addDims(*command, *arguments);
  addPlan(*command, *arguments);
  addGradient(*command, *arguments);
  addRandom(*command, *arguments,
            "with --grad: the sizes of the call whose memory is printed; default: B=1,T=4096,H=1");
  command->footer(
      "With sizes, the plan that is chosen for each recurrence is printed, too; with --grad also what the gradient\n"
      "keeps of the way there, and how many bytes that takes and saves; with --target cuda also its kernels, and, "
      "where\n"
      "ptxas is installed, their registers and what they spill.\n"
      "Examples:\n"
      "  rondo explain gla --dim K=64 V=64\n"
      "  rondo explain gla --grad --dim K=128 V=128 --random B=1,T=16384,H=4");
  command->callback([arguments, &status] { status = explain(*arguments); });
}

} // namespace rondo::tool
