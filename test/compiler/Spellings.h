// Models as IR, and what they compute by the reference interpreter: for tests that compare one phase of a model with another.
// The spellings in test/compiler/spellings are such models: each file has one recurrence, written ten times, and says in its first
// lines which structure raise-scans finds in the models whose names begin with a word of the list.
#pragma once
#include "compiler/Driver/Compiler.h"
#include "compiler/Reference/Interpreter.h"
#include "dialects/Recur/Recur.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace rondo::spellings {

/// The names of the files, without folder and suffix.
llvm::ArrayRef<const char *> files();
/// A file of test/compiler.
std::string readSpec(const std::string &path);
/// The text of one of the spellings' files.
std::string readSpelling(const std::string &name);
/// What stands behind "// WORD: " in a spec, for the word that `model` begins with.
std::string expectedStructure(const std::string &spec, const std::string &model);

/// A model of a spec, and what a compile asks for. Dimensions get sizes of 2 and 3.
struct Model {
  std::string spec, name;
  bool resets = false, packed = false;
  std::string path = "spec.rondo"; // where the spec's imports begin
  int64_t gradient = 0;            // as in driver::Options
  int64_t chunk = 0;               // not 0: the form of chunks with so many steps
};
driver::ModelFacts inspect(const Model &model);
/// The IR after a phase, in f64, nothing cut into segments.
std::string emit(const Model &model, const std::string &phase);

/// IR with all dialects of the compiler; fails the test where it does not parse.
mlir::OwningOpRef<mlir::ModuleOp> parse(const std::string &text);
mlir::func::FuncOp functionOf(mlir::ModuleOp module);

/// How arguments are drawn.
struct Draw {
  int64_t steps = 6;
  int64_t sequences = 2;  // batch entries, or packed sequences
  bool endsOften = false; // a number is an end of its declared interval every other time
  unsigned seed = 1;
};
/// Numbers for every argument of a function: in its declared interval, else between -1 and 1. A quarter of the resets is true;
/// offsets are spread over the steps, with an empty sequence among them where there are three and more.
std::vector<reference::Array> randomArguments(mlir::func::FuncOp function, const Draw &draw);
std::vector<reference::Array> evaluate(mlir::func::FuncOp function, llvm::ArrayRef<reference::Array> arguments);

/// Fails the test where a result is farther from the expected one than some thousand roundings of its largest element: both are
/// sums of a few hundred products in double precision, in another order.
void requireClose(llvm::ArrayRef<reference::Array> actual, llvm::ArrayRef<reference::Array> expected);

} // namespace rondo::spellings
