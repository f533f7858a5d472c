// lower-to-llvm: what kernels are made of, to the LLVM dialect, in one conversion. MLIR has a pass for each dialect; each of them looks
// at every operation and puts casts between what it has converted and what others will, so that all of them together took a third of
// the time from a spec to its code.
#include "compiler/Target/CPU/Passes.h"
#include "mlir/Analysis/DataLayoutAnalysis.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/LoweringOptions.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Transforms/DialectConversion.h"

namespace rondo::cpu {
#define GEN_PASS_DEF_LOWERTOLLVM
#include "compiler/Target/CPU/Passes.h.inc"
} // namespace rondo::cpu

using namespace mlir;

namespace {

/// Memory that lower-scan has described in LLVM's terms (Place.cpp) is what a memref converts to.
struct DropDescription : OpConversionPattern<UnrealizedConversionCastOp> {
  using OpConversionPattern::OpConversionPattern;

  LogicalResult matchAndRewrite(UnrealizedConversionCastOp cast, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    if (cast.getNumResults() != 1 || adaptor.getInputs().size() != 1 ||
        getTypeConverter()->convertType(cast.getType(0)) != adaptor.getInputs()[0].getType())
      return failure();
    rewriter.replaceOp(cast, adaptor.getInputs());
    return success();
  }
};

struct LowerToLLVM : rondo::cpu::impl::LowerToLLVMBase<LowerToLLVM> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    MLIRContext &context = getContext();
    LowerToLLVMOptions options(&context, getAnalysis<DataLayoutAnalysis>().getAtOrAbove(module));
    LLVMTypeConverter types(&context, options);
    RewritePatternSet patterns(&context);
    populateMathToLLVMConversionPatterns(types, patterns, /*approximateLog1p=*/true, /*benefit=*/2);
    populateMathToLibmConversionPatterns(patterns); // what LLVM has no intrinsic for
    vector::populateVectorInsertExtractStridedSliceTransforms(patterns);
    vector::populateVectorStepLoweringPatterns(patterns);
    populateVectorToLLVMConversionPatterns(types, patterns, /*reassociateFPReductions=*/true);
    ub::populateUBToLLVMConversionPatterns(types, patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(types, patterns);
    arith::populateCeilFloorDivExpandOpsPatterns(patterns);
    arith::populateArithToLLVMConversionPatterns(types, patterns);
    populateFuncToLLVMConversionPatterns(types, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(types, patterns);
    patterns.add<DropDescription>(types, &context);
    LLVMConversionTarget target(context);
    target.addLegalOp<ModuleOp>();
    target.addIllegalOp<UnrealizedConversionCastOp>();
    ConversionConfig config;
    config.allowPatternRollback = false; // no pattern of these fails after it has begun
    if (failed(applyFullConversion(module, target, std::move(patterns), config)))
      signalPassFailure();
  }
};

} // namespace
