// What code depends on, as the key of a cache, and the way between compiled code and cached artifacts.
#pragma once
#include "compiler/Driver/Compiler.h"
#include "rondo/Cache.h"
#include <string>

namespace rondo::jit {

/// This build of the compiler, LLVM included: the version and the build identifiers of what is loaded.
const std::string &compilerIdentity();

/// Everything that decides what a compile makes, imported files apart, which a cache entry names. Empty for compiles that are not cached:
/// of IR, for the interpreter, and those that write their phases.
std::string cacheKey(const driver::Source &source, const driver::Options &options);

/// Compiled code on its way into the cache and out of it. With an off cache or an empty key nothing is looked up or stored.
class CachedCode {
public:
  CachedCode(Cache cache, driver::Source source, driver::Options options);

  /// The program from the cache, for a GPU with its image; null where it is not there.
  std::shared_ptr<const Program> find() const;
  /// Keeps what was compiled.
  void store(const driver::Compiled &compiled) const;
  /// The program of what was compiled. Its second functions are kept when they are made.
  Result<std::shared_ptr<const Program>> load(driver::Compiled compiled) const;

private:
  using Split = std::function<Result<std::string>()>;
  /// The second functions: from the cache, else by `make`, and then into the cache.
  Split splitBy(Split make) const;

  Cache cache;
  driver::Source source;
  driver::Options options;
  std::string key;
};

} // namespace rondo::jit
