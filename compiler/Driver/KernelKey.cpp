// See KernelKey.h.
#include "compiler/Driver/KernelKey.h"
#include "compiler/Target/Signature.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/BLAKE3.h"

using namespace mlir;
using namespace rondo;

namespace {

/// Operations as numbers. Types, attributes and names are unique in their context, so that their addresses stand for them.
class Serializer {
public:
  void add(Operation *op) {
    add(op->getName().getAsOpaquePointer());
    add(op->getOperands());
    add(uint64_t(op->getNumResults()));
    for (Value result : op->getResults())
      define(result);
    add(op->getAttrs().empty() && op->getPropertiesStorageSize() == 0 ? nullptr
                                                                      : op->getAttrDictionary().getAsOpaquePointer());
    for (Block *next : op->getSuccessors())
      add(number(next));
    addRegions(op);
  }

  void addRegions(Operation *op) {
    for (Region &region : op->getRegions()) {
      add(uint64_t(llvm::range_size(region)));
      for (Block &block : region) {
        add(number(&block));
        add(uint64_t(block.getNumArguments()));
        for (Value argument : block.getArguments())
          define(argument);
        add(uint64_t(llvm::range_size(block)));
        for (Operation &inside : block)
          add(&inside);
      }
    }
  }

  void add(const std::string &text) {
    add(uint64_t(text.size()));
    hash.update(text);
  }
  void add(uint64_t value) {
    hash.update(llvm::ArrayRef<uint8_t>(reinterpret_cast<const uint8_t *>(&value), sizeof value));
  }
  std::string result() { return llvm::toStringRef(hash.final()).str(); }

private:
  void add(const void *address) { add(uint64_t(reinterpret_cast<uintptr_t>(address))); }
  void add(ValueRange values) {
    add(uint64_t(values.size()));
    for (Value value : values)
      add(number(value.getAsOpaquePointer()));
  }
  void define(Value value) {
    add(number(value.getAsOpaquePointer()));
    add(value.getType().getAsOpaquePointer());
  }
  /// Of a value or a block, by the order in which they are met.
  uint64_t number(const void *what) { return numbers.try_emplace(what, numbers.size()).first->second; }

  llvm::BLAKE3 hash;
  llvm::DenseMap<const void *, uint64_t> numbers;
};

/// More would hold memory for code that nobody asks for again.
constexpr size_t kMostObjects = 64;

} // namespace

std::string driver::kernelKey(ModuleOp module, const cpu::Machine &machine, const std::string &suffix) {
  Serializer serializer;
  serializer.add(machine.name);
  serializer.add(machine.features);
  serializer.add(uint64_t(machine.vectorBits));
  serializer.add(suffix);
  serializer.addRegions(module);
  return serializer.result();
}

const std::string *driver::KnownObjects::find(const std::string &key) const {
  for (const auto &[known, object] : latest)
    if (known == key)
      return &object;
  return nullptr;
}

void driver::KnownObjects::add(std::string key, std::string object) {
  latest.emplace_front(std::move(key), std::move(object));
  if (latest.size() > kMostObjects)
    latest.pop_back();
}
