// A scan without states that multiplies its inputs by parameters, as a product of matrices: 128 steps times some units of a few products a
// block, operands copied to shared memory some stages ahead, matrix instructions, and what is elementwise behind them on the accumulators.
#pragma once
#include "compiler/Target/CPU/ElementOps.h"
#include "compiler/Target/CUDA/KernelArguments.h"
#include "compiler/Target/CUDA/KernelBuilder.h"
#include "compiler/Target/CUDA/TileLanes.h"
#include "llvm/ADT/DenseMap.h"

namespace rondo::cuda {

/// A product: parameter number, input number, and its result.
struct InputProduct {
  mlir::Value result;
  unsigned param, input;
};

/// Outputs that are elementwise on some products of one input, and are computed together.
struct ProductGroup {
  llvm::SmallVector<InputProduct> products;
  llvm::SmallVector<unsigned> outputs;
  int64_t units = 0, sums = 0; // rows and columns of the parameters
  /// Of a product that is an output itself: others of the same shape (parameter and output), which share its code.
  llvm::SmallVector<std::pair<unsigned, unsigned>> likes;
  /// Tiles of eight units that a warp has of each product, and units of a block.
  int64_t unitTiles() const { return 4 / static_cast<int64_t>(products.size() == 3 ? 4 : products.size()); }
  int64_t blockUnits() const { return 4 * 8 * unitTiles(); }
  int64_t blocksOfEach() const { return (units + blockUnits() - 1) / blockUnits(); }
  int64_t blocks() const { return blocksOfEach() * (1 + static_cast<int64_t>(likes.size())); }
};

struct ProductPlan {
  mlir::Type element; // bf16 or f16
  llvm::SmallVector<ProductGroup> groups;
};

std::optional<ProductPlan> planProducts(recur::ScanInterface scan);

class ProductKernel : ScanOperands, KernelBuilder {
public:
  ProductKernel(recur::ScanInterface scan, const Program &program, ScanTensors tensors, ProductPlan plan);
  Launch emit(mlir::ModuleOp module, llvm::StringRef symbol);

private:
  using Scope = llvm::DenseMap<mlir::Value, cpu::Element>;
  /// Rows of an operand in global memory: bytes.
  struct Rows {
    mlir::Value pointer, stride; // i64
    mlir::Value last;            // number of the last row (i32)
    mlir::Value aligned;         // whether copies of 16 bytes may be used
  };

  void emitBlock();
  void emitGroup(const ProductGroup &group, mlir::Value tile);
  Rows rowsOf(mlir::Value pointer, mlir::Value offset, mlir::Value stride, mlir::Value last);
  /// An operand of the group or, by the block's number, of one that is like it.
  struct Chosen {
    Operand operand;
    mlir::Value pointer;
  };
  Chosen choose(llvm::ArrayRef<Operand> operands, size_t before, llvm::ArrayRef<unsigned> numbers, mlir::Value which);
  void stage(const ProductGroup &group, const Rows &input, llvm::ArrayRef<Rows> params, mlir::Value firstUnit,
             mlir::Value step, mlir::Value to);
  void copyUnit(const Rows &rows, mlir::Value row, mlir::Value valid, mlir::Value column, int64_t columns,
                mlir::Value to);
  llvm::SmallVector<mlir::Value> multiply(const ProductGroup &group, mlir::Value from, mlir::ValueRange sums);
  void finish(const ProductGroup &group, mlir::Value firstUnit, mlir::ValueRange sums);
  void finishPair(const ProductGroup &group, mlir::Value row, mlir::Value unit,
                  llvm::ArrayRef<llvm::SmallVector<mlir::Value>> pairs);
  cpu::Element evaluate(mlir::Value value, Scope &scope, mlir::Value row, mlir::Value unit);
  mlir::Value addressOf(const Operand &operand, mlir::Value row, mlir::Value unit);

  recur::ScanInterface scan;
  const Program &program;
  ScanTensors tensors;
  ProductPlan plan;
  recur::Step step;
  Lanes l;
  cpu::ElementOps ops;
  Launch launch;
  mlir::Value thread, warp, lane;    // i32
  mlir::Value firstStep, stepsLeft;  // index; i32
  llvm::SmallVector<Chosen> results; // of the group's outputs
};

/// The kernel of a scan that fits, or nothing.
std::optional<Launch> emitProductKernel(recur::ScanInterface scan, const Program &program, const ScanTensors &tensors,
                                        mlir::ModuleOp module, llvm::StringRef symbol);

} // namespace rondo::cuda
