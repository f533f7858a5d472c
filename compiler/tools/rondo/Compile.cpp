// `rondo compile`: the text of a phase.
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/SpecArguments.h"
#include "compiler/tools/rondo/Terminal.h"
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <unistd.h>

namespace rondo::tool {
namespace {

struct CompileArguments {
  SpecArguments spec;
  std::string emit, out, from, dumpPhases;
  bool listPhases = false;
};

/// Whole or not at all: beside the file, then renamed over it.
Result<void> writeText(const std::string &path, const std::string &text) {
  const std::string beside = fmt::format("{}.{}.tmp", path, getpid());
  std::FILE *file = std::fopen(beside.c_str(), "wb");
  if (!file)
    return Error(fmt::format("cannot write '{}': {}", path, std::strerror(errno)));
  bool fine = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  fine &= std::fflush(file) == 0 && fsync(fileno(file)) == 0;
  int code = errno;
  fine &= std::fclose(file) == 0;
  if (fine && std::rename(beside.c_str(), path.c_str()) == 0)
    return {};
  code = fine ? errno : code;
  std::remove(beside.c_str());
  return Error(fmt::format("cannot write '{}': {}", path, std::strerror(code)));
}

int printPhases() {
  fmt::print("{:<16} {}\n", "ast", "the syntax tree, printed as a spec");
  for (const auto &[name, description] : Engine::phases())
    fmt::print("{:<16} {}\n", name, description);
  fmt::print("{:<16} {}\n{:<16} {}\n", "llvm", "LLVM IR, optimised", "asm", "assembly for this machine");
  return 0;
}

int compile(const CompileArguments &arguments) {
  if (arguments.listPhases)
    return printPhases();
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
  CLI::App *command = app.add_subcommand("compile", "print what a phase of the compiler makes of a spec");
  auto arguments = std::make_shared<CompileArguments>();
  command->add_option("spec", arguments->spec.spec, "a spec's file, the name of an example, or IR (*.mlir with --from)")
      ->type_name("SPEC");
  command->add_option("--emit", arguments->emit, "ast, recur, the name of a phase, llvm or asm; default: recur")
      ->type_name("PHASE");
  command->add_option("-o,--out", arguments->out, "the file to write; default: the terminal")->type_name("FILE");
  command->add_option("--from", arguments->from, "the phase that an .mlir file was printed after")->type_name("PHASE");
  command->add_option("--dump-phases", arguments->dumpPhases, "a folder that gets one file per phase")
      ->type_name("DIR");
  command->add_flag("--list-phases", arguments->listPhases, "print the phases in order");
  addModel(*command, arguments->spec);
  addTarget(*command, arguments->spec);
  addDims(*command, arguments->spec);
  addTypes(*command, arguments->spec, "element types: for all tensors, for some by name; default: f32");
  addPlan(*command, arguments->spec);
  addGradient(*command, arguments->spec);
  addBoundaries(*command, arguments->spec);
  command->footer("Examples:\n"
                  "  rondo compile gla --emit recur\n"
                  "  rondo compile gla --emit asm --dim K=64 V=64 --dtype bf16,g=f32 -o gla.s\n"
                  "  rondo compile gla --emit asm --dim K=64 V=64 --dump-phases phases/\n"
                  "  rondo compile edited.mlir --from recur --emit llvm --dim K=64 V=64");
  command->callback([arguments, &status] {
    if (arguments->spec.spec.empty() && !arguments->listPhases)
      throw CLI::RequiredError("spec");
    status = compile(*arguments);
  });
}

} // namespace rondo::tool
