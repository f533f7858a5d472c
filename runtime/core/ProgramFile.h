// Programs as JSON values, without what belongs to a process: addresses, images, devices.
#pragma once
#include "rondo/Program.h"
#include <nlohmann/json.hpp>

namespace rondo::core {

nlohmann::json toJson(const Program &program);
/// Fails where a value is missing, of another type, or out of range: what is returned can be bound and launched.
Result<Program> programFromJson(const nlohmann::json &json);

} // namespace rondo::core
