// `rondo tune db`: the records.
#include "compiler/tools/rondo/Commands.h"
#include "compiler/tools/rondo/Terminal.h"
#include "compiler/tools/rondo/TextFile.h"
#include "rondo/Records.h"
#include <fmt/format.h>
#include <memory>

namespace rondo::tool {
namespace {

struct DatabaseArguments {
  std::string file, records;
  int64_t days = 0;
  bool otherCompilers = false;
};

std::string pathOf(const DatabaseArguments &arguments) {
  return arguments.records.empty() ? Records::standardPath() : arguments.records;
}

/// Every record; none where there is no file yet.
Result<std::vector<Record>> readAll(const DatabaseArguments &arguments) {
  const std::string path = pathOf(arguments);
  if (path.empty() || !fileExists(path))
    return std::vector<Record>();
  Result<Records> records = Records::open(path, Records::Access::Read);
  return records ? records->list() : records.error();
}

int listRecords(const DatabaseArguments &arguments) {
  Result<std::vector<Record>> records = readAll(arguments);
  if (!records)
    return fail(records.error());
  for (const Record &record : *records)
    fmt::print("{:<20} {:<24} {:<10} {:<28} {:>10.4g} ms  {:.2f}x  {}\n", record.model, record.key.bucket,
               record.key.types, record.key.device, 1e3 * record.seconds,
               record.seconds > 0 ? record.defaultSeconds / record.seconds : 0, record.plan);
  fmt::print("{} records in {}\n", records->size(), pathOf(arguments));
  return 0;
}

int exportRecords(const DatabaseArguments &arguments) {
  Result<std::vector<Record>> records = readAll(arguments);
  if (!records)
    return fail(records.error());
  const std::string text = recordsToJson(*records);
  if (arguments.file.empty() || arguments.file == "-") {
    fmt::print("{}", text);
    return 0;
  }
  Result<void> written = writeText(arguments.file, text);
  return written ? 0 : fail(written.error());
}

int importRecords(const DatabaseArguments &arguments) {
  Result<std::string> text = readText(arguments.file);
  if (!text)
    return fail(text.error());
  Result<std::vector<Record>> records = recordsFromJson(*text);
  if (!records)
    return fail(inFile(arguments.file, records.error()));
  Result<Records> database = Records::open(pathOf(arguments), Records::Access::Write);
  if (!database)
    return fail(database.error());
  size_t kept = 0;
  for (const Record &record : *records) {
    const std::optional<Record> known = database->find(record.key);
    if (known && known->measured > record.measured) { // what this machine has found since
      ++kept;
      continue;
    }
    if (Result<void> put = database->put(record); !put)
      return fail(put.error());
  }
  fmt::print("imported {} records{}\n", records->size() - kept, kept ? fmt::format(", kept {} newer ones", kept) : "");
  return 0;
}

int pruneRecords(const DatabaseArguments &arguments) {
  Result<Records> database = Records::open(pathOf(arguments), Records::Access::Write);
  if (!database)
    return fail(database.error());
  const Result<int64_t> removed = database->prune(arguments.otherCompilers ? RONDO_VERSION : "", arguments.days);
  if (!removed)
    return fail(removed.error());
  fmt::print("removed {} records\n", *removed);
  return 0;
}

} // namespace

void addTuneDatabase(CLI::App &tune, int &status) {
  CLI::App *command = tune.add_subcommand("db", "what tuning found: list, export, import, prune");
  command->require_subcommand(1);
  auto arguments = std::make_shared<DatabaseArguments>();
  command->add_option("--records", arguments->records, "the file; default: $RONDO_RECORDS, or in ~/.local/share/rondo")
      ->type_name("FILE");
  command->add_subcommand("list", "every record: what it is for, its time, what tuning gained, the plan")
      ->callback([arguments, &status] { status = listRecords(*arguments); });
  CLI::App *out = command->add_subcommand("export", "write the records as JSON");
  out->add_option("file", arguments->file, "default: the terminal")->type_name("FILE");
  out->callback([arguments, &status] { status = exportRecords(*arguments); });
  CLI::App *in = command->add_subcommand("import", "add records from JSON; newer ones stay");
  in->add_option("file", arguments->file, "as export writes it")->type_name("FILE")->required();
  in->callback([arguments, &status] { status = importRecords(*arguments); });
  CLI::App *prune = command->add_subcommand("prune", "remove records");
  prune->add_option("--days", arguments->days, "those that are older than so many days")->check(CLI::PositiveNumber);
  prune->add_flag("--other-compilers", arguments->otherCompilers, "those of other versions of rondo");
  prune->callback([arguments, &status] { status = pruneRecords(*arguments); });
}

} // namespace rondo::tool
