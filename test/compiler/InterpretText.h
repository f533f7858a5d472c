// Runs the reference interpreter on IR text, for the tests beside this file.
#pragma once
#include "compiler/Reference/Interpreter.h"
#include "dialects/Chunk/Chunk.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Parser/Parser.h"
#include <catch2/catch.hpp>

namespace rondo::reference {

/// Type names that the texts of the tests share: s scalar, k v h vectors, b_t_k data over batch and time, and so on.
inline const char *const kTypes = R"(
  !s = tensor<f64, #recur.dims<>>
  !i1 = tensor<i1, #recur.dims<>>
  !c = tensor<complex<f64>, #recur.dims<>>
  !k = tensor<?xf64, #recur.dims<| K>>
  !ki1 = tensor<?xi1, #recur.dims<| K>>
  !kc = tensor<?xcomplex<f64>, #recur.dims<| K>>
  !v = tensor<?xf64, #recur.dims<| V>>
  !kv = tensor<?x?xf64, #recur.dims<| K, V>>
  !vk = tensor<?x?xf64, #recur.dims<| V, K>>
  !kk = tensor<?x?xf64, #recur.dims<| K, K>>
  !b = tensor<?xf64, #recur.dims<batch>>
  !bl = tensor<?x?xf64, #recur.dims<batch, lag>>
  !bt = tensor<?x?xf64, #recur.dims<batch, time>>
  !bti1 = tensor<?x?xi1, #recur.dims<batch, time>>
  !b_k = tensor<?x?xf64, #recur.dims<batch | K>>
  !bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
  !bt_v = tensor<?x?x?xf64, #recur.dims<batch, time | V>>
)";

/// The module's first function, run on `args`; the error's text where it fails.
inline std::pair<std::vector<Array>, std::string> tryInterpret(const std::string &text, llvm::ArrayRef<Array> args,
                                                               const std::map<std::string, int64_t> &dims = {},
                                                               const Rounding &rounding = {}) {
  static mlir::MLIRContext *context = [] {
    auto *made = new mlir::MLIRContext;
    made->loadDialect<recur::RecurDialect, chunk::ChunkDialect, mlir::arith::ArithDialect, mlir::func::FuncDialect>();
    return made;
  }();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(kTypes + text, context);
  REQUIRE(module);
  auto results = interpret(*module->getOps<mlir::func::FuncOp>().begin(), args, dims, /*noise=*/{}, rounding);
  if (!results)
    return {{}, llvm::toString(results.takeError())};
  return {*results, ""};
}

inline std::vector<Array> run(const std::string &text, llvm::ArrayRef<Array> args,
                              const std::map<std::string, int64_t> &dims = {}) {
  auto [results, error] = tryInterpret(text, args, dims);
  REQUIRE(error == "");
  return results;
}

/// The real parts, for comparing with plain numbers.
using Numbers = std::vector<double>;

inline void requireClose(const Array &actual, const Numbers &expected) {
  Numbers values = actual.reals();
  REQUIRE(values.size() == expected.size());
  for (size_t i = 0; i < values.size(); ++i) {
    CAPTURE(i);
    // Both sides are double with the same few operations; only their order may differ.
    REQUIRE(values[i] == Approx(expected[i]).epsilon(1e-14).margin(1e-15));
  }
}

} // namespace rondo::reference
