// Records as JSON: what is shipped, reviewed and edited. See rondo/Records.h.
#include "rondo/Records.h"
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace rondo {

using Json = nlohmann::ordered_json;

std::string recordsToJson(const std::vector<Record> &records) {
  Json all{{"rondo_records", 1}, {"records", Json::array()}};
  for (const Record &record : records)
    all["records"].push_back({{"model", record.model},
                              {"bucket", record.key.bucket},
                              {"types", record.key.types},
                              {"device", record.key.device},
                              {"driver", record.key.driver},
                              {"compiler", record.key.compiler},
                              {"plan", record.plan},
                              {"seconds", record.seconds},
                              {"runner_up", record.runnerUp},
                              {"runner_up_seconds", record.runnerUpSeconds},
                              {"default_seconds", record.defaultSeconds},
                              {"measured", record.measured},
                              {"spec", record.key.spec}});
  return all.dump(1, ' ') + "\n";
}

Result<std::vector<Record>> recordsFromJson(const std::string &text) try {
  const Json all = Json::parse(text);
  if (all.at("rondo_records").get<int>() != 1)
    return Error(fmt::format("records of format {}; this version of rondo reads 1", all.at("rondo_records").dump()));
  std::vector<Record> records;
  for (const Json &one : all.at("records")) {
    Record record;
    one.at("model").get_to(record.model);
    one.at("bucket").get_to(record.key.bucket);
    one.at("types").get_to(record.key.types);
    one.at("device").get_to(record.key.device);
    one.at("driver").get_to(record.key.driver);
    one.at("compiler").get_to(record.key.compiler);
    one.at("spec").get_to(record.key.spec);
    one.at("plan").get_to(record.plan);
    one.at("seconds").get_to(record.seconds);
    one.at("runner_up").get_to(record.runnerUp);
    one.at("runner_up_seconds").get_to(record.runnerUpSeconds);
    one.at("default_seconds").get_to(record.defaultSeconds);
    one.at("measured").get_to(record.measured);
    records.push_back(std::move(record));
  }
  return records;
} catch (const Json::exception &exception) {
  return Error(fmt::format("no records: {}", exception.what()));
}

} // namespace rondo
