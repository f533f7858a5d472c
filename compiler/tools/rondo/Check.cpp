// `rondo check`: the mistakes of specs.
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/Terminal.h"
#include "rondo/Engine.h"
#include <fmt/format.h>
#include <memory>

namespace rondo::tool {
namespace {

std::string summary(const ModelInfo &info) {
  const std::string dims = info.dims.empty() ? "" : fmt::format("<{}>", fmt::join(info.dims, ", "));
  return fmt::format("{}{}", info.name, dims);
}

/// Checks every model of a file; the first inspection tells which there are.
int checkFile(Engine &engine, const std::string &path) {
  CompileOptions options;
  options.colour = colourOnStderr();
  Result<ModelInfo> last = engine.inspectFile(path, options);
  warn(engine.remarks());
  if (!last)
    return fail(last.error());
  std::vector<std::string> summaries;
  for (const std::string &model : last->models) {
    options.model = model;
    Result<ModelInfo> info = engine.inspectFile(path, options);
    if (!info)
      return fail(info.error());
    summaries.push_back(summary(*info));
  }
  fmt::print("{}: {} ({})\n", path, paint(Colour::Green, "ok"), fmt::join(summaries, ", "));
  return 0;
}

} // namespace

void addCheck(CLI::App &app, int &status) {
  CLI::App *command = app.add_subcommand("check", "find the mistakes of specs");
  auto specs = std::make_shared<std::vector<std::string>>();
  command->add_option("specs", *specs, "specs' files, or names of examples")->type_name("SPEC")->required();
  command->footer("Example: rondo check my_cell.rondo gla");
  command->callback([specs, &status] {
    Engine engine;
    for (const std::string &spec : *specs)
      status |= checkFile(engine, resolveSpec(spec));
  });
}

} // namespace rondo::tool
