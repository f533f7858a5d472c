// Plans from tuning records. See TunedPlan.h.
#include "compiler/tools/rondo/TunedPlan.h"
#include "compiler/tools/rondo/Terminal.h"
#include <fmt/format.h>
#include <fstream>
#include <sstream>

namespace rondo::tool {

CallSizes sizesOf(const CompileOptions &options, const CallShape &shape) {
  const int64_t sequences = options.packed ? std::max<int64_t>(1, shape.sequences) : 1;
  return {(options.packed ? sequences : shape.batch) * shape.heads, std::max<int64_t>(1, shape.time / sequences)};
}

std::optional<Record> recordFor(const SpecArguments &arguments, const std::string &path, const CompileOptions &options,
                                const CallShape &shape) {
  const bool asked = !options.plan.empty() || options.form != "auto" || options.chunk > 0;
  if (asked || arguments.noRecords || options.target == "reference")
    return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  const Result<RecordKey> key = Engine::recordKey(text.str(), options, sizesOf(options, shape), arguments.threads);
  return key ? findRecord(*key) : std::nullopt;
}

Result<Kernel> compileWith(const std::optional<Record> &record, Engine &engine, const std::string &path,
                           const CompileOptions &options) {
  if (record) {
    CompileOptions tuned = options;
    tuned.plan = record->plan;
    if (Result<Kernel> kernel = engine.compileFile(path, tuned))
      return kernel;
    Diagnostic ignored;
    ignored.severity = Diagnostic::Severity::Warning;
    ignored.message = fmt::format("the tuning record's plan '{}' is refused; the compiler chooses", record->plan);
    warn({ignored});
  }
  return engine.compileFile(path, options);
}

} // namespace rondo::tool
