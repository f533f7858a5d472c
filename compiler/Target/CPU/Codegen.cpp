// LLVM's part: conversion, optimisation, the just-in-time linker. See Codegen.h.
#include "compiler/Target/CPU/Codegen.h"
#include "compiler/Target/CPU/Machine.h"
#include "compiler/Target/Signature.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ExecutionEngine/Orc/CompileUtils.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <atomic>

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

void rondo::cpu::buildToLLVM(OpPassManager &passes) {
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createConvertMathToLibmPass()); // takes vectors apart, so it comes before they are lowered
  ConvertVectorToLLVMPassOptions vectors;
  vectors.reassociateFPReductions = true;
  passes.addPass(createConvertVectorToLLVMPass(vectors));
  passes.addPass(createUBToLLVMConversionPass()); // the vector lowering leaves ub.poison behind
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
}

/// What LLVM adds to code that comes with its vectors, unrolling and hoisting chosen: scalar clean-up, and no loop transformation
/// beyond moving address arithmetic out. LLVM's own O1 takes three to ten times as long here, most of it in the analysis of loops,
/// for the same speed.
static const char *const kOptimisation = "function(simplifycfg,early-cse<memssa>,instcombine<no-verify-fixpoint>,"
                                         "loop-mssa(licm),early-cse,simplifycfg)";

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

static void initializeTarget() {
  static const bool once = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
    return true;
  }();
  (void)once;
}

static llvm::Expected<llvm::orc::JITTargetMachineBuilder> hostBuilder() {
  initializeTarget();
  auto builder = llvm::orc::JITTargetMachineBuilder::detectHost();
  if (builder)
    builder->setCodeGenOptLevel(llvm::CodeGenOptLevel::Aggressive);
  return builder;
}

/// LLVM IR of the module for the host, not optimised yet.
static llvm::Expected<std::unique_ptr<llvm::Module>> translate(ModuleOp module, llvm::LLVMContext &context,
                                                               llvm::TargetMachine &machine) {
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context);
  if (!code)
    return llvm::createStringError("the module has no translation to LLVM IR");
  code->setDataLayout(machine.createDataLayout());
  code->setTargetTriple(machine.getTargetTriple());
  for (llvm::Function &function : *code) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", hostMachine().name);
    function.addFnAttr("target-features", hostMachine().features);
    function.addFnAttr("prefer-vector-width", std::to_string(hostMachine().vectorBits));
  }
  return code;
}

/// Takes the function `symbol` out of `code`, into a module of its own: most calls need one of a launch's functions.
static std::unique_ptr<llvm::Module> takeOut(llvm::Module &code, StringRef symbol) {
  std::unique_ptr<llvm::Module> split = llvm::CloneModule(code);
  for (llvm::Function &function : llvm::make_early_inc_range(*split))
    if (!function.isDeclaration() && function.getName() != symbol)
      function.eraseFromParent();
  code.getFunction(symbol)->eraseFromParent();
  return split;
}

/// A linker whose modules are optimised and compiled when one of their functions is looked up.
static llvm::Expected<std::unique_ptr<llvm::orc::LLJIT>> makeLinker(llvm::orc::JITTargetMachineBuilder builder) {
  llvm::orc::LLJITBuilder jitBuilder;
  jitBuilder.setJITTargetMachineBuilder(builder).setNumCompileThreads(0);
  auto jit = jitBuilder.create();
  if (!jit)
    return jit.takeError();
  // Elementary functions that have no expansion here (sin, cos, erf, pow) come from the process's own math library.
  auto process =
      llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess((*jit)->getDataLayout().getGlobalPrefix());
  if (!process)
    return process.takeError();
  (*jit)->getMainJITDylib().addGenerator(std::move(*process));
  auto transform =
      [builder](llvm::orc::ThreadSafeModule code,
                llvm::orc::MaterializationResponsibility &) mutable -> llvm::Expected<llvm::orc::ThreadSafeModule> {
    auto machine = builder.createTargetMachine();
    if (!machine)
      return machine.takeError();
    if (llvm::Error error = code.withModuleDo([&](llvm::Module &module) { return optimise(module, **machine); }))
      return std::move(error);
    return std::move(code);
  };
  (*jit)->getIRTransformLayer().setTransform(std::move(transform));
  return std::move(*jit);
}

/// Finds a function when it is first wanted, which may be from several threads at once.
static std::function<KernelFunction()> findLater(llvm::orc::LLJIT &jit, std::string symbol) {
  auto found = std::make_shared<std::atomic<KernelFunction>>(nullptr);
  return [&jit, symbol = std::move(symbol), found]() -> KernelFunction {
    if (KernelFunction known = found->load())
      return known;
    auto address = jit.lookup(symbol);
    if (!address) {
      llvm::consumeError(address.takeError()); // then there is the other function
      return nullptr;
    }
    found->store(address->toPtr<KernelFunction>());
    return found->load();
  };
}

llvm::Expected<std::string> rondo::cpu::printCode(ModuleOp module, CodeText what) {
  auto builder = hostBuilder();
  if (!builder)
    return builder.takeError();
  auto machine = builder->createTargetMachine();
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  auto code = translate(module, context, **machine);
  if (!code)
    return code.takeError();
  if (llvm::Error error = optimise(**code, **machine))
    return std::move(error);
  if (what == CodeText::LLVM) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    (*code)->print(stream, nullptr);
    return text;
  }
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  if ((*machine)->addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("this target prints no assembly");
  passes.run(**code);
  return text.str().str();
}

llvm::Expected<std::shared_ptr<const Program>> rondo::cpu::load(ModuleOp module) {
  auto attribute = module->getAttrOfType<DictionaryAttr>(kProgramAttr);
  std::optional<Program> program = attribute ? programFromAttr(attribute) : std::nullopt;
  if (!program)
    return llvm::createStringError("the module describes no program");
  auto builder = hostBuilder();
  if (!builder)
    return builder.takeError();
  auto machine = builder->createTargetMachine();
  if (!machine)
    return machine.takeError();
  auto context = std::make_unique<llvm::LLVMContext>();
  auto code = translate(module, *context, **machine);
  if (!code)
    return code.takeError();

  auto jit = makeLinker(*builder);
  if (!jit)
    return jit.takeError();
  llvm::orc::ThreadSafeContext shared(std::move(context));
  for (const Launch &launch : program->launches)
    for (const std::string &symbol : {launch.splitSymbol, launch.team.symbol, launch.rowTeam.symbol})
      if (!symbol.empty())
        if (llvm::Error error = (*jit)->addIRModule(llvm::orc::ThreadSafeModule(takeOut(**code, symbol), shared)))
          return std::move(error);
  if (llvm::Error error = (*jit)->addIRModule(llvm::orc::ThreadSafeModule(std::move(*code), shared)))
    return std::move(error);
  for (Launch &launch : program->launches) {
    auto address = (*jit)->lookup(launch.symbol);
    if (!address)
      return address.takeError();
    launch.function = address->toPtr<KernelFunction>();
    if (!launch.splitSymbol.empty())
      launch.splitFunction = findLater(**jit, launch.splitSymbol);
    for (TeamKernel *team : {&launch.team, &launch.rowTeam})
      if (!team->symbol.empty())
        team->function = findLater(**jit, team->symbol);
  }
  program->code = std::shared_ptr<llvm::orc::LLJIT>(std::move(*jit));
  return std::make_shared<const Program>(std::move(*program));
}
