// wgmma, as one lane sees it. A product is one piece of assembly from wgmma.fence to wgmma.wait_group, so that nothing comes between that
// touches the registers of products on their way: ptxas would have them one after another.
#include "compiler/Target/CUDA/TileLanes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace rondo::cuda;

Value Lanes::describe(Value offset, int64_t constant, int64_t layout) {
  Value base = LLVM::PtrToIntOp::create(b, loc, b.getI32Type(), sharedBase);
  // What is in the lower half stays there, so that 32 bits are enough to compute with.
  Value low = add(shr(add(base, offset), 4), constant / 16 + static_cast<int32_t>(layout));
  Value high = LLVM::ConstantOp::create(b, loc, b.getI64Type(), layout >> 32 << 32);
  return LLVM::OrOp::create(b, loc, LLVM::ZExtOp::create(b, loc, b.getI64Type(), low), high);
}

void Lanes::fenceForGroups() {
  auto kind = NVVM::ProxyKindAttr::get(b.getContext(), NVVM::ProxyKind::async_shared);
  auto space = NVVM::SharedSpaceAttr::get(b.getContext(), NVVM::SharedSpace::shared_cta);
  NVVM::FenceProxyOp::create(b, loc, kind, space);
}

/// "$4, $5, $6"
static std::string numbers(size_t first, size_t count) {
  std::string text;
  for (size_t i = first; i < first + count; ++i)
    text += (i == first ? "$" : ", $") + std::to_string(i);
  return text;
}

SmallVector<Accumulator> Lanes::startGroup(ArrayRef<SmallVector<Value>> as, ValueRange bs, bool transposed,
                                           size_t accumulators, ArrayRef<Accumulator> c) {
  const size_t count = 4 * accumulators; // registers
  std::string type = element.isBF16() ? "bf16" : "f16", constraints, tied;
  SmallVector<Value> operands;
  for (const Accumulator &accumulator : c)
    operands.append(accumulator.begin(), accumulator.end());
  for (size_t i = 0; i < count; ++i) {
    constraints += c.empty() ? "=&f," : "=f,";
    tied += c.empty() ? "" : std::to_string(i) + ",";
  }
  constraints += tied;
  std::string text = "{\n.reg .pred some, none;\nsetp.eq.b32 some, 0, 0;\nsetp.ne.b32 none, 0, 0;\n"
                     "wgmma.fence.sync.aligned;\n";
  for (size_t k = 0; k < as.size(); ++k) {
    const size_t first = count + operands.size();
    operands.append(as[k].begin(), as[k].begin() + 4);
    operands.push_back(bs[k]);
    constraints += "r,r,r,r,l,";
    text += "wgmma.mma_async.sync.aligned.m64n" + std::to_string(8 * accumulators) + "k16.f32." + type + "." + type +
            " {" + numbers(0, count) + "}, {" + numbers(first, 4) + "}, " + numbers(first + 4, 1) + ", " +
            (c.empty() && k == 0 ? "none" : "some") + ", 1, 1, " + (transposed ? "1" : "0") + ";\n";
  }
  text += "wgmma.commit_group.sync.aligned;\n}";
  constraints += "~{memory}";
  auto result = LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(count, b.getF32Type()));
  auto op = LLVM::InlineAsmOp::create(b, loc, result, operands, text, constraints, /*has_side_effects=*/true,
                                      /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(),
                                      ArrayAttr());
  SmallVector<Accumulator> sums(accumulators);
  for (size_t i = 0; i < count; ++i)
    sums[i / 4][i % 4] = LLVM::ExtractValueOp::create(b, loc, op.getResult(0), int64_t(i));
  return sums;
}

void Lanes::finishGroups(MutableArrayRef<Accumulator> sums) {
  auto assembly = [&](Type result, ValueRange operands, StringRef text, StringRef constraints) {
    return LLVM::InlineAsmOp::create(b, loc, result, operands, text, constraints, /*has_side_effects=*/true,
                                     /*is_align_stack=*/false, LLVM::TailCallKind::None, LLVM::AsmDialectAttr(),
                                     ArrayAttr());
  };
  assembly(LLVM::LLVMVoidType::get(b.getContext()), {}, "wgmma.wait_group.sync.aligned 0;", "~{memory}");
  // What reads the sums does so behind this, and they are in the same registers.
  SmallVector<Value> values;
  std::string results, tied;
  for (const Accumulator &sum : sums)
    for (Value value : sum) {
      tied += std::to_string(values.size()) + ",";
      values.push_back(value);
      results += "=f,";
    }
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(), SmallVector<Type>(values.size(), b.getF32Type()));
  auto op = assembly(type, values, "", results + tied + "~{memory}");
  for (size_t i = 0; i < values.size(); ++i)
    sums[i / 4][i % 4] = LLVM::ExtractValueOp::create(b, loc, op.getResult(0), int64_t(i));
}
