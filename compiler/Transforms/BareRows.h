// Rows without what multiplies them as a whole: of 0.5 * k / |k|, k and the number 0.5 / |k|. A number per step of an outer product may stand with
// either of its factors; what rounds one of them, or has another of the same rows, wants to know.
#pragma once
#include "dialects/Recur/Recur.h"
#include "mlir/IR/Builders.h"

namespace rondo {

/// Of a value of a step, or of a chunk.
struct BareRows {
  explicit BareRows(mlir::Value value);
  /// The number that makes the value of the rows again, for values that stand for the terms; null for 1.
  mlir::Value factor(mlir::OpBuilder &b, mlir::Location loc,
                     llvm::function_ref<mlir::Value(mlir::Value)> valueOf) const;
  bool scaled() const { return !terms.empty(); }
  /// Whether nothing but divisors make the number, so that their product undoes it, whatever they are.
  bool hasInverse() const {
    return llvm::all_of(terms, [](const Term &term) { return term.divides; });
  }
  /// 1 / factor, as that product.
  mlir::Value inverse(mlir::OpBuilder &b, mlir::Location loc,
                      llvm::function_ref<mlir::Value(mlir::Value)> valueOf) const;

  mlir::Value rows;

private:
  struct Term {
    mlir::Value number;
    bool divides;
  };
  llvm::SmallVector<Term> terms; // the outermost one first
  bool negated = false;
};

} // namespace rondo
