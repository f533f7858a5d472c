// `rondo compile`: the text of a phase, or code for other machines.
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/SpecArguments.h"
#include "compiler/tools/rondo/Terminal.h"
#include "compiler/tools/rondo/TextFile.h"
#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <sstream>

namespace rondo::tool {
namespace {

struct CompileArguments {
  SpecArguments spec;
  std::string emit, out, from, dumpPhases;
  bool listPhases = false;
  bool targetGiven = false;
  /// With a target, a place to write to and no phase to print: code for programs that run without the compiler.
  bool isAhead() const { return targetGiven && !out.empty() && emit.empty(); }
};

int printPhases() {
  fmt::print("{:<16} {}\n", "ast", "the syntax tree, printed as a spec");
  for (const auto &[name, description] : Engine::phases())
    fmt::print("{:<16} {}\n", name, description);
  fmt::print("{:<16} {}\n{:<16} {}\n", "llvm", "LLVM IR, optimised", "asm", "assembly for this machine");
  return 0;
}

std::vector<std::string> split(const std::string &text) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');)
    if (std::find(parts.begin(), parts.end(), part) == parts.end())
      parts.push_back(part);
  return parts;
}

/// The plans that tuning found for a spec, for every target of the kind that it was tuned on: another processor's, or another GPU's, is a
/// better guess than none.
std::vector<PlanFor> recordedPlans(const SpecArguments &arguments, const std::string &text,
                                   const std::vector<std::string> &targets) {
  const Result<Records> records = Records::open(Records::standardPath(), Records::Access::Read);
  const CompileOptions options = compileOptions(arguments);
  const Result<RecordKey> key = Engine::recordKey(text, options, {});
  if (arguments.noRecords || !options.plan.empty() || !records || !key)
    return {};
  const Result<std::vector<Record>> all = records->list();
  std::vector<PlanFor> plans;
  for (const std::string &target : targets)
    for (const Record &record : all ? *all : std::vector<Record>()) {
      const std::optional<CallSizes> sizes = sizesOfBucket(record.key.bucket);
      const bool kind = record.key.device.compare(0, 3, target, 0, 3) == 0;
      if (sizes && kind && record.key.spec == key->spec && record.key.types == key->types)
        plans.push_back({target, record.plan, *sizes});
    }
  return plans;
}

/// Says what of an artifact is for GPUs.
void printGpuCode(const std::string &bytes) {
  const Result<Artifact> artifact = Artifact::fromBytes(bytes);
  for (const Variant &variant : artifact ? artifact->variants : std::vector<Variant>())
    if (variant.target.compare(0, 5, "cuda:") == 0)
      fmt::print("{}: PTX{}\n", variant.target,
                 variant.cubin.empty() ? " alone: no ptxas that could assemble it"
                                       : fmt::format(", and machine code of {} bytes", variant.cubin.size()));
}

/// Code for other machines, into a folder.
int compileAhead(const CompileArguments &arguments) {
  const std::string path = resolveSpec(arguments.spec.spec);
  Result<std::string> text = readText(path);
  if (!text)
    return fail(text.error());
  Engine engine;
  CompileOptions options = compileOptions(arguments.spec);
  const std::vector<std::string> targets = split(arguments.spec.target);
  SpecArguments named = arguments.spec;
  named.target = "cpu"; // records are looked up by what is computed
  const std::vector<PlanFor> plans = recordedPlans(named, *text, targets);
  for (const PlanFor &plan : plans)
    fmt::print("{}: {} for {}, as rondo tune found it\n", plan.target, plan.plan, bucketOf(plan.sizes));
  Result<std::vector<MadeFile>> files = engine.compileAhead(*text, path, options, targets, plans);
  warn(engine.remarks());
  if (!files)
    return fail(files.error());
  std::error_code code;
  std::filesystem::create_directories(arguments.out, code);
  if (code)
    return fail(fmt::format("cannot make the folder '{}': {}", arguments.out, code.message()));
  for (const MadeFile &file : *files) {
    const std::string where = (std::filesystem::path(arguments.out) / file.name).string();
    if (Result<void> written = writeText(where, file.bytes); !written)
      return fail(written.error());
    fmt::print("{}  {} bytes\n", where, file.bytes.size());
  }
  printGpuCode(files->back().bytes);
  return 0;
}

int compile(const CompileArguments &arguments) {
  if (arguments.listPhases)
    return printPhases();
  if (arguments.isAhead())
    return compileAhead(arguments);
  CompileOptions options = compileOptions(arguments.spec);
  options.from = arguments.from;
  options.dumpPhases = arguments.dumpPhases;
  if (!options.dumpPhases.empty()) {
    std::error_code code;
    std::filesystem::create_directories(options.dumpPhases, code);
    if (code)
      return fail(fmt::format("cannot make the folder '{}': {}", options.dumpPhases, code.message()));
  }
  Engine engine;
  const std::string what = arguments.emit.empty() ? "recur" : arguments.emit;
  Result<std::string> text = engine.emitFile(resolveSpec(arguments.spec.spec), options, what);
  warn(engine.remarks());
  if (!text)
    return fail(text.error());
  if (arguments.out.empty() || arguments.out == "-") {
    fmt::print("{}{}", *text, text->empty() || text->back() == '\n' ? "" : "\n");
    return 0;
  }
  Result<void> written = writeText(arguments.out, *text);
  return written ? 0 : fail(written.error());
}

} // namespace

void addCompile(CLI::App &app, int &status) {
  CLI::App *command = app.add_subcommand(
      "compile", "print what a phase of the compiler makes of a spec, or compile for other machines");
  auto arguments = std::make_shared<CompileArguments>();
  command->add_option("spec", arguments->spec.spec, "a spec's file, the name of an example, or IR (*.mlir with --from)")
      ->type_name("SPEC");
  command->add_option("--emit", arguments->emit, "ast, recur, the name of a phase, llvm or asm; default: recur")
      ->type_name("PHASE");
  command
      ->add_option("-o,--out", arguments->out,
                   "the file to write; default: the terminal. With --target and without --emit: the folder for code")
      ->type_name("FILE");
  command->add_option("--from", arguments->from, "the phase that an .mlir file was printed after")->type_name("PHASE");
  command->add_option("--dump-phases", arguments->dumpPhases, "a folder that gets one file per phase")
      ->type_name("DIR");
  command->add_flag("--list-phases", arguments->listPhases, "print the phases in order");
  addModel(*command, arguments->spec);
  addTarget(*command, arguments->spec);
  addDims(*command, arguments->spec);
  addTypes(*command, arguments->spec, "element types: for all tensors, for some by name; default: f32");
  addPlan(*command, arguments->spec);
  addRecords(*command, arguments->spec);
  addGradient(*command, arguments->spec);
  addBoundaries(*command, arguments->spec);
  command->footer("With --target, --out and without --emit, code for programs that run without the compiler: "
                  "MODEL.artifact for all\n"
                  "targets (rondo/Artifact.h), and for a CPU an object and a C header. Examples:\n"
                  "  rondo compile gla --dim K=64 V=64 --target cpu:x86-64-v3,cuda:sm_80,cuda:sm_90a --out DIR\n"
                  "  rondo compile gla --emit recur\n"
                  "  rondo compile gla --emit asm --dim K=64 V=64 --dtype bf16,g=f32 -o gla.s\n"
                  "  rondo compile gla --emit asm --dim K=64 V=64 --dump-phases phases/\n"
                  "  rondo compile edited.mlir --from recur --emit llvm --dim K=64 V=64");
  command->callback([arguments, command, &status] {
    arguments->targetGiven = command->count("--target") > 0;
    if (arguments->spec.spec.empty() && !arguments->listPhases)
      throw CLI::RequiredError("spec");
    status = compile(*arguments);
  });
}

} // namespace rondo::tool
