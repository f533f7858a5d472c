// A program's functions from an object. See rondo/Artifact.h.
#include "rondo/Artifact.h"
#include "runtime/core/ObjectCode.h"
#include <fmt/format.h>
#include <mutex>

namespace rondo {
namespace {

/// The second, third and fourth functions of a program's launches: made when one is first wanted.
class SplitCode {
public:
  explicit SplitCode(std::function<Result<std::string>()> make) : make(std::move(make)) {}

  KernelFunction find(const std::string &symbol) {
    std::call_once(once, [&] {
      if (Result<std::string> object = make())
        if (auto loaded = core::ObjectCode::load(*object))
          code = *loaded;
      make = nullptr; // with what it keeps alive
    });
    return code ? reinterpret_cast<KernelFunction>(code->find(symbol)) : nullptr; // null: there is the other function
  }

private:
  std::once_flag once;
  std::function<Result<std::string>()> make;
  std::shared_ptr<const core::ObjectCode> code;
};

struct HostCode {
  std::shared_ptr<const core::ObjectCode> code;
  std::shared_ptr<SplitCode> split;

  /// Finds the function `symbol` of `split` when it is wanted.
  std::function<KernelFunction()> later(const std::string &symbol) const {
    if (!split || symbol.empty())
      return nullptr;
    return [split = split, symbol] { return split->find(symbol); };
  }
};

} // namespace

Result<std::shared_ptr<const Program>> loadHostCode(Program program, std::string_view object,
                                                    std::function<Result<std::string>()> splitCode) {
  auto loaded = core::ObjectCode::load(object);
  if (!loaded)
    return loaded.error();
  auto host = std::make_shared<HostCode>();
  host->code = *loaded;
  if (splitCode)
    host->split = std::make_shared<SplitCode>(std::move(splitCode));
  for (Launch &launch : program.launches) {
    launch.function = reinterpret_cast<KernelFunction>(host->code->find(launch.symbol));
    if (!launch.function)
      return Error(fmt::format("the code of model '{}' has no function '{}'", program.model, launch.symbol));
    launch.splitFunction = host->later(launch.splitSymbol);
    for (TeamKernel *team : std::initializer_list<TeamKernel *>{&launch.team, &launch.rowTeam, &launch.segments})
      team->function = host->later(team->symbol);
  }
  program.code = std::move(host);
  return std::make_shared<const Program>(std::move(program));
}

} // namespace rondo
