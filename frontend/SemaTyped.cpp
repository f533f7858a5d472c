// Spellings and small queries of the typed model.
#include "frontend/Typed.h"
#include <algorithm>
#include <array>

namespace rondo::frontend {

std::string str(const Shape &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + shape[i].str();
  return text + "]";
}

std::string str(const ValueType &type) {
  std::string prefix = type.elem == Elem::Complex ? "complex " : type.elem == Elem::Truth ? "truth " : "";
  return prefix + str(type.shape);
}

std::string_view spelling(MapFn fn) {
  static constexpr std::array<std::string_view, 32> names = {
      "neg",  "exp",   "expm1",   "log",  "log1p", "sqrt", "tanh", "sin", "cos", "erf",   "abs",
      "sign", "floor", "real",    "imag", "conj",  "not",  "add",  "sub", "mul", "div",   "max",
      "min",  "pow",   "complex", "lt",   "le",    "eq",   "ne",   "and", "or",  "select"};
  return names[size_t(fn)];
}

std::string_view spelling(ReduceKind kind) {
  static constexpr std::array<std::string_view, 4> names = {"sum", "max", "min", "prod"};
  return names[size_t(kind)];
}

std::optional<int64_t> State::depth() const {
  int64_t depth = 0;
  for (const Read &read : reads) {
    auto distance = read[0].asConstant();
    if (!distance)
      return std::nullopt;
    depth = std::max(depth, *distance);
  }
  return depth;
}

} // namespace rondo::frontend
