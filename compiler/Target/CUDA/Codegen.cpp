// LLVM's part: conversion, optimisation, PTX, ptxas. See Codegen.h.
#include "compiler/Target/CUDA/Codegen.h"
#include "compiler/Target/Signature.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

bool rondo::cuda::isArchitecture(StringRef name) {
  unsigned number = 0;
  if (!name.consume_front("sm_") || name.consumeInteger(10, number))
    return false;
  return number >= 80 && number <= 130 && (name.empty() || name == "a" || name == "f");
}

void rondo::cuda::buildToLLVM(OpPassManager &passes) {
  passes.addPass(arith::createArithExpandOpsPass()); // division with rounding
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createUBToLLVMConversionPass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
}

/// What is written out for registers comes as long straight code, in which equal addresses and loads must be found; loops that are
/// left are not unrolled here: ptxas does it, and knows the registers.
static const char *const kOptimisation =
    "function(sroa,simplifycfg,early-cse<memssa>,instcombine<no-verify-fixpoint>,loop-mssa(licm),gvn,"
    "instcombine<no-verify-fixpoint>,dse,adce,simplifycfg)";

static llvm::Error optimise(llvm::Module &code, llvm::TargetMachine &machine) {
  llvm::PassBuilder builder(&machine);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager callGraph;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(callGraph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, callGraph, modules);
  llvm::ModulePassManager passes;
  if (llvm::Error error = builder.parsePassPipeline(passes, kOptimisation))
    return error;
  passes.run(code, modules);
  return llvm::Error::success();
}

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> makeMachine(StringRef arch) {
  static const bool once = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)once;
  if (!isArchitecture(arch))
    return llvm::createStringError("'" + arch.str() + "' is no GPU that kernels can be made for");
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string why;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, why);
  if (!target)
    return llvm::createStringError("this LLVM has no NVPTX back end: " + why);
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, arch, "", llvm::TargetOptions(), std::nullopt, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

static llvm::Expected<std::string> toPTX(llvm::Module &code, llvm::TargetMachine &machine) {
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("the NVPTX back end prints no PTX");
  passes.run(code);
  return text.str().str();
}

/// Assembles PTX by NVIDIA's ptxas, from the PATH or from where the toolkit is usually installed.
static llvm::Expected<std::string> assemble(StringRef ptx, StringRef arch) {
  auto program = llvm::sys::findProgramByName("ptxas");
  if (!program)
    program = llvm::sys::findProgramByName("ptxas", {"/usr/local/cuda/bin"});
  if (!program)
    return llvm::createStringError("no ptxas on the PATH or in /usr/local/cuda/bin: a cubin needs it, PTX does not");
  llvm::SmallString<128> in, out, log;
  if (llvm::sys::fs::createTemporaryFile("rondo", "ptx", in) ||
      llvm::sys::fs::createTemporaryFile("rondo", "cubin", out) ||
      llvm::sys::fs::createTemporaryFile("rondo", "log", log))
    return llvm::createStringError("cannot make a temporary file for ptxas");
  llvm::FileRemover removeIn(in), removeOut(out), removeLog(log);
  std::error_code code;
  llvm::raw_fd_ostream(in, code) << ptx;
  if (code)
    return llvm::createStringError("cannot write '" + in.str().str() + "': " + code.message());
  std::string why;
  std::optional<StringRef> redirects[] = {std::nullopt, StringRef(log), StringRef(log)};
  int status = llvm::sys::ExecuteAndWait(*program, {*program, "-O3", ("-arch=" + arch).str(), in, "-o", out},
                                         std::nullopt, redirects, 120, 0, &why);
  if (status) {
    auto said = llvm::MemoryBuffer::getFile(log);
    return llvm::createStringError("ptxas failed: " + (said ? (*said)->getBuffer().str() : why));
  }
  auto result = llvm::MemoryBuffer::getFile(out, /*IsText=*/false);
  if (!result)
    return llvm::createStringError("cannot read what ptxas wrote");
  return (*result)->getBuffer().str();
}

static void markKernel(llvm::Module &code, const Launch &launch) {
  llvm::Function *kernel = code.getFunction(launch.symbol);
  if (!kernel)
    return;
  kernel->setCallingConv(llvm::CallingConv::PTX_Kernel);
  kernel->addFnAttr("nvvm.maxntid", std::to_string(launch.threads));
  if (launch.cluster)
    kernel->addFnAttr("nvvm.cluster_dim", std::to_string(launch.cluster) + ",1,1");
  for (const Launch &other : launch.oneStep)
    markKernel(code, other);
}

/// What the launches start becomes kernels, which the assembler gives registers for blocks of their size.
static void markKernels(llvm::Module &code, ModuleOp module) {
  auto attribute = module->getAttrOfType<DictionaryAttr>(kProgramAttr);
  std::optional<Program> program = attribute ? programFromAttr(attribute) : std::nullopt;
  for (const Launch &launch : program ? program->launches : std::vector<Launch>())
    markKernel(code, launch);
}

llvm::Expected<std::string> rondo::cuda::printCode(ModuleOp module, StringRef arch, CodeText what) {
  auto machine = makeMachine(arch);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context);
  if (!code)
    return llvm::createStringError("the module has no translation to LLVM IR");
  code->setDataLayout((*machine)->createDataLayout());
  code->setTargetTriple((*machine)->getTargetTriple());
  markKernels(*code, module);
  if (llvm::Error error = optimise(*code, **machine))
    return std::move(error);
  if (what == CodeText::LLVM) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    code->print(stream, nullptr);
    return text;
  }
  auto ptx = toPTX(*code, **machine);
  return !ptx || what == CodeText::PTX ? std::move(ptx) : assemble(*ptx, arch);
}

llvm::Expected<std::shared_ptr<const Program>> rondo::cuda::describe(ModuleOp module, StringRef arch) {
  auto attribute = module->getAttrOfType<DictionaryAttr>(kProgramAttr);
  std::optional<Program> program = attribute ? programFromAttr(attribute) : std::nullopt;
  if (!program)
    return llvm::createStringError("the module describes no program");
  auto ptx = printCode(module, arch, CodeText::PTX);
  if (!ptx)
    return ptx.takeError();
  program->image = std::make_shared<const DeviceImage>(DeviceImage{"cuda", arch.str(), std::move(*ptx)});
  return std::make_shared<const Program>(std::move(*program));
}
