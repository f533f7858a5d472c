// `rondo list`: the example specs.
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Examples.h"
#include "compiler/tools/rondo/Terminal.h"
#include "rondo/Engine.h"
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

/// Sizes that the table chooses plans for: every dimension has this one.
constexpr int64_t tableSizes[] = {8, 64, 128};

std::string joined(const std::vector<std::string> &parts) { return fmt::format("{}", fmt::join(parts, "<br>")); }

/// One row: families, forms, and what is chosen for three sizes.
Result<std::string> tableRow(Engine &engine, const Example &example) {
  Result<ModelInfo> info = engine.inspectFile(example.path, {});
  if (!info)
    return info.error();
  const bool cuts = std::ranges::find(info->schedules, "segment") != info->schedules.end();
  std::string row = fmt::format("| [{0}]({0}.rondo) | {1} | {2} | {3} |", example.name, joined(info->families),
                                fmt::join(info->forms, ", "), cuts ? "yes" : "no");
  for (const int64_t size : tableSizes) {
    CompileOptions options;
    options.schedule = "carry"; // which depends on the machine
    for (const std::string &dim : info->dims)
      options.dims[dim] = size;
    Result<ModelInfo> sized = engine.inspectFile(example.path, options);
    // Sizes may contradict each other when they are all alike.
    row += fmt::format(" {} |", !sized ? "–" : sized->plans.empty() ? "step" : joined(sized->plans));
  }
  return row;
}

int listFamilies() {
  Engine engine;
  fmt::print(
      "# What analysis finds in the examples\n\n"
      "Made by `rondo list --families`. For each group of states that must be computed together: its family; the forms "
      "that the\n"
      "model can be computed in; whether time can be cut into segments; and the form that is chosen for each "
      "recurrence when every dimension has the size of "
      "the column.\n"
      "`rondo explain NAME` says for each recurrence that lacks a form which term prevents it, with its place.\n\n");
  fmt::print("| example | families | forms | segments |");
  for (const int64_t size : tableSizes)
    fmt::print(" every size {} |", size);
  fmt::print("\n|---|---|---|---|---|---|---|\n");
  for (const Example &example : examplesIn(examplesFolder())) {
    Result<std::string> row = tableRow(engine, example);
    if (!row)
      return fail(row.error());
    fmt::print("{}\n", *row);
  }
  return 0;
}

} // namespace

void addList(CLI::App &app, int &status) {
  CLI::App *command = app.add_subcommand("list", "list the example specs");
  auto paths = std::make_shared<bool>(false);
  command->add_flag("--paths", *paths, "print only their paths, for scripts");
  auto families = std::make_shared<bool>(false);
  command
      ->add_flag("--families", *families, "a table in Markdown: what analysis finds in each, and the form it chooses")
      ->excludes("--paths");
  command->footer("Example: rondo verify $(rondo list --paths)");
  command->callback([paths, families, &status] { status = *families ? listFamilies() : listExamples(*paths); });
}

} // namespace rondo::tool
