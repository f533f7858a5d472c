// libFuzzer target: the loader of machine code on any bytes. What it accepts is mapped, relocated and searched, and never called.
#include "runtime/core/ObjectCode.h"
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::string_view object(reinterpret_cast<const char *>(data), size);
  const auto code = rondo::core::ObjectCode::load(object);
  if (!code && code.error().message().empty())
    std::abort();
  if (code && (*code)->find("") != nullptr)
    std::abort();
  return 0;
}
