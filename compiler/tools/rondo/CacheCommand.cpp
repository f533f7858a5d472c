// `rondo cache`: what compiled code is on disk.
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Terminal.h"
#include "rondo/Cache.h"
#include <ctime>
#include <fmt/format.h>
#include <memory>

namespace rondo::tool {
namespace {

std::string mebibytes(uint64_t bytes) { return fmt::format("{:.1f} MiB", double(bytes) / (1 << 20)); }

std::string dateOf(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  localtime_r(&time, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts);
  return text;
}

int listEntries(const Cache &cache) {
  for (const Cache::Entry &entry : cache.list())
    fmt::print("{}  {:>8.1f} KiB  {:<20} {:<16} {}\n", dateOf(entry.used), double(entry.bytes) / 1024,
               entry.compiler.empty() ? "(damaged)"
               : entry.model.empty()  ? "(second functions)"
                                      : entry.model,
               entry.target, entry.plan);
  return 0;
}

int printInfo(const Cache &cache) {
  const Cache::Size size = cache.size();
  fmt::print("folder   {}\n", cache ? cache.folder() : "none: the cache is off");
  fmt::print("entries  {}, {}\n", size.entries, mebibytes(size.bytes));
  fmt::print("limit    {}\n", mebibytes(cache.limit()));
  return 0;
}

int prune(const Cache &cache, uint64_t bytes) {
  const Result<Cache::Size> removed = cache.prune(bytes);
  if (!removed)
    return fail(removed.error());
  fmt::print("removed {} entries, {}\n", removed->entries, mebibytes(removed->bytes));
  return 0;
}

} // namespace

void addCache(CLI::App &app, int &status) {
  CLI::App *command = app.add_subcommand("cache", "compiled code on disk: list, info, clear, prune");
  command->require_subcommand(1);
  command->footer(
      "run, bench and applications keep compiled code in $RONDO_CACHE_DIR, $XDG_CACHE_HOME/rondo or ~/.cache/rondo;\n"
      "with RONDO_CACHE_DIR= nowhere. RONDO_CACHE_LIMIT is the limit in MiB (512): what was used longest ago goes "
      "first.");
  command->add_subcommand("list", "the entries, the latest used first")->callback([&status] {
    status = listEntries(Cache::standard());
  });
  command->add_subcommand("info", "where the cache is, and how large")->callback([&status] {
    status = printInfo(Cache::standard());
  });
  command->add_subcommand("clear", "remove every entry")->callback([&status] { status = prune(Cache::standard(), 0); });
  CLI::App *pruning = command->add_subcommand("prune", "remove what was used longest ago");
  auto limit = std::make_shared<uint64_t>(0);
  CLI::Option *asked =
      pruning->add_option("--to", *limit, "leave at most so many MiB; default: the limit")->type_name("MIB");
  pruning->callback([limit, asked, &status] {
    const Cache cache = Cache::standard();
    status = prune(cache, asked->count() ? *limit << 20 : cache.limit());
  });
}

} // namespace rondo::tool
