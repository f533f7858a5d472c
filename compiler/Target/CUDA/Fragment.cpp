// The tables, and what follows from them. See Fragment.h.
#include "compiler/Target/CUDA/Fragment.h"

using namespace rondo::cuda;

llvm::ArrayRef<Core> MatrixInstruction::cores(Operand operand) const {
  return operand == Operand::A ? a : operand == Operand::B ? b : c;
}

Place MatrixInstruction::place(Operand operand, int64_t core, int64_t which, int64_t lane) const {
  const Core &at = cores(operand)[core];
  int64_t first = lane / 4, second = 2 * (lane % 4) + which;
  if (at.transposed)
    std::swap(first, second);
  return {at.row + first, at.column + second};
}

const MatrixInstruction &rondo::cuda::mmaM16N8K16() {
  static const MatrixInstruction instruction{
      .name = "m16n8k16",
      .m = 16,
      .n = 8,
      .k = 16,
      .a = {{0, 0}, {8, 0}, {0, 8}, {8, 8}},
      .b = {{0, 0, true}, {8, 0, true}},
      .c = {{0, 0}, {8, 0}},
  };
  return instruction;
}

/// Finds for each of `wanted` the accumulator that has it, turning accumulators where `turned`.
static std::optional<llvm::SmallVector<Chained>> chain(const MatrixInstruction &instruction,
                                                       llvm::ArrayRef<Core> wanted, bool turned) {
  llvm::SmallVector<Chained> chained;
  for (Core want : wanted) {
    if (turned)
      want = {want.column, want.row, !want.transposed};
    Core inside{want.row, want.column % instruction.n, want.transposed};
    const auto *found = llvm::find(instruction.c, inside);
    if (found == instruction.c.end())
      return std::nullopt;
    chained.push_back({want.column / instruction.n, found - instruction.c.begin()});
  }
  return chained;
}

std::optional<llvm::SmallVector<Chained>> rondo::cuda::accumulatorsAsA(const MatrixInstruction &instruction) {
  return chain(instruction, instruction.a, /*turned=*/false);
}

std::optional<llvm::SmallVector<Chained>> rondo::cuda::accumulatorsAsB(const MatrixInstruction &instruction) {
  return chain(instruction, instruction.b, /*turned=*/true);
}
