// `rondo list`: the example specs.
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/Terminal.h"
#include <algorithm>
#include <fmt/format.h>
#include <memory>

namespace rondo::tool {
namespace {

int listExamples(bool paths) {
  const std::string folder = examplesFolder();
  if (folder.empty())
    return fail("no examples found: neither beside the binary nor in the source tree");
  const std::vector<Example> examples = examplesIn(folder);
  size_t width = 0;
  for (const Example &example : examples)
    width = std::max(width, example.name.size());
  for (const Example &example : examples)
    if (paths)
      fmt::print("{}\n", example.path);
    else
      fmt::print("{}  {}\n", paint(Colour::Bold, fmt::format("{:<{}}", example.name, width)), example.title);
  if (!paths)
    fmt::print("\n{} specs in {}\n", examples.size(), folder);
  return 0;
}

} // namespace

void addList(CLI::App &app, int &status) {
  CLI::App *command = app.add_subcommand("list", "list the example specs");
  auto paths = std::make_shared<bool>(false);
  command->add_flag("--paths", *paths, "print only their paths, for scripts");
  command->footer("Example: rondo verify $(rondo list --paths)");
  command->callback([paths, &status] { status = listExamples(*paths); });
}

} // namespace rondo::tool
