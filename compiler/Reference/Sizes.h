// The numbers behind the names of axes, found by comparing the arguments' shapes with the function's types.
#pragma once
#include "compiler/Reference/Array.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/Error.h"
#include <map>
#include <optional>
#include <string>

namespace rondo::reference {

/// For error analysis: every operation that rounds gives results that are off by a factor 1 + unit or 1 - unit, at random.
struct Noise {
  uint64_t state = 0;    // of the signs; 0: no noise
  bool inSingle = false; // results are infinite or 0 where f32 has no number for them
  double unit = 0x1p-24;
  Complex operator()(Complex x);

private:
  /// 1 + unit or 1 - unit.
  double factor();
};

/// On contractions of a step: UnitAttr, its operands are rounded, too (Rounding).
inline constexpr const char *kRoundedAttr = "recur.rounded";

/// For error analysis of matrix instructions: operands of products inside a chunk are rounded to `bits` significant bits (of two terms together
/// where chunk::hasTwoTerms), and so are tensors of 16-bit elements that one op of the function hands to another. Chunks are taken to the end
/// then, as such kernels do: steps behind it are zeros and decay nothing.
struct Rounding {
  int bits = 0;           // 0: operands are as they are
  int lowestExponent = 0; // of the last bit: 2^lowestExponent is the smallest positive number
  int64_t steps = -1;     // of the chunk that is computed, those before the end; -1: all of them
  Complex operator()(Complex x) const;
};

struct Sizes {
  std::map<std::string, int64_t> dims; // the spec's dimensions
  std::map<std::string, int64_t>
      axes;                         // implicit axes, as the arguments have them: "batch", "time", "head", "group", ...
  std::optional<int64_t> sequences; // packed ones: the batch of arrays without an axis of time
  std::vector<int64_t> lags;        // values of the function's `recur.lags`
  mutable Noise noise;              // of the run with these sizes
  mutable Rounding rounding;        // the same

  /// The number that a size expression stands for; an error names the dimension without a size.
  llvm::Expected<int64_t> evaluate(llvm::StringRef size) const;
  /// A distance that a state is read at: itself, or the lag that a negative one stands for.
  int64_t distance(int64_t read) const { return read < 0 ? lags[-1 - read] : read; }
};

/// Solves for the sizes; `known` may give some (a dimension that no argument shows). An error names the argument that disagrees.
llvm::Expected<Sizes> bindSizes(mlir::func::FuncOp function, llvm::ArrayRef<Array> args,
                                const std::map<std::string, int64_t> &known);

/// An error with a printf-free message.
llvm::Error failure(const llvm::Twine &message);

} // namespace rondo::reference
