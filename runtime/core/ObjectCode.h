// Machine code from a relocatable object, mapped into this process: what the compiler makes, what a cache keeps, and what an artifact
// holds is the same object, and nothing here needs LLVM or a linker.
#pragma once
#include "rondo/Result.h"
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace rondo::core {

/// ELF for x86-64, position-independent, small code model, without thread-local variables or constructors: what LLVM makes of kernels.
/// Functions that the object does not define (sinf, memcpy) come from this process. Unwind tables are left out, since nothing throws
/// through a kernel.
class ObjectCode {
public:
  /// Whatever the bytes are, the result is code or an error: every offset is checked.
  static Result<std::shared_ptr<const ObjectCode>> load(std::string_view object);
  ~ObjectCode();
  ObjectCode(const ObjectCode &) = delete;
  ObjectCode &operator=(const ObjectCode &) = delete;

  /// The address of a global symbol; null where there is none.
  void *find(const std::string &symbol) const;

private:
  friend class ObjectLoader;
  ObjectCode() = default;
  char *memory = nullptr;
  size_t bytes = 0;
  std::unordered_map<std::string, void *> symbols;
};

} // namespace rondo::core
